public import ErrorContext
public import ReliabilityCore

/// When to try again, how often, and how long to wait: the plan that `retry` follows.
///
/// A value to be made once and shared; copying it costs one reference.
///
///     var policy = RetryPolicy(maxAttempts: 5, backoff: .exponential(base: .milliseconds(200)))
///     policy.rules[.unknown] = .upTo(attempts: 2)
///     policy.rules[.overload] = .init(backoff: .linear(base: .seconds(5)))
///     policy.observer = { event in print(event) }
///     let page = try await retry(policy) { try await fetch(url) }
///
/// After a failed attempt these are asked in this order, and the first "no" ends it:
/// 1. Cancellation: of the task, or an error that means one. Nothing else is asked.
/// 2. ``shouldRetry``; where it has no opinion, the rule for the error's category, then the error's own retryability as
///    the ``classifier`` sees it.
/// 3. Whether the operation may be repeated at all (the `idempotent` argument of `retry`).
/// 4. ``maxAttempts``, and the limit of the category's rule.
/// 5. Whether the wait can end before `Deadline.current` and within ``totalTime``.
/// 6. ``budget``.
///
/// Making one from bad values traps with the field and the rule it breaks. For values that come from flags, files or
/// the environment, set the properties of an existing one and call ``validate()``.
public struct RetryPolicy: Sendable {
  // None for the default policy: the fast path of `retry` then counts no references.
  @usableFromInline var settings: RetrySettings?

  @usableFromInline init(settings: RetrySettings?) {
    self.settings = settings
  }

  var values: RetrySettings.Values { settings.orDefault.values }

  /// Makes a policy.
  ///
  /// - Parameters:
  ///   - maxAttempts: How many attempts in all, the first included: 1 at least, `nil` for no limit.
  ///   - totalTime: For how long after the first attempt's begin new attempts may start; greater than zero, `nil` for
  ///     no limit. It does not end an attempt that runs: `withTimeout` does.
  ///   - backoff: How long to wait between attempts.
  ///   - budget: Bounds the load retries add, `nil` for no bound.
  /// - Precondition: ``validate()`` does not throw.
  public init(
    maxAttempts: Int? = 3, totalTime: Duration? = nil, backoff: Backoff = .default,
    budget: RetryBudget? = nil
  ) {
    var values = RetrySettings.Values()
    values.maxAttempts = maxAttempts
    values.totalTime = totalTime
    values.backoff = backoff
    values.budget = budget
    settings = RetrySettings(values)
    requireValid(validate)
  }

  /// Three attempts in all, one second doubled between them with full jitter, no budget.
  ///
  /// For a program that makes few calls. A server should use ``recommended``.
  @inlinable public static var `default`: RetryPolicy { RetryPolicy(settings: nil) }

  /// As ``default``, with two attempts only for errors nobody has classified, and a budget.
  ///
  /// The budget is one for the whole process. It keeps a general outage from being amplified; to keep one broken
  /// dependency from spending what another one needs, give each its own by ``recommended(budget:)``.
  public static let recommended = recommended(budget: RetryBudget(name: "process"))

  /// As ``recommended``, with a budget of your own.
  ///
  /// - Parameter budget: One for each thing that can be overloaded, kept and shared by all its callers. A budget made
  ///   anew for every call bounds nothing.
  public static func recommended(budget: RetryBudget) -> RetryPolicy {
    var policy = RetryPolicy(budget: budget)
    policy.rules[.unknown] = .upTo(attempts: 2)
    return policy
  }

  /// How many attempts in all, the first included; `nil` for no limit.
  public var maxAttempts: Int? {
    get { values.maxAttempts }
    set { update { $0.maxAttempts = newValue } }
  }

  /// For how long after the first attempt's begin new attempts may start; `nil` for no limit.
  ///
  /// With a limit the clock is read once for every call, also a successful one.
  public var totalTime: Duration? {
    get { values.totalTime }
    set { update { $0.totalTime = newValue } }
  }

  /// How long to wait between attempts.
  public var backoff: Backoff {
    get { values.backoff }
    set { update { $0.backoff = newValue } }
  }

