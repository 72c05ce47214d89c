public import CircuitBreaker
public import RateLimiting
public import ReliabilityCore

/// The bodies of a queue's jobs, by kind; filled in when the queue is made.
///
///     let queue = JobQueue(store) {
///       $0.handle(Transcode.self) { job, context in try await transcode(job.video) }
///     }
public struct JobHandlers: Sendable {
  struct Handler: Sendable {
    typealias Body = @Sendable ([UInt8], JobContext) async throws -> Void
    var kind: String
    let options: JobKindOptions
    /// The options of its jobs that are put in without any.
    let terms: JobTerms
    var body: Body
    var fallback: Body?

    init(kind: String, options: JobKindOptions, body: @escaping Body) {
      self.kind = kind
      self.options = options
      terms = .of(options.defaults)
      self.body = body
    }
  }

  private(set) var all: [Handler] = []

  /// Says what is done with jobs of a type.
  ///
  /// A payload that can't be decoded fails the job for good: another attempt would read the same bytes.
  ///
  /// - Parameters:
  ///   - type: The type. A kind that has a body already traps.
  ///   - options: Limits of this kind.
  ///   - fallback: What to do instead when an attempt took too long. It gets the same payload and as much time.
  ///   - body: The work. It may run more than once for a job; see the guide.
  public mutating func handle<Job: DurableJob>(
    _ type: Job.Type, options: JobKindOptions = JobKindOptions(),
    fallback: (@Sendable (Job, JobContext) async throws -> Void)? = nil,
    _ body: @escaping @Sendable (Job, JobContext) async throws -> Void
  ) {
    requireValid(options.validate)
    precondition(
      !all.contains { $0.kind == Job.kind }, "kind \"\(Job.kind)\" has a handler already")
    var handler = Handler(kind: Job.kind, options: options) { payload, context in
      try await body(try Job(decoding: payload), context)
    }
    if let fallback {
      handler.fallback = { payload, context in
        try await fallback(try Job(decoding: payload), context)
      }
    }
    all.append(handler)
  }
}

extension DurableJob {
  fileprivate init(decoding payload: [UInt8]) throws {
    do {
      self = try Self(encodedPayload: payload)
    } catch {
      throw JobPayloadError(kind: Self.kind, cause: error)
    }
  }
}

/// The limits of one kind of job.
///
///     var options = JobKindOptions()
///     options.concurrency = 2
///     options.breaker = videoService.breaker
public struct JobKindOptions: Sendable {
  /// How many may run at once, 1 or more; as many as the queue has workers when `nil`.
  public var concurrency: Int?
  /// How often one may start.
  ///
  /// A job of a kind that may not start waits without burning an attempt, and holds up no other kind.
  public var rateLimiter: RateLimiter?
  /// What the jobs depend on.
  ///
  /// Every run is a call of the breaker. While it is open the jobs of this kind wait, without burning attempts.
  public var breaker: CircuitBreaker?
  /// How jobs of this kind are run unless ``JobQueue/enqueue(_:options:)`` is told otherwise.
  public var defaults = JobOptions()

  /// Makes options without limits.
  public init() {}

  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public func validate() throws(ConfigurationError) {
    if let concurrency { try check(concurrency >= 1, "concurrency", "must be 1 or more") }
    try defaults.validate()
  }
}

/// The stored payload of a job is not one of its type.
public struct JobPayloadError: ClassifiedError, ErrorWithCauses {
  /// The kind of job.
  public let kind: String
  /// What the decoder said.
  public let cause: any Error

  /// Describes a payload that can't be decoded.
  public init(kind: String, cause: any Error) {
    self.kind = kind
    self.cause = cause
  }

  /// What the decoder said.
  public var causes: [any Error] { [cause] }
  /// `ErrorCategory.validation`.
  public var category: ErrorCategory { .validation }
  /// Never: another attempt would read the same bytes.
  public var retryability: Retryability { .notRetryable }
  /// Names the kind of job.
  public var userMessage: String? { "A stored job of the kind \"\(kind)\" can't be read." }
}

/// A job did not fail by itself: it was stopped from outside for good.
public struct JobEndedError: ClassifiedError, Hashable {
  /// What ended it.
  public enum Reason: Hashable, Sendable {
    /// It killed its worker, or hung until its lease ran out, so many times.
    case quarantined(crashes: Int)
    /// Its deadline had passed.
    case deadlinePassed
  }

  /// What ended it.
  public let reason: Reason

  /// Describes an end.
  public init(_ reason: Reason) { self.reason = reason }

  /// `ErrorCategory.process` for a quarantine, `ErrorCategory.timeout` for a deadline.
  public var category: ErrorCategory {
    switch reason {
    case .quarantined: .process
    case .deadlinePassed: .timeout
    }
  }
  /// Never.
  public var retryability: Retryability { .notRetryable }
  /// Says what ended it.
  public var userMessage: String? { description }
}

extension JobEndedError: CustomStringConvertible {
  /// The reason in words.
  public var description: String {
    switch reason {
    case .quarantined(let crashes):
      "The job was lost with its worker \(crashes) times and is not run again."
    case .deadlinePassed: "The deadline of the job had passed."
    }
  }
}
