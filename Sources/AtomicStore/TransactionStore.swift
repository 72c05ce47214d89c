public import BackoffLock
public import ReliabilityIO
internal import Synchronization

/// A directory whose files change together: every transaction is there as a whole or not at all, also after a crash.
///
///     let store = try await TransactionStore("out")
///     try await store.commit { transaction in
///       try transaction.append("urls.txt", "https://example.org/1")
///       try transaction.replace("last.json", with: Array(#"{"id": 1}"#.utf8))
///     }
///
/// The files stay plain files that any program may read. The store keeps a journal and a lock file beside them, whose
/// names begin with `.transactions.`; they must not be removed. A transaction is written to the journal and synced: that is
/// the commit. Then the files are changed, which after a crash is done again from the journal.
///
/// Any number of tasks, stores and processes may use one directory: commits go one at a time, in the order of a
/// `BackoffLock`. What this package writes to the files of a store must go through the store. Other programs may append
/// to its files at any time; before one of them moves or cuts a file, call ``checkpoint()``.
///
/// The guide <doc:ChangingFilesTogether> says what is promised, and what is done when a file was changed by someone else.
public final class TransactionStore: Sendable {
  /// How a store waits and cleans up.
  public struct Configuration: Hashable, Sendable {
    /// How long a commit waits for other processes' commits at most.
    ///
    /// 30 seconds by default.
    public var lockTimeout: Duration

    /// How many bytes of transactions the journal takes before everything is synced and it begins anew.
    ///
    /// From 0, which does so with every commit, to 256 MiB; 512 KiB by default. More makes commits cheaper on average
    /// and a recovery longer.
    public var checkpointSize: Int

    /// How long after the last commit everything is synced and the journal begins anew; 1 second by default.
    ///
    /// `nil` never does: then ``checkpoint()`` and ``close()`` do.
    public var idleCheckpoint: Duration?

    /// Makes a configuration.
    ///
    /// - Parameters:
    ///   - lockTimeout: How long a commit waits for others at most.
    ///   - checkpointSize: How many bytes the journal takes before it begins anew.
    ///   - idleCheckpoint: How long after the last commit it begins anew.
    public init(
      lockTimeout: Duration = .seconds(30), checkpointSize: Int = 512 << 10,
      idleCheckpoint: Duration? = .seconds(1)
    ) {
      self.lockTimeout = lockTimeout
      self.checkpointSize = checkpointSize
      self.idleCheckpoint = idleCheckpoint
    }

    /// Checks values that come from outside the code.
    ///
    /// - Throws: `ConfigurationError` with the field and its rule.
    public func validate() throws(ConfigurationError) {
      try check(lockTimeout > .zero, "lockTimeout", "must be greater than zero")
      try check(
        checkpointSize >= 0 && checkpointSize <= 256 << 20, "checkpointSize",
        "must be from 0 to 268435456")
      try check(
        idleCheckpoint.map { $0 > .zero } ?? true, "idleCheckpoint", "must be greater than zero")
    }
  }

  /// The store's directory.
  public let path: String

  let configuration: Configuration
  let clock: any TimeSource
  private let lock: BackoffLock
  private let core: Lock<TransactionStoreCore?>
  let idle = Lock(IdleCheckpoint())
  let figures = TransactionFigures()

  /// Opens the store of a directory, and finishes what a crash has interrupted.
  ///
  /// A committed transaction that can't be finished now, because the disk is full or another program has changed the
  /// file, does not fail the opening: ``problem`` says so, and every commit tries again.
  ///
  /// - Parameters:
  ///   - path: The directory, which must exist.
  ///   - configuration: How it waits and cleans up; a bad value traps with field and rule.
  ///   - fileSystem: Where it is.
  ///   - clock: Measures the idle time and the waits.
  /// - Throws: ``StoreError``; ``StoreError/Code/journalCorrupt`` and ``StoreError/Code/formatTooNew`` among others.
  ///   What the lock throws when it can't be had. `CancellationError` when the task is cancelled while waiting for it.
  public nonisolated(nonsending) init(
    _ path: String, configuration: Configuration = Configuration(),
    fileSystem: FileSystem = .real, clock: any TimeSource = ContinuousClock()
  ) async throws {
    requireValid { () throws(ConfigurationError) in try configuration.validate() }
    let lock = TransactionStore.makeLock(
      path, timeout: configuration.lockTimeout, fileSystem: fileSystem, clock: clock)
    let hold = try await TransactionStore.acquire(lock, directory: path)
    defer { lock.release(hold) }
    let token = hold.token
    var options = TransactionStoreCore.Options()
    options.checkpointSize = configuration.checkpointSize
    let fixedOptions = options
    let opened = try await DiskExecutor.shared.run { () throws(StoreError) in
      let core = try OpenedCore(
        TransactionStoreCore.open(
          path, token: token, options: fixedOptions, fileSystem: fileSystem))
      OrphanSweeper.sweepIfDue(path, fileSystem: fileSystem)
      return core
    }
    core = Lock(opened.take())
    self.path = path
    self.configuration = configuration
    self.clock = clock
    self.lock = lock
  }

  deinit { idle.withLock { $0.finish() }.map { _ = clock.cancel($0) } }

  /// Why a committed transaction is not applied yet, or `nil` when all are.
  ///
  /// Never waits for a disk call of longer than a commit.
  public nonisolated(nonsending) var problem: StoreError? {
    get async {
      await DiskExecutor.shared.run { self.core.withLock { core in core?.problem } }
    }
  }
}

