public import ReliabilityCore

extension CircuitBreaker {
  /// When a breaker opens, for how long, and how it finds out that it may close.
  ///
  ///     var configuration = CircuitBreaker.Configuration.recommended
  ///     configuration.slowCalls = .init(longerThan: .seconds(5), rate: 0.5)
  ///     configuration.observer = { event in print(event) }
  ///     let breaker = CircuitBreaker(name: "search", configuration: configuration)
  ///
  /// The thresholds are independent; the first one that is reached opens the breaker.
  public struct Configuration: Sendable {
    /// Opens after so many failures with no success between them, 1 at least; `nil` for no such threshold.
    public var consecutiveFailures: Int?

    /// Opens when at least this part of the calls in the window failed, above 0 and at most 1; `nil` for no such threshold.
    public var failureRate: Double?

    /// Opens when too large a part of the calls was slow; `nil` for no such threshold.
    ///
    /// With it every call reads the clock twice.
    public var slowCalls: SlowCalls?

    /// Which calls the two rates are taken over.
    public var window: Window

    /// How many calls there must be in the window before a rate means anything, 1 at least.
    ///
    /// Not above the size of a window by count. Small enough to be reached by the traffic there is; otherwise the breaker
    /// never opens.
    public var minimumVolume: Int

    /// How long it stays open: the first delay after the first opening, the next one when a probe failed, and so on.
    ///
    /// The first delay must be greater than zero.
    public var openTime: Backoff

    /// The longest time a server may ask for, zero or more; zero ignores such requests.
    ///
    /// Five minutes by default, as in Envoy. A longer request counts as this long. It is spread upward by half of it and 5 seconds at most, unless ``openTime``
    /// has no jitter.
    public var longestServerHint: Duration

    /// How many probes may be out at the same time, 1 to 10,000.
    public var halfOpenPermits: Int

    /// How many probes must succeed before it closes, 1 at least.
    ///
    /// One that fails, or is slow where ``slowCalls`` says what that is, opens it again.
    public var halfOpenSuccesses: Int

    /// How long a probe may take before its slot is given to somebody else; greater than zero.
    ///
    /// Without it a probe that never ends would keep the breaker half-open for ever. What it says afterwards is ignored.
    public var probeLease: Duration

    /// Your own verdict on an error, or `nil` to leave it to ``Verdict/init(judging:)``.
    ///
    /// Not asked about cancellations, nor about any error of a cancelled task. Sees the error inside a `ContextualError`.
    /// Called outside locks.
    public var judge: (@Sendable (any Error) -> Verdict?)?

    /// Told about every change of state, once and in order, outside locks, on the thread of a caller.
    ///
    /// May use the breaker. When two threads change the state at the same time, one of them tells both events.
    public var observer: (@Sendable (Event) -> Void)?

    /// Where the chance of the jitter comes from.
    public var randomness: RandomSource

    /// The clock that decides.
    public var clock: any TimeSource

    /// Makes a configuration with the numbers of ``default`` where none are given.
    ///
    /// - Parameters:
    ///   - consecutiveFailures: Opens after so many failures in a row.
    ///   - failureRate: Opens at this part of failed calls in the window.
    ///   - slowCalls: Opens when too many calls are slow.
    ///   - window: Which calls the rates are taken over.
    ///   - minimumVolume: How many calls make a rate.
    ///   - openTime: How long it stays open.
    ///   - halfOpenPermits: How many probes at the same time.
    ///   - halfOpenSuccesses: How many of them must succeed.
    ///   - probeLease: How long a probe keeps its slot.
    /// - Precondition: ``validate()`` does not throw.
    public init(
      consecutiveFailures: Int? = 5, failureRate: Double? = nil, slowCalls: SlowCalls? = nil,
      window: Window = .count(100), minimumVolume: Int = 10,
      openTime: Backoff = .constant(.seconds(60), jitter: .none), halfOpenPermits: Int = 1,
      halfOpenSuccesses: Int = 1, probeLease: Duration = .seconds(60)
    ) {
      self.consecutiveFailures = consecutiveFailures
      self.failureRate = failureRate
      self.slowCalls = slowCalls
      self.window = window
      self.minimumVolume = minimumVolume
      self.openTime = openTime
      longestServerHint = .seconds(300)
      self.halfOpenPermits = halfOpenPermits
      self.halfOpenSuccesses = halfOpenSuccesses
      self.probeLease = probeLease
      randomness = .system
      clock = ContinuousClock()
      requireValid(validate)
    }

