public import ReliabilityCore
internal import ReliabilityMetrics
internal import Synchronization

/// Runs jobs from a store: each at least once, in order of priority, within its limits, until it is done or given up.
///
///     let queue = JobQueue(MemoryJobStore()) {
///       $0.handle(Transcode.self) { job, context in try await transcode(job.video) }
///     }
///     try await withJobQueue(queue) { queue in
///       try await queue.enqueue(Transcode(video: 42))
///     }
///
/// What ends a run is kept apart:
///
/// | what | then |
/// |---|---|
/// | the body throws | another attempt after the backoff, or the job has failed for good |
/// | it takes too long | the fallback of the kind runs, or it counts as a failed attempt |
/// | somebody cancels the job, or the body throws a `CancellationError` of its own | it is cancelled, whatever the body does |
/// | the queue is stopped | it goes back and burns no attempt |
/// | the worker is lost | it is given out again, and its crash count grows |
///
/// The queue is used from any task. It works while ``run()`` runs; jobs can be put in before and after.
public final class JobQueue: MetricsSource {
  /// The name in figures.
  public var name: String { configuration.name }
  /// How it works.
  public let configuration: Configuration
  /// Where its jobs are.
  public let store: any JobStore

  let handlers: [JobHandlers.Handler]
  let kindIndices: [String: Int]
  let allAllowances: [JobKindAllowance]
  /// Whether a kind has a limit of its own.
  let hasGates: Bool
  let clock: NanosecondClock
  let shell: Lock<Shell>
  let hasListeners: Atomic<Bool>
  let durations: Histogram
  let waits: Histogram

  /// Makes a queue on a store.
  ///
  /// - Parameters:
  ///   - store: Where its jobs are.
  ///   - configuration: How it works.
  ///   - handlers: Names the bodies of all kinds; a kind that is missing is kept in the store and reported.
  public init(
    _ store: any JobStore, configuration: Configuration = Configuration(),
    handlers: (inout JobHandlers) -> Void
  ) {
    requireValid(configuration.validate)
    var named = JobHandlers()
    handlers(&named)
    self.store = store
    self.configuration = configuration
    self.handlers = named.all
    kindIndices = Dictionary(
      uniqueKeysWithValues: named.all.enumerated().map { ($1.kind, $0) })
    allAllowances = named.all.map { JobKindAllowance(kind: $0.kind) }
    hasGates = named.all.contains {
      $0.options.concurrency != nil || $0.options.rateLimiter != nil || $0.options.breaker != nil
    }
    clock = NanosecondClock(configuration.clock)
    shell = Lock(Shell(kinds: named.all.count, now: clock.now))
    hasListeners = Atomic(configuration.observer != nil)
    let labels = [(name: "queue", value: configuration.name)]
    durations = Histogram(
      "job_duration_seconds", help: "How long bodies ran", labels: labels)
    waits = Histogram(
      "job_wait_seconds", help: "How long jobs were ready before they started", labels: labels)
  }

  /// What the lock guards.
  struct Shell {
    /// Of one kind of job.
    struct KindState {
      var running = 0
      /// Places that a worker holds while it asks the store.
      var reserved = 0
      /// Whether a worker found the last place reserved by another one, who must see to it that somebody looks again.
      var wasTurnedAway = false
      var heldUntil = Int64.min
      var isHeldReported = false
    }

    enum Mode { case idle, running, stopping }

