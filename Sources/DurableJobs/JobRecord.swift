public import ReliabilityCore

/// A job that is to be put into a store.
public struct JobSubmission: Sendable {
  /// The name of its kind.
  public var kind: String
  /// What its body gets, as bytes.
  public var payload: [UInt8]
  /// How it is to be run.
  public var options: JobOptions {
    get { terms.options }
    set { terms = JobTerms(newValue) }
  }
  /// The options, shared by all jobs that have the same.
  private(set) var terms: JobTerms

  /// Makes a submission.
  ///
  /// - Parameters:
  ///   - kind: The name of its kind.
  ///   - payload: What its body gets.
  ///   - options: How it is to be run.
  public init(kind: String, payload: [UInt8], options: JobOptions = JobOptions()) {
    self.init(kind: kind, payload: payload, terms: .of(options))
  }

  init(kind: String, payload: [UInt8], terms: JobTerms) {
    self.kind = kind
    self.payload = payload
    self.terms = terms
  }
}

/// One failed attempt of a job.
public struct JobFailure: Hashable, Sendable, Codable {
  /// Which attempt it was, from 1.
  public var attempt: Int
  /// The error in words, secrets taken out, 512 bytes at most.
  public var error: String
  /// What kind of trouble it was.
  public var category: ErrorCategory
  /// When it ended, in nanoseconds of the wall clock since 1970.
  public var endedAt: Int64
  /// How long it took, in milliseconds.
  public var milliseconds: Int64

  /// Makes the record of a failed attempt.
  ///
  /// - Parameters:
  ///   - attempt: Which attempt it was, from 1.
  ///   - error: The error in words.
  ///   - category: What kind of trouble it was.
  ///   - endedAt: When it ended.
  ///   - milliseconds: How long it took.
  public init(
    attempt: Int, error: String, category: ErrorCategory, endedAt: Int64, milliseconds: Int64
  ) {
    self.attempt = attempt
    self.error = error
    self.category = category
    self.endedAt = endedAt
    self.milliseconds = milliseconds
  }
}

/// A job as its store knows it.
public struct JobRecord: Sendable {
  /// Its name within the store.
  public let id: JobID
  /// The name of its kind.
  public let kind: String
  /// What its body gets; empty once it is completed or cancelled.
  public internal(set) var payload: [UInt8]
  /// Where it is in its life.
  public internal(set) var state: JobState
  /// How often its body failed, since the last redrive.
  public internal(set) var attempts = 0
  /// How often a worker took it and was never heard of again, since it last ended in order.
  public internal(set) var crashes = 0
  /// How often it was redriven.
  public internal(set) var redrives = 0
  /// When it was put in, in nanoseconds of the wall clock since 1970.
  public let enqueuedAt: Int64
  /// When it ended, in nanoseconds of the wall clock since 1970.
  public internal(set) var endedAt: Int64?
  /// The latest failed attempts, oldest first, 20 at most.
  public internal(set) var failures: [JobFailure] = []
  /// What is to be said about its end: why it was cancelled, that its fallback ran.
  public internal(set) var note: String?
  let terms: JobTerms

  /// How it is to be run.
  public var options: JobOptions { terms.options }
  var priority: JobPriority { terms.priority }

  static let failuresKept = 20
}

/// The options of a job, shared by all that have the same.
///
/// Most jobs of a queue have the same options, and a million jobs wait: one word each.
final class JobTerms: Sendable {
  let options: JobOptions
  /// That of the options, which is asked for more often than all the rest.
  let priority: JobPriority
  static let standard = JobTerms(JobOptions())

  init(_ options: JobOptions) {
    self.options = options
    priority = options.priority
  }

  /// Those of some options: the standard ones when they are these.
  static func of(_ options: JobOptions) -> JobTerms {
    options == standard.options ? standard : JobTerms(options)
  }
}