    /// Opens after 5 failures in a row for 60 seconds; one successful probe closes it.
    public static let `default` = Configuration()

    /// Opens when half of at least 10 calls of the last 30 seconds failed, or 10 in a row.
    ///
    /// Stays open for 15 seconds, doubled for every probe that fails, up to 5 minutes, give or take a fifth.
    ///
    /// For a service under load: a few failures among many successes don't open it. The 10 in a row are for times of
    /// little traffic, in which the window never fills.
    public static let recommended = Configuration(
      consecutiveFailures: 10, failureRate: 0.5, window: .time(.seconds(30)), minimumVolume: 10,
      openTime: .exponential(
        base: .seconds(15), cap: .seconds(300), jitter: .proportional(0.2)))
  }
}

extension CircuitBreaker.Configuration {
  /// Which calls a rate is taken over.
  public struct Window: Hashable, Sendable {
    enum Shape: Hashable, Sendable {
      case count(Int)
      case time(Duration, buckets: Int)
    }

    let shape: Shape

    /// The last so many calls, 1 to 1,000,000; a byte of memory each.
    public static func count(_ calls: Int) -> Window { Window(shape: .count(calls)) }

    /// The calls of the last so many seconds, forgotten a bucket at a time.
    ///
    /// - Parameters:
    ///   - length: A microsecond to a day.
    ///   - buckets: In how many parts the window slides, 1 to 1,000. More are more exact; one forgets all at once.
    public static func time(_ length: Duration, buckets: Int = 10) -> Window {
      Window(shape: .time(length, buckets: buckets))
    }
  }

  /// What a slow call is, and how many are too many.
  public struct SlowCalls: Hashable, Sendable {
    /// A call that takes this long is slow, at the latest when it ends, and already while it is in flight.
    public var duration: Duration
    /// Opens when at least this part of the calls is slow, above 0 and at most 1.
    public var rate: Double

    /// Makes a threshold for slow calls.
    ///
    /// - Parameters:
    ///   - duration: From when on a call is slow, greater than zero.
    ///   - rate: Which part of them opens the breaker, above 0 and at most 1.
    public init(longerThan duration: Duration, rate: Double) {
      self.duration = duration
      self.rate = rate
    }
  }

  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public func validate() throws(ConfigurationError) {
    try check(
      consecutiveFailures != nil || failureRate != nil || slowCalls != nil, "consecutiveFailures",
      "must be set when neither failureRate nor slowCalls is")
    if let consecutiveFailures {
      try check(consecutiveFailures >= 1, "consecutiveFailures", "must be at least 1")
    }
    if let failureRate {
      // NaN fails both comparisons.
      try check(
        failureRate > 0 && failureRate <= 1, "failureRate", "must be above 0 and at most 1")
    }
    if let slowCalls {
      try check(
        slowCalls.duration > .zero, "slowCalls.duration", "must be greater than zero")
      try check(
        slowCalls.rate > 0 && slowCalls.rate <= 1, "slowCalls.rate",
        "must be above 0 and at most 1")
    }
    try check(minimumVolume >= 1, "minimumVolume", "must be at least 1")
    switch window.shape {
    case .count(let calls):
      try check((1...1_000_000).contains(calls), "window", "must be of 1 to 1000000 calls")
      if failureRate != nil || slowCalls != nil {
        try check(
          minimumVolume <= calls, "minimumVolume", "must not be above the size of the window")
      }
    case .time(let length, let buckets):
      try check(
        length >= .microseconds(1) && length <= .seconds(86_400), "window",
        "must be of 1 microsecond to 1 day")
      try check((1...1000).contains(buckets), "window", "must have 1 to 1000 buckets")
    }
    do {
      try openTime.validate()
    } catch {
      throw ConfigurationError(field: "openTime.\(error.field)", rule: error.rule)
    }
    try check(
      openTime.delayWithoutJitter(afterAttempt: 1) > .zero, "openTime",
      "must begin with a delay greater than zero")
    try check(longestServerHint >= .zero, "longestServerHint", "must not be negative")
    try check(
      (1...10_000).contains(halfOpenPermits), "halfOpenPermits", "must be between 1 and 10000")
    try check(halfOpenSuccesses >= 1, "halfOpenSuccesses", "must be at least 1")
    try check(probeLease > .zero, "probeLease", "must be greater than zero")
  }
}
