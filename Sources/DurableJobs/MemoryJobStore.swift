public import ReliabilityCore

/// Jobs in memory: fast, and gone with the process.
///
///     let queue = JobQueue(MemoryJobStore()) {
///       $0.handle(Transcode.self) { job, context in try await transcode(job.video) }
///     }
public final class MemoryJobStore: JobStore {
  let table: Lock<JobTable>
  private let clock: NanosecondClock
  private let wallClock: @Sendable () -> WallTime

  /// Makes an empty store.
  ///
  /// - Parameters:
  ///   - options: How many jobs it takes, and how it treats them.
  ///   - clock: The time.
  ///   - wallClock: The wall time, for dates that users give and for people.
  public init(
    options: JobStoreOptions = JobStoreOptions(), clock: any TimeSource = ContinuousClock(),
    wallClock: @escaping @Sendable () -> WallTime = { .now }
  ) {
    requireValid(options.validate)
    table = Lock(JobTable(options.rules))
    self.clock = NanosecondClock(clock)
    self.wallClock = wallClock
  }

  private var now: JobTable.Time {
    JobTable.Time(monotonic: clock.now, wall: wallClock().nanosecondsSince1970)
  }

  /// Puts jobs in, all or none; never suspends.
  public func insert(_ jobs: [JobSubmission]) async throws -> [JobInsertion] {
    let now = now
    return try table.withLock { (table) throws(QueueFullError) in
      try table.insert(jobs, now: now)
    }
  }

  /// Takes jobs for a worker; never suspends.
  public func claim(_ request: JobClaimRequest) async throws -> JobClaim {
    let now = now
    return JobClaim(table.withLock { $0.claimAndLookAhead(request, now: now) })
  }

  /// Makes leases longer; never suspends.
  public func renew(_ leases: [JobLease], for duration: Duration) async throws -> [JobLease] {
    let now = now
    return table.withLock { $0.renew(leases, for: duration, now: now) }
  }

  /// Says what became of claimed jobs; never suspends.
  public func settle(_ settlements: [JobSettlement]) async throws -> [Bool] {
    let now = now
    return table.withLock { table in settlements.map { table.settle($0, now: now) } }
  }

  /// Says what became of claimed jobs and takes the next ones, in one step; never suspends.
  public func settle(
    _ settlements: [JobSettlement], claiming request: JobClaimRequest
  ) async throws -> JobTurn {
    let now = now
    let (accepted, claim) = table.withLock { table in
      (
        settlements.map { table.settle($0, now: now) },
        table.claimAndLookAhead(request, now: now)
      )
    }
    return JobTurn(accepted: accepted, claim: JobClaim(claim))
  }

  /// Ends a job that has not ended; never suspends.
  public func cancel(_ id: JobID, reason: String) async throws -> JobState? {
    let now = now
    return table.withLock { $0.cancel(id, reason: reason, now: now) }
  }

  /// Makes a failed or dead job ready once more; never suspends.
  public func redrive(_ id: JobID) async throws -> Bool {
    let now = now
    return table.withLock { $0.redrive(id, now: now) }
  }

  /// Makes jobs ready again whose lease ran out; never suspends.
  public func recover() async throws -> [JobID] {
    let now = now
    return table.withLock { $0.recover(now: now) }
  }

  /// Forgets ended jobs that are too old or too many; never suspends.
  public func trim() async throws -> [JobID] {
    let now = now
    return table.withLock { $0.trim(now: now) }
  }

  /// A job, or `nil`; never suspends.
  public func job(_ id: JobID) async throws -> JobRecord? { table.withLock { $0[id] } }

  /// A page of jobs by identifier; never suspends.
  ///
  /// - Complexity: O(jobs).
  public func jobs(_ query: JobQuery) async throws -> [JobRecord] {
    table.withLock { $0.page(query) }
  }

  /// How many jobs there are; never suspends.
  public func figures() async throws -> JobFigures { currentFigures() }
}

extension MemoryJobStore: ImmediateFigures {
  func currentFigures() -> JobFigures {
    let now = now
    return table.withLock { $0.figures(now: now) }
  }
}

/// A store in this process, which knows its figures without being waited for.
protocol ImmediateFigures: Sendable {
  func currentFigures() -> JobFigures
}

/// How many jobs a store takes, and how it treats them.
///
///     var options = JobStoreOptions()
///     options.capacity = 100_000
///     let store = MemoryJobStore(options: options)
public struct JobStoreOptions: Hashable, Sendable {
  /// How many live jobs it takes; 1,000 by default.
  public var capacity = 1000
  /// How long a job waits for each level of priority that it lacks until it has aged; 150 seconds by default.
  ///
  /// A job of the lowest priority so waits four steps, ten minutes, before it gets its share of the starts.
  public var agingStep = Duration.seconds(150)
  /// How many ended jobs are kept to be asked about; 1,000 by default.
  public var endedKept = 1000
  /// How long ended jobs are kept, by the wall clock; a day by default.
  public var endedAge = Duration.seconds(86_400)

  /// Makes the defaults.
  public init() {}

  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public func validate() throws(ConfigurationError) {
    try check(capacity >= 1, "capacity", "must be 1 or more")
    try check(agingStep > .zero, "agingStep", "must be greater than zero")
    try check(endedKept >= 0, "endedKept", "must not be negative")
    try check(endedAge >= .zero, "endedAge", "must not be negative")
  }

  var rules: JobTable.Rules {
    JobTable.Rules(
      capacity: capacity, agingStep: agingStep.nanoseconds, endedKept: endedKept,
      endedAge: endedAge.nanoseconds)
  }
}

extension JobClaim {
  init(_ batch: JobTable.ClaimedBatch) {
    self.init(
      items: batch.jobs.map(Item.init), nextDue: batch.nextDue.map { .nanoseconds($0) },
      hasMore: batch.hasMore)
  }
}

extension JobClaim.Item {
  init(_ claimed: JobTable.Claimed) {
    self.init(
      job: claimed.record, lease: JobLease(id: claimed.record.id, token: claimed.token),
      waited: .nanoseconds(claimed.waited))
  }
}
