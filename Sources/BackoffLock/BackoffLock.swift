public import ReliabilityIO

/// One at a time, across tasks, threads and processes.
///
///     let lock = BackoffLock("data/urls.lock")
///     try await lock.withLock { token in
///       try await addURL(fencedBy: token)
///     }
///
/// An advisory lock on a file: it excludes those who use it, in whatever program of this package, and the kernel gives it
/// up when a process dies, however it dies. Waiters are served first in, first out, in the process and, where the
/// system can, across processes too; a wait is bounded by the holds of those ahead. The guide <doc:BackoffLock> says what
/// is promised and how it works.
///
/// Put the lock file beside the data, not on the data file: a save replaces that. It is made when it is missing and never
/// removed. Instances with one path, and those whose paths lead to one file, share one queue; each keeps figures of its own.
public final class BackoffLock: Sendable {
  /// Who may hold the lock together.
  public enum Mode: Hashable, Sendable {
    /// One holder, alone.
    case exclusive
    /// Any number of holders, none of them exclusive.
    case shared
  }

  /// The lock file.
  public let path: String

  /// How the lock waits and what it keeps.
  public let configuration: Configuration

  let meter = LockMeter()
  private let fileSystem: FileSystem
  /// How it waits, on a local file system and on a network.
  let strategies: (local: LockStrategy, network: LockStrategy)
  private let clock: NanosecondClock
  private let registry: LockRegistry
  private let mechanism: LockFile.Mechanism
  private let current = Lock<LockCore?>(nil)

  /// Names a lock; touches nothing yet.
  ///
  /// - Parameters:
  ///   - path: The lock file. Its directory must exist when the lock is first taken.
  ///   - configuration: How it waits.
  ///   - fileSystem: Where the file is.
  ///   - clock: The source of time.
  /// - Precondition: The configuration is valid; ``Configuration/validate()`` tells.
  public convenience init(
    _ path: String, configuration: Configuration = Configuration(), fileSystem: FileSystem = .real,
    clock: any TimeSource = ContinuousClock()
  ) {
    self.init(
      path, configuration: configuration, fileSystem: fileSystem, clock: clock, registry: .shared,
      usesWholeFiles: false)
  }

  /// For tests: another registry stands for another process, and whole files for another system.
  package init(
    _ path: String, configuration: Configuration = Configuration(), fileSystem: FileSystem = .real,
    clock: any TimeSource = ContinuousClock(), registry: LockRegistry, usesWholeFiles: Bool = false
  ) {
    requireValid(configuration.validate)
    self.path = path
    self.configuration = configuration
    self.fileSystem = fileSystem
    self.clock = NanosecondClock(clock)
    self.registry = registry
    mechanism = usesWholeFiles ? .files : .native
    strategies = (
      configuration.strategy.resolved(isNetwork: false, mechanism: mechanism),
      configuration.strategy.resolved(isNetwork: true, mechanism: mechanism)
    )
  }

  var now: Duration { .nanoseconds(clock.now) }
}

// MARK: - The file

extension BackoffLock {
  var openCore: LockCore? { current.withLock { $0 } }

  func forget(_ core: LockCore) {
    current.withLock { if $0 === core { $0 = nil } }
  }

  /// Opens the lock file, unless it is open; a disk call.
  func open(creating: Bool = true) throws -> LockCore {
    if let core = openCore { return core }
    do {
      let file = try LockFile.open(path, mechanism, fileSystem, creating: creating)
      if configuration.strategy == .queue && mechanism == .files {
        let cause = SystemCallError(.notImplemented, call: "fcntl", path: path)
        throw LockError(.unsupported, path: path, cause: cause)
      }
      let core = registry.core(for: file, clock: clock)
      current.withLock { $0 = core }
      return core
    } catch {
      // Who only asks for the owner did not want the lock.
      if creating { meter.countFailure() }
      throw LockError(error, path: path)
    }
  }

  func tell(_ kind: Event.Kind, waited: Duration? = nil, cause: String? = nil) {
    guard let observer = configuration.observer else { return }
    observer(Event(kind: kind, path: path, waited: waited, cause: cause))
  }

  func schedule(_ alarm: LockAlarm, at end: Duration) {
    clock.source.schedule(alarm, at: .init(sinceOrigin: end))
  }

  func cancel(_ alarm: LockAlarm) { clock.source.cancel(alarm) }
}