    var mode = Mode.idle
    var isPaused = false
    /// Slots in use, also those of abandoned bodies that are held.
    var workers = 0
    /// Counts what may have made a job claimable.
    var signals: UInt64 = 0
    /// How often the queue has begun to work.
    var generation = 0
    /// The runs, by fencing token.
    var runs: [UInt64: JobRun] = [:]
    /// Settlements that are not stored yet.
    var unsettled = 0
    /// Leases of jobs whose outcome or dead letter is still to be stored, by token: they are renewed as those of runs are.
    var settlingLeases: [UInt64: JobLease] = [:]
    /// Jobs that were cancelled between their claim and the beginning of their run.
    var cancelledEarly: Set<JobID> = []
    var cancelledLongAgo: Set<JobID> = []
    /// Slots of abandoned bodies.
    var heldSlots = 0
    /// Whether the time to end in order is over.
    var isCutOff = false
    var kinds: [KindState]
    var counts = JobCounts()
    var outcomes: OutcomeWindow
    var endWaiters: [JobID: [JobWaiter]] = [:]
    var changeWaiters: [JobWaiter] = []
    var streams: [Int: AsyncStream<JobEvent>.Continuation] = [:]
    var nextStream = 0
    var tick: (alarm: TickAlarm, due: Int64)?
    var nextHeartbeat = Int64.max
    var nextCleanup = Int64.max
    var reportedKinds: Set<String> = []
    var stopped: [JobWaiter] = []
    var startedAt: Int64?

    init(kinds: Int, now: Int64) {
      self.kinds = Array(repeating: KindState(), count: kinds)
      outcomes = OutcomeWindow(now: now)
    }

    var mayStart: Bool { mode == .running && !isPaused }
  }
}

// MARK: Putting jobs in, and asking about them

extension JobQueue {
  /// Puts a job in.
  ///
  ///     let id = try await queue.enqueue(Transcode(video: 42)).id
  ///
  /// When this returns, the job is as safe as the store promises.
  ///
  /// - Parameters:
  ///   - job: The job.
  ///   - options: How it is to be run; the defaults of its kind when `nil`. A bad value traps.
  /// - Returns: Its identifier, and whether a live job with the same unique key was there: then that one's.
  /// - Throws: ``QueueFullError``; what its coding throws; what the store throws; `CancellationError` when the task is cancelled
  ///   before it is handed to the store.
  @discardableResult
  public nonisolated(nonsending) func enqueue<Job: DurableJob>(
    _ job: Job, options: JobOptions? = nil
  ) async throws -> JobInsertion {
    try await insert([try submission(job, terms(Job.kind, options))])[0]
  }

  /// Puts jobs of one type in, all or none, in one commit.
  ///
  /// - Parameters:
  ///   - jobs: The jobs.
  ///   - options: How they are to be run; the defaults of their kind when `nil`.
  /// - Returns: What became of each, in order.
  /// - Throws: As ``enqueue(_:options:)``.
  @discardableResult
  public nonisolated(nonsending) func enqueue<Job: DurableJob>(
    contentsOf jobs: some Sequence<Job>, options: JobOptions? = nil
  ) async throws -> [JobInsertion] {
    let terms = terms(Job.kind, options)
    return try await insert(try jobs.map { try submission($0, terms) })
  }

  private func submission<Job: DurableJob>(
    _ job: Job, _ terms: JobTerms
  ) throws -> JobSubmission {
    JobSubmission(kind: Job.kind, payload: try job.encodedPayload(), terms: terms)
  }

  /// How jobs of a kind are run that are put in with these options, or with none.
  private func terms(_ kind: String, _ options: JobOptions?) -> JobTerms {
    guard let options else { return kindIndex(of: kind).map { handlers[$0].terms } ?? .standard }
    requireValid(options.validate)
    return .of(options)
  }

  /// Which handler a kind has.
  func kindIndex(of kind: String) -> Int? {
    // A few names are compared faster than one is hashed.
    if handlers.count <= 4 { return handlers.firstIndex { $0.kind == kind } }
    return kindIndices[kind]
  }

  private nonisolated(nonsending) func insert(
    _ jobs: [JobSubmission]
  ) async throws -> [JobInsertion] {
    if jobs.isEmpty { return [] }
    try Task.checkCancellation()
    let made = try await store.insert(jobs)
    shell.withLock { shell in
      for insertion in made where !insertion.isDuplicate { shell.counts.queued += 1 }
    }
    if isListening {
      for (insertion, job) in zip(made, jobs) where !insertion.isDuplicate {
        tell(JobEvent(.enqueued, id: insertion.id, jobKind: job.kind))
      }
    }
    signal()
    return made
  }

