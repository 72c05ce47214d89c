/// Where jobs are kept: the one thing that a Redis or PostgreSQL store would implement.
///
/// A store knows bytes, states and leases. It knows nothing about handlers, errors, retries or breakers: a
/// ``JobQueue`` decides those and tells the store the outcome.
///
///     let store: any JobStore = MemoryJobStore()
///     let made = try await store.insert([JobSubmission(kind: "mail", payload: Array("{}".utf8))])
///     print(try await store.job(made[0].id)?.state ?? .dead)  // pending
///
/// What every store guarantees, whoever calls at the same moment and wherever it crashes:
///
/// - **One call, one change.** A call happens as a whole or not at all. One that throws has changed nothing, unless its
///   error says that this is not known.
/// - **Nothing acknowledged is lost.** When a call has returned, what it did is as safe as the store promises.
/// - **Atomic claim.** No two claims get the same job, unless the lease of the first ran out, or its worker is known to be
///   dead. That is the *at least once*: a job whose worker is lost is given out again.
/// - **Fencing.** Each claim of a job has a larger token than any before. ``settle(_:)`` and ``renew(_:for:)`` do nothing for
///   a token that isn't the job's latest, and say so; a cancellation makes the token void.
/// - **Order.** ``claim(_:)`` gives jobs by priority, those of one priority by when they became ready, with the aging that
///   ``JobPriority`` describes.
///
/// ``settle(_:claiming:)`` is there for speed alone: a store that doesn't implement it settles, then claims.
public protocol JobStore: Sendable {
  /// Puts jobs in, all or none.
  ///
  /// - Returns: For each job, in order, its identifier, and whether it is a live job that had the same unique key.
  /// - Throws: ``QueueFullError`` when they would be more than the store takes.
  func insert(_ jobs: [JobSubmission]) async throws -> [JobInsertion]

  /// Takes jobs for a worker, each under a lease.
  ///
  /// Scheduled jobs and retries that are due are ready by then. The crash count of each goes up by one before this returns,
  /// and back when the job is settled. A job of a kind that isn't named stays where it is.
  func claim(_ request: JobClaimRequest) async throws -> JobClaim

  /// Makes leases longer.
  ///
  /// - Returns: Those that were lost: the job ended, or somebody else has it.
  func renew(_ leases: [JobLease], for duration: Duration) async throws -> [JobLease]

  /// Says what became of claimed jobs.
  ///
  /// - Returns: For each, in order, whether it was accepted: `false` for a token that isn't the job's latest.
  func settle(_ settlements: [JobSettlement]) async throws -> [Bool]

  /// Says what became of claimed jobs and takes the next ones, as ``settle(_:)`` and then ``claim(_:)`` do.
  ///
  /// A worker that goes from one job to the next calls this once instead of each of the two: a durable store needs one commit for
  /// both. What the two guarantee holds here too, with one addition: when the settlements are stored and the claim is not
  /// possible, this doesn't throw, and ``JobTurn/claim`` is `nil`. So whoever gets an error knows that nothing was settled.
  ///
  /// - Returns: What was accepted, and what was claimed.
  func settle(
    _ settlements: [JobSettlement], claiming request: JobClaimRequest
  ) async throws -> JobTurn

  /// Ends a job that has not ended, whatever it is doing.
  ///
  /// - Parameters:
  ///   - id: The job.
  ///   - reason: Why, for people.
  /// - Returns: The state it was in, or `nil` when there is no such job. One that had ended stays as it was.
  func cancel(_ id: JobID, reason: String) async throws -> JobState?

  /// Makes a failed or dead job ready once more, with all of its attempts.
  ///
  /// - Returns: Whether it was; `false` when there is no such job, it isn't failed or dead, or its unique key is taken.
  func redrive(_ id: JobID) async throws -> Bool

  /// Makes jobs ready again whose lease ran out.
  ///
  /// - Returns: Which they were.
  func recover() async throws -> [JobID]

  /// Forgets ended jobs that are too old or too many.
  ///
  /// - Returns: Which they were.
  func trim() async throws -> [JobID]

  /// A job, or `nil` when there is none of this identifier, or no longer.
  func job(_ id: JobID) async throws -> JobRecord?

  /// A page of jobs by identifier.
  func jobs(_ query: JobQuery) async throws -> [JobRecord]

  /// How many jobs there are of each state.
  func figures() async throws -> JobFigures
}

extension JobStore {
  /// Settles, then claims, in two calls.
  public func settle(
    _ settlements: [JobSettlement], claiming request: JobClaimRequest
  ) async throws -> JobTurn {
    let accepted = try await settle(settlements)
    return JobTurn(accepted: accepted, claim: try? await claim(request))
  }
}

/// What became of one submission.
public struct JobInsertion: Hashable, Sendable {
  /// The job.
  public let id: JobID
  /// Whether it is a job that was there, with the same unique key.
  public let isDuplicate: Bool

