internal import ErrorContext
internal import ReliabilityCore

/// What a ``RetryPolicy`` refers to: immutable, so that handing a policy to `retry` copies one reference.
@usableFromInline final class RetrySettings: Sendable {
  struct Values: Sendable {
    var maxAttempts: Int? = 3
    var totalTime: Duration?
    var backoff = Backoff.default
    var rules: [ErrorCategory: RetryPolicy.CategoryRule] = [:]
    var longestRequestedDelay = Duration.seconds(300)
    var shouldRetry: (@Sendable (any Error) -> Bool?)?
    var budget: RetryBudget?
    var classifier: ErrorClassifier?
    var observer: (@Sendable (RetryEvent) -> Void)?
    var randomness = RandomSource.system
    var clock: any TimeSource = ContinuousClock()
  }

  /// Any instant, to count from.
  static let origin = ContinuousClock.now

  let values: Values

  /// Whether there is anything to do before the first attempt.
  @usableFromInline let hasWorkAtStart: Bool
  private let isTimed: Bool

  init(_ values: Values) {
    self.values = values
    isTimed = values.totalTime != nil || values.observer != nil
    hasWorkAtStart = isTimed || values.budget != nil
  }

  /// Pays into the budget and reads the clock, where the policy needs it.
  @usableFromInline func start() -> Duration? {
    values.budget?.deposit()
    return isTimed ? Self.origin.duration(to: values.clock.now) : nil
  }
}

extension RetrySettings? {
  private static let defaults = RetrySettings(RetrySettings.Values())

  var orDefault: RetrySettings { self ?? Self.defaults }
}