extension TransactionStore {
  /// Puts a transaction together and commits it.
  ///
  /// - Parameter build: Makes the changes of a new transaction. What it throws is thrown, and nothing happens.
  /// - Returns: That it is committed, and whether it is applied.
  /// - Throws: See ``commit(_:)-(FileTransaction)``.
  @discardableResult
  public nonisolated(nonsending) func commit(
    _ build: (inout FileTransaction) throws -> Void
  ) async throws -> TransactionOutcome {
    var transaction = FileTransaction()
    try build(&transaction)
    return try await commit(transaction)
  }

  /// Commits a transaction: when this returns, all of it will be found after a power cut.
  ///
  /// Cancellation: until the journal is written, cancelling the task throws `CancellationError` and nothing has happened.
  /// After that the commit runs to its end.
  ///
  /// - Parameter transaction: The changes; without any, nothing is written.
  /// - Returns: That it is committed, and whether it is applied.
  /// - Throws: ``StoreError`` when nothing was changed and nothing will be, except with
  ///   ``StoreError/Code/outcomeUnknown``: then the disk failed in a way that leaves it open, this store refuses
  ///   everything, and a new one finds out. What the lock throws when it can't be had in time.
  /// - Complexity: O(bytes of the transaction); one sync, and one more for each file that is replaced.
  @discardableResult
  public nonisolated(nonsending) func commit(
    _ transaction: FileTransaction
  ) async throws -> TransactionOutcome {
    let cancellation = CancellationFlag()
    let outcome = try await figures.counting(clock) {
      try await withTaskCancellationHandler {
        try await withCore { core, token in
          try core.commit(transaction, token: token, isCancelled: { cancellation.isSet })
        }
      } onCancel: {
        cancellation.set()
      }
    }
    scheduleIdleCheckpoint()
    return outcome
  }

  /// Adds one line to one file: a transaction of one change.
  ///
  /// - Parameters:
  ///   - path: The file, relative to the store.
  ///   - line: The line without its line break.
  /// - Returns: That it is committed, and whether it is applied.
  /// - Throws: See ``FileTransaction/append(_:_:)-(_,String)`` and ``commit(_:)-(FileTransaction)``.
  @discardableResult
  public nonisolated(nonsending) func append(
    _ path: String, _ line: String
  ) async throws -> TransactionOutcome {
    try await commit { transaction in try transaction.append(path, line) }
  }

  /// Replaces one file: a transaction of one change.
  ///
  /// A plain ``AtomicFile`` must not save to a file of a store: a recovery could put older content over it.
  ///
  /// - Parameters:
  ///   - path: The file, relative to the store.
  ///   - bytes: The whole new content.
  /// - Returns: That it is committed, and whether it is applied.
  /// - Throws: See ``FileTransaction/replace(_:with:mode:)`` and ``commit(_:)-(FileTransaction)``.
  @discardableResult
  public nonisolated(nonsending) func replace(
    _ path: String, with bytes: [UInt8]
  ) async throws -> TransactionOutcome {
    try await commit { transaction in try transaction.replace(path, with: bytes) }
  }

  /// Runs blocking calls on the store's inside, alone in all processes.
  nonisolated(nonsending) func withCore<R: Sendable>(
    _ body: @escaping @Sendable (inout TransactionStoreCore, FencingToken) throws -> R
  ) async throws -> R {
    let hold = try await TransactionStore.acquire(lock, directory: path)
    defer { lock.release(hold) }
    let token = hold.token
    return try await DiskExecutor.shared.run {
      try self.core.withLock { core in
        guard var open = core.take() else { throw StoreError(.closed, path: self.path) }
        do {
          let result = try body(&open, token)
          core = consume open
          return result
        } catch {
          core = consume open
          throw error
        }
      }
    }
  }

  /// Syncs everything and closes the store; whatever it is asked afterwards throws ``StoreError/Code/closed``.
  ///
  /// Not needed for any promise: without it, the next store to be opened does the work.
  ///
  /// - Throws: ``StoreError`` when something can't be synced. The store is closed all the same, and the journal keeps
  ///   what is needed.
  public nonisolated(nonsending) func close() async throws {
    idle.withLock { $0.finish() }.map { _ = clock.cancel($0) }
    defer { core.withLock { $0 = nil } }
    try await withCore { core, token in
      try core.refresh(token)
      try core.checkpoint(token)
    }
  }

  static func makeLock(
    _ path: String, timeout: Duration, fileSystem: FileSystem, clock: any TimeSource
  ) -> BackoffLock {
    var configuration = BackoffLock.Configuration()
    configuration.timeout = timeout
    configuration.idleHold = .milliseconds(2)
    configuration.label = "transactions of \(path)"
    return BackoffLock(
      joinPath(path, JournalName.lock), configuration: configuration, fileSystem: fileSystem,
      clock: clock)
  }

  static nonisolated(nonsending) func acquire(
    _ lock: BackoffLock, directory: String
  ) async throws -> LockHold {
    do {
      return try await lock.acquire()
    } catch let error as LockError where error.cause?.number == .notFound {
      throw StoreError(.directoryMissing, path: directory, cause: error.cause)
    }
  }
}

/// Carries a noncopyable core out of the disk thread.
private final class OpenedCore: Sendable {
  private let core: Lock<TransactionStoreCore?>
  init(_ core: consuming sending TransactionStoreCore) { self.core = Lock(core) }

  func take() -> sending TransactionStoreCore? {
    core.withLock { core in core.take() }
  }
}

/// Whether the task that waits for a disk thread was cancelled.
private final class CancellationFlag: Sendable {
  private let flag = Atomic<Bool>(false)
  var isSet: Bool { flag.load(ordering: .acquiring) }
  func set() { flag.store(true, ordering: .releasing) }
}
