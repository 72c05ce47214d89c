public import AtomicStore
public import ReliabilityCore

/// Jobs in a file: what was acknowledged is there after a crash, a kill and a power cut.
///
/// The file is an `AppendLog` of JSON lines, which `jq` reads. All jobs are in memory as well; the file is what they are made
/// of again when it is opened.
///
///     let store = try await FileJobStore("jobs.jsonl")
///     let queue = JobQueue(store) {
///       $0.handle(Transcode.self) { job, context in try await transcode(job.video) }
///     }
///
/// - **Acknowledged means synced.** A call returns when what it did can't be undone by a power cut, unless
///   ``Options/durability`` says otherwise. Calls that come at once share one write and one sync.
/// - **One owner.** One process at a time, and one instance in it, may change the store: a lock beside the file, held for life,
///   says who. A second one gets `StoreError.Code.inUse`, with the owner, and may open it ``Access/readOnly``.
/// - **A call that throws has changed nothing**, unless it throws `StoreError.Code.appendUncertain`: then the disk failed in a way that
///   only reading tells, and the next call reads before it does anything.
/// - **Reads see the newest.** ``job(_:)``, ``jobs(_:)`` and ``figures()`` show a change while it is on its way to the disk, some tenths
///   of a millisecond before it is acknowledged; if the disk then fails, it was never there.
///
/// The guide of the module describes the format, and <doc:AtLeastOnce> what each level of durability costs.
public final class FileJobStore: JobStore {
  /// Who may do what.
  public enum Access: Hashable, Sendable {
    /// Everything.
    case readWrite
    /// Only reading, also while another process owns the store; see ``refresh()``.
    case readOnly
  }

  /// The file, with symbolic links of its last component followed.
  public var path: String { log.path }
  /// How it was opened.
  public let options: Options

  let log: AppendLog
  let clock: NanosecondClock
  let moments: @Sendable () -> PersistedMoment
  let state: Lock<State>
  /// Held for life by the one who may write.
  private let ownership: LogOwnership?

  /// Opens a store, and makes the file when it is missing.
  ///
  /// Jobs that ran when the owner before ended are ready again, with their place, their age and their crash count.
  ///
  /// - Parameters:
  ///   - path: The file. Its directory must exist. `<path>.owner` and `<path>.lock` are kept beside it.
  ///   - options: How it is opened; a bad value traps, see ``Options/validate()``.
  ///   - clock: The monotonic time.
  ///   - wallClock: The wall time, for dates that users give and for people.
  ///   - fileSystem: Where it is.
  /// - Throws: `StoreError`, with `inUse` when somebody else owns the store, with `notALog` when the file is something else;
  ///   `LockError`; `CancellationError`.
  /// - Complexity: O(bytes of the file); a million jobs take a second or two.
  public convenience nonisolated(nonsending) init(
    _ path: String, options: Options = Options(), clock: any TimeSource = ContinuousClock(),
    wallClock: @escaping @Sendable () -> WallTime = { .now }, fileSystem: FileSystem = .real
  ) async throws {
    try await self.init(
      path, options: options, clock: clock,
      moments: {
        var moment = PersistedMoment.now
        moment.wall = wallClock().nanosecondsSince1970
        return moment
      }, fileSystem: fileSystem)
  }

  /// - Parameter moments: The present as it is written to files; its wall time is the store's.
  package nonisolated(nonsending) init(
    _ path: String, options: Options, clock: any TimeSource,
    moments: @escaping @Sendable () -> PersistedMoment, fileSystem: FileSystem
  ) async throws {
    requireValid(options.validate)
    self.options = options
    self.moments = moments
    self.clock = NanosecondClock(clock)
    var ownership: LogOwnership?
    if options.access == .readWrite {
      ownership = try await LogOwnership(
        path, label: "job store", timeout: options.ownerTimeout, fileSystem: fileSystem)
    }
    var logOptions = AppendLog.Options()
    logOptions.access = options.access == .readOnly ? .readOnly : .readWrite
    logOptions.content = Self.content
    logOptions.maximumRecordSize = Self.longestRecord
    logOptions.observer = options.logObserver
    let log = try await AppendLog(path, options: logOptions, fileSystem: fileSystem)
    self.log = log
    let reason = log.health.readOnlyReason
    var state = State(
      try await Self.load(
        log, options, clock: self.clock, moments: moments, isReading: reason != nil))
    state.readOnlyReason = reason
    state.compactionSize += Int64(options.compactionSlack)
    if reason == nil {
      // Also makes durable what a crash of the program left unsynced: from now on it is believed.
      let head = state.headOfOwner()
      let record = JobLine.head("open", head, at: moments())
      state.end = try await log.append(record).end
      state.tokensReserved = head.tokens
    }
    self.ownership = reason == nil ? ownership : nil
    self.state = Lock(state)
  }

