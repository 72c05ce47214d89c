internal import ErrorContext
internal import ReliabilityCore

/// The decisions of one call of `retry`, without clock, task and side effects.
struct RetryStateMachine {
  enum Action: Hashable {
    case wait(Duration)
    case stop(RetryStopReason)
  }

  /// What is known of an attempt that did not succeed.
  struct Failure {
    /// `nil` for a result that was refused.
    var category: ErrorCategory?
    var retryability: Retryability
    /// What ``RetryPolicy/shouldRetry`` said.
    var opinion: Bool?

    static let refusedResult = Failure(category: nil, retryability: .retryable(), opinion: nil)
  }

  /// The attempt that is running, from 1.
  private(set) var attempt = 1
  private let values: RetrySettings.Values
  private let isIdempotent: Bool
  private let started: ContinuousClock.Instant?
  private var generator: any RandomNumberGenerator & Sendable
  private var previousDelay: Duration?
  private var failuresOfRules: [ErrorCategory: (count: Int, previousDelay: Duration?)] = [:]

  init(_ values: RetrySettings.Values, isIdempotent: Bool, started: ContinuousClock.Instant?) {
    self.values = values
    self.isIdempotent = isIdempotent
    self.started = started
    generator = values.randomness.makeGenerator()
  }

  /// Decides what follows the failure of the attempt that is running; cancellation is decided before.
  mutating func attemptFailed(
    _ failure: Failure, now: ContinuousClock.Instant, deadline: Deadline?
  ) -> Action {
    if failure.opinion == false { return .stop(.predicate) }
    if failure.opinion == nil, !failure.retryability.isRetryable { return .stop(.notRetryable) }
    let rule = failure.category.flatMap { values.rules[$0] }
    if rule == .never, failure.opinion == nil { return .stop(.notRetryable) }
    if !isIdempotent { return .stop(.notIdempotent) }

    if let maxAttempts = values.maxAttempts, attempt >= maxAttempts {
      return .stop(.attemptsExhausted)
    }
    if let category = failure.category, let rule {
      failuresOfRules[category, default: (0, nil)].count += 1
      if rule != .never, let limit = rule.maxAttempts, failuresOfRules[category]!.count >= limit {
        return .stop(.attemptsExhausted)
      }
    }

    let delay = requestedDelay(failure, atLeast: backoffDelay(failure, rule))
    if let deadline, !deadline.allows(delay, from: now) { return .stop(.deadline) }
    if let totalTime = values.totalTime, let started,
      now.saturatingAdvanced(by: delay) >= started.saturatingAdvanced(by: totalTime)
    {
      return .stop(.totalTime)
    }
    return .wait(delay)
  }

  /// The wait is over.
  mutating func nextAttempt() {
    if attempt < .max { attempt += 1 }
  }

  private mutating func backoffDelay(
    _ failure: Failure, _ rule: RetryPolicy.CategoryRule?
  ) -> Duration {
    guard let category = failure.category, let own = rule?.backoff,
      let history = failuresOfRules[category]
    else {
      let delay = values.backoff.delay(
        afterAttempt: attempt, following: previousDelay, using: &generator)
      previousDelay = delay
      return delay
    }
    let delay = own.delay(
      afterAttempt: history.count, following: history.previousDelay, using: &generator)
    failuresOfRules[category]!.previousDelay = delay
    return delay
  }

  /// What the error asks for, bounded and spread upward, or the backoff's delay when that is longer.
  private mutating func requestedDelay(_ failure: Failure, atLeast backoff: Duration) -> Duration {
    guard let asked = failure.retryability.retryAfter, asked > .zero else { return backoff }
    let bounded = min(asked, values.longestRequestedDelay.clamped)
    guard values.backoff.jitter != .none else { return max(backoff, bounded) }
    let width = min(bounded.nanoseconds / 2, 5_000_000_000)
    let spread = Duration.nanoseconds(Int64.random(in: 0...width, using: &generator))
    return max(backoff, bounded.saturatingAdd(spread))
  }
}
