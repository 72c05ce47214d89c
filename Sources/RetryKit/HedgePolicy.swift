public import ErrorContext
public import ReliabilityCore

/// When to start another attempt beside one that takes long: the plan that `hedge` follows.
///
/// A value to be made once and shared; copying it costs one reference.
///
///     let durations = HedgeDurations()
///     var policy = HedgePolicy(
///       delay: .quantile(0.95, of: durations, otherwise: .milliseconds(200)),
///       budget: RetryBudget(name: "search"))
///     let hits = try await hedge(policy) { attempt in try await search(query) }
///
/// By default there is one hedge at most, after two seconds (Polly's figure). The delay that fits is near the 95th
/// percentile of what the call takes: then one call in twenty is hedged, and only the slow ones (Dean and Barroso, *The
/// Tail at Scale*, 2013).
public struct HedgePolicy: Sendable {
  @usableFromInline let settings: HedgeSettings

  /// Makes a policy.
  ///
  /// - Parameters:
  ///   - delay: How long an attempt may take before another one starts beside it.
  ///   - maxAttempts: How many attempts in all, the first included: 1 at least.
  ///   - budget: Bounds the load that hedges add; the one that the retries of the same calls use, `nil` for no bound.
  /// - Precondition: ``validate()`` does not throw.
  public init(
    delay: HedgeDelay = .fixed(.seconds(2)), maxAttempts: Int = 2, budget: RetryBudget? = nil
  ) {
    settings = HedgeSettings(
      HedgeSettings.Values(delay: delay, maxAttempts: maxAttempts, budget: budget))
    requireValid(validate)
  }

  private init(settings: HedgeSettings) {
    self.settings = settings
  }

  /// One hedge at most, after two seconds, no budget.
  public static let `default` = HedgePolicy()

  /// How long an attempt may take before another one starts beside it.
  public var delay: HedgeDelay {
    get { settings.values.delay }
    set { update { $0.delay = newValue } }
  }

  /// How many attempts in all, the first included.
  public var maxAttempts: Int {
    get { settings.values.maxAttempts }
    set { update { $0.maxAttempts = newValue } }
  }

  /// Bounds the load that hedges add; `nil` for no bound.
  ///
  /// Every call pays in, as with `retry`, and every attempt after the first takes one token. With none left no further
  /// attempt starts; what runs is never disturbed.
  public var budget: RetryBudget? {
    get { settings.values.budget }
    set { update { $0.budget = newValue } }
  }

  /// Your own opinion on an error: `true` when it is one attempt's and another may succeed, `false` when it is the
  /// answer to all of them, `nil` to leave it to what the error says of itself.
  ///
  /// Sees the error inside a `ContextualError`. Not asked about cancellations. May be called from any thread.
  public var shouldContinue: (@Sendable (any Error) -> Bool?)? {
    get { settings.values.shouldContinue }
    set { update { $0.shouldContinue = newValue } }
  }

  /// Says what kind of trouble an error is; `nil` for `ErrorClassifier.default` as it is at that moment.
  public var classifier: ErrorClassifier? {
    get { settings.values.classifier }
    set { update { $0.classifier = newValue } }
  }

  /// Told about the begin and the end of every attempt, on the caller's task, outside locks.
  public var observer: (@Sendable (HedgeEvent) -> Void)? {
    get { settings.values.observer }
    set { update { $0.observer = newValue } }
  }

  /// The clock that waits.
  public var clock: any TimeSource {
    get { settings.values.clock }
    set { update { $0.clock = newValue } }
  }

  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public func validate() throws(ConfigurationError) {
    try check(maxAttempts >= 1, "maxAttempts", "must be at least 1")
    try delay.validate()
  }

  private mutating func update(_ change: (inout HedgeSettings.Values) -> Void) {
    var values = settings.values
    change(&values)
    self = HedgePolicy(settings: HedgeSettings(values))
  }
}

/// How long an attempt may take before another one starts beside it.
///
///     HedgePolicy(delay: .fixed(.milliseconds(300)))
///     HedgePolicy(delay: .quantile(0.95, of: durations, otherwise: .milliseconds(300)))
///     HedgePolicy(delay: .afterFailure)
public enum HedgeDelay: Sendable {
  /// Always so long; zero starts all attempts at once.
  case fixed(Duration)

  /// As long as the given part of the past calls took at most.
  ///
  /// - Parameters:
  ///   - fraction: Greater than 0 and at most 1: 0.95 hedges one call in twenty.
  ///   - of: The past calls, shared by all calls of the same kind.
  ///   - otherwise: The delay until enough calls were seen.
  case quantile(Double, of: HedgeDurations, otherwise: Duration)

  /// Never: another attempt starts only when one has failed.
  case afterFailure

  func validate() throws(ConfigurationError) {
    switch self {
    case .fixed(let delay):
      try check(delay >= .zero, "delay", "must not be negative")
    case .quantile(let fraction, _, let otherwise):
      try check(fraction > 0 && fraction <= 1, "delay.quantile", "must be above 0 and at most 1")
      try check(otherwise >= .zero, "delay.otherwise", "must not be negative")
    case .afterFailure: break
    }
  }

  /// The delay of a call that is made now; `nil` for none.
  var current: Duration? {
    switch self {
    case .fixed(let delay): delay
    case .quantile(let fraction, let durations, let otherwise):
      durations.quantile(fraction) ?? otherwise
    case .afterFailure: nil
    }
  }

  /// Where to record how long calls take.
  var durations: HedgeDurations? {
    if case .quantile(_, let durations, _) = self { durations } else { nil }
  }
}

/// What a ``HedgePolicy`` refers to: immutable, so that handing a policy to `hedge` copies one reference.
@usableFromInline final class HedgeSettings: Sendable {
  struct Values: Sendable {
    var delay: HedgeDelay
    var maxAttempts: Int
    var budget: RetryBudget?
    var shouldContinue: (@Sendable (any Error) -> Bool?)?
    var classifier: ErrorClassifier?
    var observer: (@Sendable (HedgeEvent) -> Void)?
    var clock: any TimeSource = ContinuousClock()
  }

  let values: Values
  let durations: HedgeDurations?
  let clock: NanosecondClock

  /// Whether the time of each attempt is of interest, also of one that ends before anything waits.
  let isTimed: Bool

  init(_ values: Values) {
    self.values = values
    durations = values.delay.durations
    clock = NanosecondClock(values.clock)
    isTimed = durations != nil || values.observer != nil
  }
}
