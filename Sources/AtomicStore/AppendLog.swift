internal import ReliabilityIO
internal import Synchronization

/// A file that only grows, one record a line, and that no crash can tear.
///
/// Records are JSON objects, and the file is what `jq` and `tail -f` read. Any number of tasks and processes append
/// at once; those of one process share one write and one sync (group commit), so sixty-four callers pay little more
/// than one.
///
///     let log = try await AppendLog("events.jsonl")
///     try await log.append(Array(#"{"event":"started"}"#.utf8))
///     for try await record in log.records() {
///       print(String(decoding: record.payload, as: UTF8.self))  // {"event":"started"}
///     }
///
/// - A power cut loses no record whose append returned with ``Durability/full``. What it leaves of others at the end
///   is saved beside the log and cut off before the next append.
/// - A record that went bad on the disk is passed over, reported in ``health`` and copied to ``quarantinePath``.
///   It never keeps those after it from being read.
/// - A batch is one write, but not all or none across a crash: a first part of it may remain.
///
/// The guide <doc:KeepingLogs> says what happens in each failure.
public final class AppendLog: Sendable {
  /// The file, with symbolic links of its last component followed.
  public let path: String
  let options: Options
  let place: LogPlace
  let lock: BackoffLock
  /// The file; only touched on disk threads by whoever holds the lock.
  let file: Lock<LogFile>
  let shared = Lock(Shared())
  let eventsWaiting = Atomic<Bool>(false)

  /// What tasks and the disk thread have in common.
  struct Shared {
    var queue = LogQueue<PendingAppend>()
    var health = Health()
    var events: [Event] = []
    /// Bad records that are not known to be in the quarantine file, with their bytes.
    var unquarantined: [BadRecord] = []
    var known: Set<BadRecord> = []
  }

  /// Opens a log, and makes the file when it is missing.
  ///
  /// What a crash left unfinished at the end is healed now, under the lock. A log of a later version is opened to be
  /// read only; ``health`` says so.
  ///
  /// - Parameters:
  ///   - path: The file. Its directory must exist. A lock file, `<path>.lock`, is kept beside it.
  ///   - options: How it is opened; a bad value traps, see ``Options/validate()``.
  ///   - fileSystem: Where it is.
  /// - Throws: ``StoreError`` when the file can't be used, `LockTimeoutError` or `LockError` when its lock is not to be
  ///   had, `CancellationError` when the task is cancelled while it waits for the lock.
  public nonisolated(nonsending) init(
    _ path: String, options: Options = Options(), fileSystem: FileSystem = .real
  ) async throws {
    requireValid { () throws(ConfigurationError) in try options.validate() }
    let place = try await DiskExecutor.shared.run { () throws(StoreError) in
      let place = try LogPlace(path, fileSystem: fileSystem)
      if options.access != .readOnly {
        OrphanSweeper.sweepIfDue(place.target.directory.path, fileSystem: fileSystem)
      }
      return place
    }
    self.path = place.path
    self.options = options
    self.place = place
    var configuration = BackoffLock.Configuration()
    configuration.timeout = options.lockTimeout
    configuration.idleHold = options.idleHold
    configuration.label = "append log"
    lock = BackoffLock(place.path + ".lock", configuration: configuration, fileSystem: fileSystem)
    file = Lock(LogFile(place, options: options))
    if options.access == .readOnly {
      let reason = StoreError(.readOnly, path: place.path)
      shared.withLock { $0.health.readOnlyReason = reason }
      return
    }
    do {
      try await withFile { (file) throws(StoreError) in
        // Nothing to do: having the file is what was asked for.
        _ = file.generation
      }
    } catch let error as StoreError where error.code == .newerFormat {
      shared.withLock { $0.health.readOnlyReason = error }
    }
    deliverEvents()
  }

  /// Runs a body on a disk thread with the lock held and the file in order.
  nonisolated(nonsending) func withFile<R: Sendable>(
    _ body: @escaping @Sendable (inout LogFile) throws(StoreError) -> R
  ) async throws -> R {
    let hold = try await lock.acquire(.exclusive, timeout: nil)
    defer { lock.release(hold) }
    return try await DiskExecutor.shared.run { () throws(StoreError) -> R in
      try self.onFile { (file) throws(StoreError) in
        try file.prepare()
        return try body(&file)
      }
    }
  }

  /// Runs a body with the file and takes in its news.
  func onFile<R: Sendable>(
    _ body: (inout LogFile) throws(StoreError) -> R
  ) throws(StoreError) -> R {
    let (result, news, name) = file.withLock { file in
      let result: Result<R, StoreError>
      do throws(StoreError) {
        result = .success(try body(&file))
      } catch {
        file.news.counts.failures += 1
        result = .failure(error)
      }
      let news = file.news
      file.news = LogNews()
      return (result, news, file.nameNotDurable)
    }
    note(news)
    if let name { shared.withLock { $0.health.nameNotDurable = name } }
    return try result.get()
  }

  /// Why nothing can be appended, or `nil`.
  func requireWritable() throws(StoreError) {
    if let reason = shared.withLock({ $0.health.readOnlyReason }) { throw reason }
  }
}
