internal import ReliabilityIO

extension AtomicDocument {
  /// Where a loaded value came from.
  public enum Source: Hashable, Sendable {
    /// The file itself.
    case target
    /// A backup; 1 is the newest.
    case backup(Int)
    /// There is no document, and no backup of one.
    case none
  }

  /// What a load found.
  public struct Loaded: Sendable {
    /// The value, or `nil` when there is none.
    public var value: Value?
    /// Which generation it is.
    public var source: Source
    /// The version of the file now, for ``AtomicDocument/save(_:ifUnchanged:timeout:)``; `nil` when there is no file.
    public var version: FileVersion?
    /// Damaged files that were moved aside.
    public var quarantined: [QuarantinedFile] = []
    /// What could not be put right: a damaged file that could not be moved, a backup that could not be read.
    public var problems: [StoreError] = []
    /// Whether someone else wrote the file since it was saved.
    public var wasEditedExternally = false
    /// Whether the target may be overwritten without losing the only copy of something.
    var mayOverwriteTarget = true
  }

  /// Reads the newest sound content: the file, else its backups from the newest on.
  ///
  /// Sound is what agrees with its checksum, where it has one, and decodes. Damaged files (empty, all zero bytes, not
  /// decodable, or of another checksum) are moved aside under the document's lock, and a good backup takes the target's
  /// place. Where the lock or the directory can't be used, the value is still found and the trouble is in
  /// ``Loaded/problems``.
  ///
  /// A file that is gone counts as lost, not as reset: the backup is taken. Use ``remove(timeout:)`` to begin anew.
  ///
  /// A sound file is read without a lock. A cancelled task stops waiting for the lock.
  ///
  /// - Returns: The value, where it came from, and what was moved aside.
  /// - Throws: ``StoreError`` when the file can't be read; ``DocumentError`` with ``DocumentError/Code/notDecodable``
  ///   for an undamaged file of another type, or ``DocumentError/Code/corrupt`` when damage could not even be moved
  ///   aside; `CancellationError`.
  public nonisolated(nonsending) func load() async throws -> Loaded {
    let found = try await file.run { file throws(StoreError) in try file.inspect() }
    switch judge(found.content) {
    case .good(let value, let isEdited): return accept(value, found, isEdited: isEdited)
    case .foreign(let error): throw error
    case .missing:
      let hasBackup = try await file.run { file throws(StoreError) in
        try file.hasBackup(of: found.path)
      }
      if !hasBackup { return Loaded(value: nil, source: .none) }
    case .damaged: break
    }
    do {
      let (hold, found) = try await file.begin(
        timeout: nil, skipsVerified: false, makesDirectories: false)
      defer { hold.release() }
      return try await loadLocked(found)
    } catch let error as CancellationError {
      throw error
    } catch let error as DocumentError {
      throw error
    } catch {
      // No lock to be had, as on a read-only disk: look, but touch nothing.
      return try await recover(found, mayWrite: false, problem: problem(with: error, found.path))
    }
  }

  /// Reads the newest sound content, or gives a default where there is none.
  ///
  /// Nothing is written. See ``load()`` for what is thrown.
  ///
  /// - Parameter initial: The value when there is neither a file nor a backup.
  /// - Returns: The value.
  public nonisolated(nonsending) func load(
    default initial: @autoclosure () -> Value
  ) async throws -> Value {
    try await load().value ?? initial()
  }

  /// Reads the newest sound content while the lock is held.
  nonisolated(nonsending) func loadLocked(
    _ found: DocumentFile.Inspection
  ) async throws -> Loaded {
    switch judge(found.content) {
    case .good(let value, let isEdited): accept(value, found, isEdited: isEdited)
    case .foreign(let error): throw error
    case .missing, .damaged: try await recover(found, mayWrite: true)
    }
  }

  /// Why the lock could not be taken.
  private func problem(with error: any Error, _ path: String) -> StoreError {
    if let error = error as? StoreError { return error }
    let cause =
      (error as? LockError)?.cause
      ?? SystemCallError(.timedOut, call: "flock", path: path + ".lock")
    return StoreError(.callFailed, path: path, cause: cause)
  }