  /// Makes an answer.
  public init(id: JobID, isDuplicate: Bool) {
    self.id = id
    self.isDuplicate = isDuplicate
  }
}

/// What a worker asks for.
public struct JobClaimRequest: Sendable {
  /// How many jobs at most, 1 or more.
  public var limit: Int
  /// Of which kinds, and how many at most of each.
  public var kinds: [JobKindAllowance]
  /// How long the lease lasts unless it is renewed.
  public var lease: Duration

  /// Makes a request.
  public init(limit: Int, kinds: [JobKindAllowance], lease: Duration) {
    self.limit = limit
    self.kinds = kinds
    self.lease = lease
  }
}

/// How many jobs of a kind may be claimed.
public struct JobKindAllowance: Hashable, Sendable {
  /// The name of the kind.
  public var kind: String
  /// How many at most.
  public var limit: Int

  /// Makes an allowance.
  public init(kind: String, limit: Int = .max) {
    self.kind = kind
    self.limit = limit
  }
}

/// The right to work on a job: its identifier, and the fencing token of the claim.
public struct JobLease: Hashable, Sendable {
  /// The job.
  public let id: JobID
  /// The fencing token; larger than that of any earlier claim of the job.
  public let token: UInt64

  /// Makes a lease.
  public init(id: JobID, token: UInt64) {
    self.id = id
    self.token = token
  }
}

/// What a worker got.
public struct JobClaim: Sendable {
  /// A job with its lease.
  public struct Item: Sendable {
    /// The job as it is now, running.
    public let job: JobRecord
    /// The right to work on it.
    public let lease: JobLease
    /// How long it was ready before it was claimed.
    public let waited: Duration

    /// Makes an item.
    public init(job: JobRecord, lease: JobLease, waited: Duration) {
      self.job = job
      self.lease = lease
      self.waited = waited
    }
  }

  /// The jobs, in the order in which they are to start.
  public var items: [Item]
  /// How long until a job that waits for its time is due or a lease runs out; `nil` when there is none.
  ///
  /// Never more than a minute while jobs wait for a date of the wall clock, which may jump.
  public var nextDue: Duration?
  /// Whether other jobs may be ready; `true` when the store doesn't know.
  public var hasMore: Bool

  /// Makes an answer.
  public init(items: [Item], nextDue: Duration?, hasMore: Bool = true) {
    self.items = items
    self.nextDue = nextDue
    self.hasMore = hasMore
  }
}

/// What became of a claimed job.
public struct JobSettlement: Sendable {
  /// The outcomes.
  public enum Outcome: Sendable {
    /// Done; a note says when it was not done in the ordinary way.
    case completed(note: String?)
    /// The attempt failed, and another one is due after a while.
    case retry(after: Duration, JobFailure)
    /// It failed for good. `isDead` when a dead-letter queue has its story.
    case failed(JobFailure, isDead: Bool)
    /// Its body asked for its cancellation.
    case cancelled(reason: String)
    /// The worker gives it back, as if it had not been claimed.
    case released(after: Duration)
  }

  /// The right to say so.
  public var lease: JobLease
  /// What became of it.
  public var outcome: Outcome

  /// Makes a settlement.
  public init(_ lease: JobLease, _ outcome: Outcome) {
    self.lease = lease
    self.outcome = outcome
  }
}

/// The answer to a worker that has ended some jobs and asked for the next ones.
public struct JobTurn: Sendable {
  /// For each settlement, in order, whether it was accepted.
  public var accepted: [Bool]
  /// What the worker got; `nil` when it has to ask again.
  public var claim: JobClaim?

  /// Makes an answer.
  public init(accepted: [Bool], claim: JobClaim?) {
    self.accepted = accepted
    self.claim = claim
  }
}

/// Which jobs to list.
public struct JobQuery: Hashable, Sendable {
  /// In which states; all when empty.
  public var states: Set<JobState> = []
  /// Of which kind; any when `nil`.
  public var kind: String?
  /// With which tag; any when `nil`.
  public var tag: String?
  /// After which job; from the first one when `nil`.
  public var after: JobID?
  /// How many at most.
  public var limit = 100

  /// Makes a query for all jobs.
  public init() {}
}

/// How many jobs a store has.
public struct JobFigures: Hashable, Sendable {
  /// Jobs by state; of the ended ones, those that are still kept.
  public var states: [JobState: Int] = [:]
  /// Ready jobs by priority.
  public var pending: [JobPriority: Int] = [:]
  /// How long the oldest ready job of each priority has waited.
  public var oldest: [JobPriority: Duration] = [:]
  /// Ready, running and retrying jobs by kind.
  public var active: [String: Int] = [:]
  /// How many jobs the store takes.
  public var capacity = Int.max

  /// Makes figures of nothing.
  public init() {}

  /// Jobs that have not ended.
  public var live: Int {
    states.reduce(0) { $0 + ($1.key.isEnd ? 0 : $1.value) }
  }
}
