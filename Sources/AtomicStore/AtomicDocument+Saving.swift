internal import ReliabilityIO

extension AtomicDocument {
  /// Replaces the document's value, whatever it was.
  ///
  /// What is there becomes the newest backup if it is sound, and is moved aside if it is not. Waits for the lock, so that
  /// no ``update(default:timeout:_:)`` is undone; a cancelled task stops waiting, and a save that has begun is finished.
  ///
  /// - Parameters:
  ///   - value: The new value.
  ///   - timeout: How long to wait for the lock; `nil` is what the configuration says.
  /// - Returns: How durable the save is, and what became of the backup.
  /// - Throws: ``DocumentError`` for a value that can't be written, ``StoreError``, `LockTimeoutError`, `LockError` or
  ///   `CancellationError`; the document is what it was then.
  @discardableResult
  public nonisolated(nonsending) func save(
    _ value: Value, timeout: Duration? = nil
  ) async throws -> PublishOutcome {
    let bytes = try format.encode(value, path: path)
    return try await save(bytes, expected: nil, timeout: timeout)
  }

  /// Replaces the document's value unless someone else has saved since it was loaded.
  ///
  /// For values that are shown to a person and come back much later. A change made at once is simpler with
  /// ``update(default:timeout:_:)``.
  ///
  /// - Parameters:
  ///   - value: The new value.
  ///   - version: The ``Loaded/version`` it was made from, or the ``PublishOutcome/version`` of an earlier save; `nil`
  ///     is that there must be no document yet.
  ///   - timeout: How long to wait for the lock; `nil` is what the configuration says.
  /// - Returns: How durable the save is, what became of the backup, and the new version.
  /// - Throws: ``StoreError`` with ``StoreError/Code/targetChanged`` on a conflict; else as ``save(_:timeout:)``.
  @discardableResult
  public nonisolated(nonsending) func save(
    _ value: Value, ifUnchanged version: FileVersion?, timeout: Duration? = nil
  ) async throws -> PublishOutcome {
    let bytes = try format.encode(value, path: path)
    return try await save(bytes, expected: .some(version), timeout: timeout)
  }

  /// Changes the value under the document's lock: no change of another task or process is lost.
  ///
  /// - Parameters:
  ///   - initial: The value to change when there is no document yet.
  ///   - timeout: How long to wait for the lock; `nil` is what the configuration says.
  ///   - body: Changes the value; runs once, where the caller runs. What it throws is thrown on, and the document stays
  ///     as it is. It is not asynchronous, so that the lock is held for the time of a save and no longer.
  /// - Returns: The new value, which is saved.
  /// - Throws: What the body throws; else as ``load()`` and ``save(_:timeout:)``.
  @discardableResult
  public nonisolated(nonsending) func update(
    default initial: @autoclosure () -> Value, timeout: Duration? = nil,
    _ body: (inout Value) throws -> Void
  ) async throws -> Value {
    try await change(orElse: { initial() }, timeout: timeout, body)
  }

  /// Changes the value of a document that exists, under its lock.
  ///
  /// - Parameters:
  ///   - timeout: How long to wait for the lock; `nil` is what the configuration says.
  ///   - body: Changes the value; runs once, where the caller runs.
  /// - Returns: The new value, which is saved.
  /// - Throws: ``DocumentError`` with ``DocumentError/Code/missing`` when there is no document; what the body throws;
  ///   else as ``load()`` and ``save(_:timeout:)``.
  @discardableResult
  public nonisolated(nonsending) func update(
    timeout: Duration? = nil, _ body: (inout Value) throws -> Void
  ) async throws -> Value {
    try await change(
      orElse: { throw DocumentError(.missing, path: path) }, timeout: timeout, body)
  }

