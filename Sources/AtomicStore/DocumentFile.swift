internal import BackoffLock
internal import ReliabilityIO

/// The files of one document: target, backups, lock and what was moved aside.
///
/// It knows bytes, not values. Functions without `async` make disk calls and run on a disk thread.
final class DocumentFile: Sendable {
  /// What is at the path.
  struct Inspection: Sendable {
    /// The path with links of its last component followed.
    var path: String
    var version: FileVersion?
    /// `nil` when there is no file, or when it is the version that was verified before.
    var content: FileContent?
  }

  private struct State {
    /// Whose lock is `lock`.
    var resolvedPath: String?
    var lock: BackoffLock?
    /// The version that this process saved or found good.
    var verified: FileVersion?
  }

  let path: String
  let options: AtomicFile.Options
  let fileSystem: FileSystem
  private let lockConfiguration: BackoffLock.Configuration
  private let clock: any TimeSource
  private let state = Lock(State())

  init(
    _ path: String, options: AtomicFile.Options, lock: BackoffLock.Configuration,
    fileSystem: FileSystem, clock: any TimeSource
  ) {
    self.path = path
    self.options = options
    lockConfiguration = lock
    self.fileSystem = fileSystem
    self.clock = clock
  }

  /// The version that this process saved or found good.
  var verified: FileVersion? {
    get { state.withLock { $0.verified } }
    set { state.withLock { $0.verified = newValue } }
  }
}

/// The lock of a document, taken.
final class DocumentHold: Sendable {
  /// The target, with links followed.
  let path: String
  private let lock: BackoffLock
  private let hold: LockHold

  fileprivate init(path: String, lock: BackoffLock, hold: LockHold) {
    self.path = path
    self.lock = lock
    self.hold = hold
  }

  /// Gives the lock back, once.
  func release() { lock.release(hold) }
}

extension DocumentFile {
  /// How often the lock is taken anew because a link leads elsewhere since.
  private static let maximumRedirections = 8

  /// Takes the document's lock and looks at what it protects.
  ///
  /// The lock file is beside the file that a link leads to, so every path to a document has the same lock.
  ///
  /// - Parameters:
  ///   - skipsVerified: Whether a version that was verified before need not be read.
  ///   - makesDirectories: Whether missing directories are made where the options say so.
  nonisolated(nonsending) func begin(
    timeout: Duration?, skipsVerified: Bool, makesDirectories: Bool
  ) async throws -> (DocumentHold, Inspection) {
    var resolved = state.withLock { $0.resolvedPath }
    if resolved == nil {
      resolved = try await run { file throws(StoreError) in
        let path = try file.inspect(reads: false, makesDirectories: makesDirectories).path
        if let (directory, _) = Target.split(path) {
          OrphanSweeper.sweepIfDue(directory, fileSystem: file.fileSystem)
        }
        return path
      }
    }
    for _ in 0..<Self.maximumRedirections {
      let path = resolved ?? path
      let lock = lock(for: path)
      let hold = DocumentHold(
        path: path, lock: lock, hold: try await lock.acquire(.exclusive, timeout: timeout))
      if Task.isCancelled {
        hold.release()
        throw CancellationError()
      }
      do throws(StoreError) {
        let found = try await run { file throws(StoreError) in
          try file.inspect(
            skipsVerified: skipsVerified, makesDirectories: makesDirectories)
        }
        if found.path == path { return (hold, found) }
        resolved = found.path
      } catch {
        hold.release()
        throw error
      }
      hold.release()
    }
    throw StoreError(.tooManySymbolicLinks, path: path)
  }

  private func lock(for resolved: String) -> BackoffLock {
    state.withLock { state in
      if let lock = state.lock, state.resolvedPath == resolved { return lock }
      let lock = BackoffLock(
        resolved + ".lock", configuration: lockConfiguration, fileSystem: fileSystem, clock: clock)
      state.lock = lock
      state.resolvedPath = resolved
      state.verified = nil
      return lock
    }
  }

  /// Runs disk calls on a disk thread.
  nonisolated(nonsending) func run<R: Sendable>(
    _ body: @escaping @Sendable (DocumentFile) throws(StoreError) -> R
  ) async throws(StoreError) -> R {
    try await DiskExecutor.shared.run { () throws(StoreError) -> R in try body(self) }
  }
}

extension DocumentFile {
  /// Looks at what is at the path.
  ///
  /// - Parameters:
  ///   - reads: Whether the content is wanted.
  ///   - skipsVerified: Whether a version that was verified before need not be read.
  ///   - makesDirectories: Whether missing directories are made where the options say so.
  func inspect(
    reads: Bool = true, skipsVerified: Bool = false, makesDirectories: Bool = false
  ) throws(StoreError) -> Inspection {
    var options = AtomicFile.Options(durability: self.options.durability)
    options.symbolicLinks = self.options.symbolicLinks
    options.createsDirectories = makesDirectories && self.options.createsDirectories
    let target: Target
    do throws(StoreError) {
      target = try Target(path, options: options, fileSystem: fileSystem)
    } catch {
      if error.code == .directoryMissing && !makesDirectories { return Inspection(path: path) }
      throw error
    }
    let version = target.existing.map(FileVersion.init)
    var found = Inspection(path: target.path, version: version)
    if version == nil || !reads || (skipsVerified && version == verified) { return found }
    found.content = try FileContent.read(target.name, in: target.directory)
    found.version = found.content?.version
    return found
  }

  /// Reads a backup.
  func readBackup(_ generation: Int, of path: String) throws(StoreError) -> FileContent? {
    try withDirectory(of: path) { (directory, name) throws(StoreError) in
      try FileContent.read(BackupName.make(for: name, generation: generation), in: directory)
    } ?? nil
  }

  /// Whether any backup exists.
  func hasBackup(of path: String) throws(StoreError) -> Bool {
    let generations = options.backups
    return try withDirectory(of: path) { (directory, name) throws(StoreError) in
      for generation in 1..<(generations + 1) {
        let backup = BackupName.make(for: name, generation: generation)
        if (try? directory.status(of: backup)) != nil { return true }
      }
      return false
    } ?? false
  }

  /// Replaces the document, under its lock.
  ///
  /// - Parameters:
  ///   - rule: Whether what is there may become a backup.
  ///   - expected: Which version may be replaced; an inner `nil` is that there must be none.
  func publish(
    _ bytes: [UInt8], to path: String, _ rule: BackupRule, expected: FileVersion??
  ) throws(StoreError) -> PublishOutcome {
    var options = options
    if let expected {
      options.ifUnchanged = expected
      options.createOnly = expected == nil
    }
    do throws(StoreError) {
      let outcome = try AtomicFile.replaceBlocking(
        path, with: bytes.span, options: options, fileSystem: fileSystem, backup: rule)
      verified = outcome.version
      return outcome
    } catch {
      guard error.code == .targetExists else { throw error }
      throw StoreError(
        .targetChanged, path: self.path, cause: error.cause, leftover: error.leftover)
    }
  }

  /// Opens the directory of a path; `nil` when it does not exist.
  func withDirectory<R>(
    of path: String, _ body: (borrowing OpenDirectory, String) throws(StoreError) -> R
  ) throws(StoreError) -> R? {
    guard let (parent, name) = Target.split(path) else {
      throw StoreError(.invalidPath, path: path)
    }
    let directory: OpenDirectory
    do throws(StoreError) {
      directory = try Target.open(parent, fileSystem: fileSystem, path: path)
    } catch {
      if error.code == .directoryMissing { return nil }
      throw error
    }
    return try body(directory, name)
  }
}