  /// Cancels a job, whatever it is doing: it is never started again, also not after a crash.
  ///
  /// A body that runs is told to stop, and its result counts for nothing. This does not wait for it.
  ///
  /// - Parameters:
  ///   - id: The job.
  ///   - reason: Why, for people.
  /// - Returns: Whether it was cancelled now; `false` when it had ended, or there is no such job.
  /// - Throws: What the store throws.
  @discardableResult
  public nonisolated(nonsending) func cancel(
    _ id: JobID, reason: String = "cancelled"
  ) async throws -> Bool {
    guard let before = try await store.cancel(id, reason: reason), !before.isEnd else {
      return false
    }
    let run = shell.withLock { shell -> JobRun? in
      shell.counts.cancelled += 1
      let run = shell.runs.values.first { $0.id == id }
      if before == .running, run == nil { shell.cancelledEarly.insert(id) }
      return run
    }
    tell(JobEvent(.cancelled(reason: reason), id: id))
    if let run { end(run, because: .cancelled) }
    hasEnded(id)
    noteChange()
    return true
  }

  /// A job as it is now, or `nil` when there is none of this identifier, or no longer.
  ///
  /// - Throws: What the store throws.
  public nonisolated(nonsending) func status(of id: JobID) async throws -> JobSnapshot? {
    guard let record = try await store.job(id) else { return nil }
    let progress = shell.withLock { shell in
      shell.runs.isEmpty ? nil : shell.runs.values.first { $0.id == id }?.progress
    }
    return JobSnapshot(record, progress: record.state == .running ? progress : nil)
  }

  /// A page of jobs, by identifier.
  ///
  /// - Throws: What the store throws.
  public nonisolated(nonsending) func jobs(_ query: JobQuery = JobQuery()) async throws
    -> [JobSnapshot]
  {
    try await store.jobs(query).map { JobSnapshot($0) }
  }

  /// Makes a failed or dead job ready once more, with all of its attempts.
  ///
  /// - Returns: Whether it was; `false` when it is neither, is no longer kept, or another job has its unique key.
  /// - Throws: What the store throws.
  @discardableResult
  public nonisolated(nonsending) func redrive(_ id: JobID) async throws -> Bool {
    guard try await store.redrive(id) else { return false }
    signal()
    return true
  }

  /// Waits until a job has ended.
  ///
  /// - Parameter id: The job.
  /// - Returns: The job at its end; `nil` when there is none of this identifier, or no longer.
  /// - Throws: What the store throws; `CancellationError`.
  public nonisolated(nonsending) func end(of id: JobID) async throws -> JobSnapshot? {
    while true {
      let waiter = JobWaiter()
      shell.withLock { $0.endWaiters[id, default: []].append(waiter) }
      let found: JobSnapshot?
      do {
        found = try await status(of: id)
      } catch {
        forget(waiter, id)
        throw error
      }
      guard let found, !found.state.isEnd else {
        forget(waiter, id)
        return found
      }
      await waiter.wait()
      forget(waiter, id)
      try Task.checkCancellation()
    }
  }

  private func forget(_ waiter: JobWaiter, _ id: JobID) {
    shell.withLock { shell in
      shell.endWaiters[id]?.removeAll { $0 === waiter }
      if shell.endWaiters[id]?.isEmpty == true { shell.endWaiters[id] = nil }
    }
  }

  /// Wakes those who wait for the end of a job.
  func hasEnded(_ id: JobID) {
    let waiters = shell.withLock { shell -> [JobWaiter] in
      if shell.endWaiters.isEmpty { return [] }
      return shell.endWaiters.removeValue(forKey: id) ?? []
    }
    for waiter in waiters { waiter.resume() }
  }
}
