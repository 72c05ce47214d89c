/// Something that happened to a job, or to the queue.
public struct JobEvent: Sendable {
  /// The kinds of event.
  public enum Kind: Sendable {
    /// It was put into the store.
    case enqueued
    /// Its body, or its fallback, begins.
    case started(attempt: Int, waited: Duration)
    /// Its body reported progress.
    case progressed(JobProgress)
    /// It is done.
    case completed(note: String?)
    /// An attempt failed, and another one follows.
    case retrying(attempt: Int, of: Int, after: Duration, error: any Error)
    /// It failed for good; `isDead` when the dead-letter queue has it.
    case failed(error: any Error, isDead: Bool)
    /// It was cancelled.
    case cancelled(reason: String)
    /// An attempt took too long and was told to stop.
    case timedOut(limit: Duration)
    /// Its body doesn't listen to cancellation, and the queue waits for it no longer.
    case abandoned
    /// The body of a job that was decided without it has ended after all; its result counts for nothing.
    case lateResultRefused
    /// It was given back without burning an attempt: the worker is stopped, or its kind may not run.
    case released
    /// Its worker was lost: the lease ran out.
    case leaseExpired
    /// Jobs of a kind wait for its breaker or its rate limit.
    case held(for: Duration?)
    /// Jobs of this kind wait, and no handler knows them.
    case unknownKind(count: Int)
    /// The store refused or failed; what was to be stored is tried again.
    case storeFailed(error: any Error)
  }

  /// What happened.
  public let kind: Kind
  /// To which job, `nil` for what concerns the queue.
  public let id: JobID?
  /// The name of the kind of job, where there is one.
  public let jobKind: String?

  init(_ kind: Kind, id: JobID? = nil, jobKind: String? = nil) {
    self.kind = kind
    self.id = id
    self.jobKind = jobKind
  }
}

/// A job as a person or a program outside sees it.
public struct JobSnapshot: Hashable, Sendable, Codable {
  /// The job.
  public var id: JobID
  /// The name of its kind.
  public var kind: String
  /// Where it is in its life.
  public var state: JobState
  /// How much it matters.
  public var priority: JobPriority
  /// How often its body failed.
  public var attempts: Int
  /// How often it may fail.
  public var maxAttempts: Int
  /// How often its worker was lost.
  public var crashes: Int
  /// How often it was redriven.
  public var redrives: Int
  /// When it was put in, in nanoseconds of the wall clock since 1970.
  public var enqueuedAt: Int64
  /// When it ended, in nanoseconds of the wall clock since 1970.
  public var endedAt: Int64?
  /// The latest failed attempts, oldest first, 20 at most.
  public var failures: [JobFailure]
  /// What is to be said about its end.
  public var note: String?
  /// Words to find it by.
  public var tags: [String]
  /// The identifier of whoever asked for it.
  public var callerID: String?
  /// How far it is, while it runs here.
  public var progress: JobProgress?

  init(_ record: JobRecord, progress: JobProgress? = nil) {
    id = record.id
    kind = record.kind
    state = record.state
    priority = record.options.priority
    attempts = record.attempts
    maxAttempts = record.options.maxAttempts
    crashes = record.crashes
    redrives = record.redrives
    enqueuedAt = record.enqueuedAt
    endedAt = record.endedAt
    failures = record.failures
    note = record.note
    tags = record.options.tags
    callerID = record.options.callerID
    self.progress = progress
  }
}
