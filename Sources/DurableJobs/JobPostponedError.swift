public import ReliabilityCore

/// Says that a job can't be done now, and is to be given out again later: no attempt is burnt.
///
///     $0.handle(Fetch.self) { job, context in
///       guard let ticket = try? breakers.admit(for: job.host) else {
///         throw JobPostponedError(for: .seconds(30), "the circuit of \(job.host) is open")
///       }
///       …
///     }
///
/// For what only the body can ask, such as a breaker or a rate limit of the host that its payload names. What holds for a
/// whole kind belongs into ``JobKindOptions``, which asks before a job is claimed. A fallback can't postpone.
public struct JobPostponedError: LocalRejection, Hashable {
  /// How long the job is left alone; zero or less is that it is ready at once, behind the others.
  public let delay: Duration
  /// Why, for people.
  public let reason: String

  /// Describes a postponement.
  ///
  /// - Parameters:
  ///   - delay: How long the job is left alone.
  ///   - reason: Why, for people.
  public init(for delay: Duration, _ reason: String) {
    self.delay = delay
    self.reason = reason
  }

  /// `ErrorCategory.dependency`.
  public var category: ErrorCategory { .dependency }
  /// Retryable after ``delay``.
  public var retryability: Retryability { .retryable(after: delay) }
  /// The reason.
  public var userMessage: String? { reason }
}

extension JobPostponedError: CustomStringConvertible {
  /// The reason and the delay.
  public var description: String { "postponed for \(delay): \(reason)" }
}