  static let content = AppendLog.Content("jobs", version: 1)
  static let longestRecord = 256 << 20

  /// Ends the work on the file and gives it up for another owner.
  ///
  /// What was asked for before is done first; later calls throw `StoreError.Code.closed`. Closing twice does nothing. Not needed for
  /// safety: whoever forgets it loses nothing that was acknowledged.
  ///
  /// - Throws: `StoreError`.
  public nonisolated(nonsending) func close() async throws {
    do {
      // Behind everything that was asked for before.
      try await change { state, _ in
        state.isClosed = true
        return JobChange(())
      }
    } catch let error as StoreError where error.code == .closed {
      return
    } catch {
      state.withLock { $0.isClosed = true }
    }
    defer { ownership?.giveUp() }
    let compaction = state.withLock { $0.compaction }
    _ = try? await compaction?.value
    if state.withLock({ $0.readOnlyReason == nil }) {
      // Neither the caller's cancellation nor its deadline may come in between.
      try await Task.detached { [log] in try await log.close() }.value
    }
  }

  /// Reads the file again, for who may only read; of a store that is owned nothing happens.
  ///
  /// - Throws: `StoreError`; `CancellationError`.
  /// - Complexity: O(bytes of the file).
  public nonisolated(nonsending) func refresh() async throws {
    guard state.withLock({ $0.readOnlyReason != nil }) else { return }
    let replay = try await Self.load(
      log, options, clock: clock, moments: moments, isReading: true)
    let fresh = State(replay)
    state.withLock { state in
      let reason = state.readOnlyReason
      let isClosed = state.isClosed
      state = fresh
      state.readOnlyReason = reason
      state.isClosed = isClosed
    }
  }

  var now: JobTable.Time { JobTable.Time(monotonic: clock.now, wall: moments().wall) }
}

extension FileJobStore {
  /// What the lock guards.
  ///
  /// Unchecked: made by one task, and touched only with the lock after that.
  struct State: @unchecked Sendable {
    var table: JobTable
    /// What is applied and waits to be written.
    var waiting = JobCommit()
    /// What is being written.
    var underWay: JobCommit?
    /// When those of the latest round were told, if the next one is to wait for them, and how long that took before.
    var toldAt: ContinuousClock.Instant?
    var gathering = Duration.zero
    /// Whether somebody writes, or is about to.
    var hasLeader = false
    var isClosed = false
    /// Why nothing can be changed.
    var readOnlyReason: StoreError?
    /// Set while what is on the disk is not known: the failure after which it wasn't.
    var outage: StoreError?
    var isReading = false
    /// Claims whose outcome may have been stored although the write failed.
    var uncertain: Set<JobLease> = []
    /// No token below was ever given by the owners before; the file says that those below may have been by this one.
    var tokensReserved: UInt64 = 0
    var openings: UInt64
    var unknown: [[UInt8]]
    var unknownMembers: [UInt64: JobReplay.UnknownMembers]
    var strayChanges: Int
    /// The end of the last record that was written.
    var end: AppendLog.Position?
    /// The size of the file from which on it is compacted.
    var compactionSize: Int64 = 0
    var compaction: Task<Void, any Error>?
    var compactionFailure: StoreError?

    init(_ replay: JobReplay) {
      table = replay.table
      table.history = []
      openings = replay.head.number
      unknown = replay.unknown
      unknownMembers = replay.unknownMembers
      strayChanges = replay.strayChanges
      compactionSize = replay.approximateSize.adding(replay.approximateSize)
    }

    /// What a new owner writes down.
    mutating func headOfOwner() -> JobLineHead {
      openings += 1
      return JobLineHead(
        number: openings, nextID: table.nextID,
        tokens: table.nextToken.advancedClamped(by: FileJobStore.tokenBlock),
        jobs: table.entries.count)
    }
  }

  /// How many fencing tokens are written off at once.
  static let tokenBlock: UInt64 = 1 << 20
}

extension UInt64 {
  func advancedClamped(by step: UInt64) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(step)
    return overflow ? .max : sum
  }
}