  /// Removes the document with its backups, and makes that durable.
  ///
  /// Lock file and files that were moved aside stay. Does nothing when there is no document.
  ///
  /// - Parameter timeout: How long to wait for the lock; `nil` is what the configuration says.
  /// - Throws: ``StoreError``, `LockTimeoutError`, `LockError` or `CancellationError`. Backups may be gone then, but
  ///   not the document.
  public nonisolated(nonsending) func remove(timeout: Duration? = nil) async throws {
    let exists = try await file.run { file throws(StoreError) in
      let found = try file.inspect(reads: false)
      let hasBackup = try file.hasBackup(of: found.path)
      return hasBackup || found.version != nil
    }
    guard exists else { return }
    let (hold, _) = try await file.begin(
      timeout: timeout, skipsVerified: true, makesDirectories: false)
    defer { hold.release() }
    try await file.run { file throws(StoreError) in try file.remove(hold.path) }
  }
}

extension AtomicDocument {
  private nonisolated(nonsending) func change(
    orElse initial: () throws -> Value, timeout: Duration?, _ body: (inout Value) throws -> Void
  ) async throws -> Value {
    let (hold, found) = try await file.begin(
      timeout: timeout, skipsVerified: false, makesDirectories: true)
    defer { hold.release() }
    let loaded = try await loadLocked(found)
    guard loaded.mayOverwriteTarget else {
      throw DocumentError(.corrupt, path: path, cause: loaded.problems.first)
    }
    var value = try loaded.value ?? initial()
    try body(&value)
    let bytes = try format.encode(value, path: path)
    // Recovered: the backup it came from is the one to keep.
    let rule: BackupRule =
      if loaded.source == .target, let version = loaded.version {
        .ifVersion(version)
      } else {
        .never
      }
    _ = try await publish(bytes, hold, rule, expected: nil)
    return value
  }

  private nonisolated(nonsending) func save(
    _ bytes: [UInt8], expected: FileVersion??, timeout: Duration?
  ) async throws -> PublishOutcome {
    let (hold, found) = try await file.begin(
      timeout: timeout, skipsVerified: true, makesDirectories: true)
    defer { hold.release() }
    if let expected, expected != found.version { throw StoreError(.targetChanged, path: path) }
    let (rule, version) = try await backupRule(found)
    return try await publish(bytes, hold, rule, expected: expected.map { _ in version })
  }

  /// Whether what is there may become a backup; what is damaged is moved aside first.
  ///
  /// - Returns: The rule, and the version that is there now.
  private nonisolated(nonsending) func backupRule(
    _ found: DocumentFile.Inspection
  ) async throws -> (BackupRule, FileVersion?) {
    guard let version = found.version else { return (.never, nil) }
    guard let content = found.content, content.integrity != .verified else {
      return (.ifVersion(version), version)
    }
    switch judge(content) {
    case .missing: return (.never, version)
    case .good, .foreign:
      if content.integrity == .edited { tell(.editedExternally) }
      return (.ifVersion(version), version)
    case .damaged(let reason):
      let damaged = DamagedFile(generation: 0, content: content, reason: reason)
      let settled = await settle([damaged], of: found.path, target: .stays)
      guard settled.mayOverwriteTarget else {
        throw DocumentError(.corrupt, path: path, detail: reason, cause: settled.problems.first)
      }
      return (.never, settled.version)
    }
  }

  private nonisolated(nonsending) func publish(
    _ bytes: [UInt8], _ hold: DocumentHold, _ rule: BackupRule, expected: FileVersion??
  ) async throws(StoreError) -> PublishOutcome {
    let outcome: PublishOutcome
    do throws(StoreError) {
      outcome = try await file.run { file throws(StoreError) in
        try file.publish(bytes, to: hold.path, rule, expected: expected)
      }
    } catch {
      figures.countSave(succeeded: false)
      throw error
    }
    figures.countSave(succeeded: true)
    tell(about: outcome)
    return outcome
  }

  private func tell(about outcome: PublishOutcome) {
    if case .failed(let failure) = outcome.backup { tell(.backupFailed(failure)) }
    if case .notRecorded(let cause) = outcome.checksum, figures.isFirstWithoutChecksum() {
      tell(.checksumNotRecorded(cause))
    }
    if case .publishedNotDurable(let reason) = outcome.status, reason.code != .notRequested {
      tell(.notDurable(reason))
    }
    if let leftover = outcome.leftover {
      tell(.cleanUpFailed(StoreError(.callFailed, path: path, leftover: leftover)))
    }
  }
}