  /// What is different for some categories of errors.
  public var rules: [ErrorCategory: CategoryRule] {
    get { values.rules }
    set { update { $0.rules = newValue } }
  }

  /// The longest wait that an error may ask for (`Retryability.retryable(after:)`, a server's `Retry-After`): five
  /// minutes by default, as in Envoy.
  ///
  /// What an error asks for only ever makes the wait longer than the backoff's, never shorter. A longer request counts
  /// as this long. It is spread upward, by half of it and 5 seconds at most (AWS), so that the clients a server turned
  /// away do not all return at the moment it named; that goes beyond this limit. No jitter in the backoff, no
  /// spread here.
  public var longestRequestedDelay: Duration {
    get { values.longestRequestedDelay }
    set { update { $0.longestRequestedDelay = newValue } }
  }

  /// Your own opinion on an error: `true` to try again, `false` not to, `nil` to leave it to the rules.
  ///
  /// Sees the error inside a `ContextualError`. Not asked about cancellations. May be called from any thread.
  public var shouldRetry: (@Sendable (any Error) -> Bool?)? {
    get { values.shouldRetry }
    set { update { $0.shouldRetry = newValue } }
  }

  /// Bounds the load retries add; `nil` for no bound.
  public var budget: RetryBudget? {
    get { values.budget }
    set { update { $0.budget = newValue } }
  }

  /// Says what kind of trouble an error is; `nil` for `ErrorClassifier.default` as it is at that moment.
  public var classifier: ErrorClassifier? {
    get { values.classifier }
    set { update { $0.classifier = newValue } }
  }

  /// Told about every failed attempt and every recovery, on the caller's executor, outside locks.
  ///
  /// With an observer the clock is read once for every call, also a successful one.
  public var observer: (@Sendable (RetryEvent) -> Void)? {
    get { values.observer }
    set { update { $0.observer = newValue } }
  }

  /// Where the jitter's chance comes from.
  public var randomness: RandomSource {
    get { values.randomness }
    set { update { $0.randomness = newValue } }
  }

  /// The clock that waits.
  public var clock: any TimeSource {
    get { values.clock }
    set { update { $0.clock = newValue } }
  }

  private mutating func update(_ change: (inout RetrySettings.Values) -> Void) {
    var values = values
    change(&values)
    settings = RetrySettings(values)
  }
}

extension RetryPolicy {
  /// This policy for errors of some types only; any other error is final.
  ///
  ///     let policy = RetryPolicy.default.limited(to: NetworkError.self, HTTPStatusError.self)
  ///
  /// Looks through `ContextualError` and errors with causes. An error of one of the types is still retried only if
  /// everything else agrees; ``shouldRetry``, if set before, is asked about those errors alone.
  ///
  /// - Parameter types: Concrete error types, or protocols as in `(any ClassifiedError).self`.
  public func limited<each Failure>(to types: repeat (each Failure).Type) -> RetryPolicy {
    var matchers: [@Sendable (any Error) -> Bool] = []
    repeat matchers.append(Self.matcher(for: each types))
    var policy = self
    policy.shouldRetry = { [matchers, shouldRetry] error in
      matchers.contains { $0(error) } ? shouldRetry?(error) : false
    }
    return policy
  }

  private static func matcher<Failure>(
    for type: Failure.Type
  ) -> @Sendable (any Error) -> Bool {
    { $0.underlying(as: Failure.self) != nil }
  }

  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public func validate() throws(ConfigurationError) {
    if let maxAttempts { try check(maxAttempts >= 1, "maxAttempts", "must be at least 1") }
    if let totalTime { try check(totalTime > .zero, "totalTime", "must be greater than zero") }
    try check(
      longestRequestedDelay >= .zero, "longestRequestedDelay", "must not be negative")
    try backoff.validate(as: "backoff")
    for (category, rule) in rules { try rule.validate(as: "rules[\(category)]") }
  }
}

extension Backoff {
  func validate(as field: String) throws(ConfigurationError) {
    do {
      try validate()
    } catch {
      throw ConfigurationError(field: "\(field).\(error.field)", rule: error.rule)
    }
  }
}