  private func accept(
    _ value: Value, _ found: DocumentFile.Inspection, isEdited: Bool
  ) -> Loaded {
    if isEdited && found.version != file.verified { tell(.editedExternally) }
    file.verified = found.version
    return Loaded(
      value: value, source: .target, version: found.version, wasEditedExternally: isEdited)
  }
}

extension AtomicDocument {
  /// What a content is worth.
  enum Verdict {
    case missing
    case good(Value, isEdited: Bool)
    case damaged(String)
    /// Exactly what was saved, but not of this type.
    case foreign(DocumentError)
  }

  func judge(_ content: FileContent?) -> Verdict {
    guard let content else { return .missing }
    if content.integrity == .corrupt { return .damaged("its checksum does not match") }
    if content.bytes.isEmpty { return .damaged("it is empty") }
    if content.bytes.allSatisfy({ $0 == 0 }) { return .damaged("it holds only zero bytes") }
    do {
      let value = try format.decode(content.bytes, as: Value.self)
      return .good(value, isEdited: content.integrity == .edited)
    } catch {
      let reason = DocumentError(decoding: error, path: path)
      if content.integrity == .verified { return .foreign(reason) }
      return .damaged("it can't be decoded: \(reason.detail ?? "unknown")")
    }
  }

  /// Finds the newest good backup, moves damaged files aside and puts the backup in the target's place.
  ///
  /// - Parameters:
  ///   - mayWrite: Whether the lock is held; else files stay as they are.
  ///   - problem: Why it is not.
  nonisolated(nonsending) func recover(
    _ found: DocumentFile.Inspection, mayWrite: Bool, problem: StoreError? = nil
  ) async throws -> Loaded {
    var loaded = Loaded(value: nil, source: .none, version: found.version)
    if let problem { loaded.problems.append(problem) }
    var damaged: [DamagedFile] = []
    if let content = found.content, case .damaged(let reason) = judge(content) {
      damaged.append(DamagedFile(generation: 0, content: content, reason: reason))
    }
    let isTargetDamaged = !damaged.isEmpty
    var good: Int?
    for generation in 1..<(file.options.backups + 1) {
      let content: FileContent?
      do throws(StoreError) {
        content = try await file.run { file throws(StoreError) in
          try file.readBackup(generation, of: found.path)
        }
      } catch {
        loaded.problems.append(error)
        continue
      }
      switch judge(content) {
      case .missing: continue
      case .damaged(let reason):
        if let content {
          damaged.append(DamagedFile(generation: generation, content: content, reason: reason))
        }
        continue
      case .foreign(let error): throw error
      case .good(let value, _):
        loaded.value = value
        loaded.source = .backup(generation)
        good = generation
      }
      break
    }
    if mayWrite && (!damaged.isEmpty || good != nil) {
      let (damaged, good) = (damaged, good)
      let settled = await settle(damaged, of: found.path, target: .restored(from: good))
      loaded.quarantined = settled.quarantined
      loaded.problems += settled.problems
      loaded.version = settled.version
      loaded.mayOverwriteTarget = settled.mayOverwriteTarget
      if good != nil && settled.problems.isEmpty { file.verified = settled.version }
    } else if isTargetDamaged {
      loaded.mayOverwriteTarget = false
    }
    if let good { tell(.recoveredFromBackup(good)) }
    if good == nil && !loaded.mayOverwriteTarget {
      throw DocumentError(.corrupt, path: path, cause: loaded.problems.first)
    }
    return loaded
  }

  nonisolated(nonsending) func settle(
    _ damaged: [DamagedFile], of path: String, target rule: DocumentFile.TargetRule
  ) async -> Settlement {
    let settled = await DiskExecutor.shared.run { [file] in
      file.settle(damaged, of: path, target: rule)
    }
    for file in settled.quarantined { tell(.quarantined(file)) }
    for problem in settled.problems { tell(.cleanUpFailed(problem)) }
    return settled
  }
}
