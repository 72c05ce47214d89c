/// How long to wait before each next attempt: a curve, a cap, and jitter that survives the cap.
///
/// The curve gives the delay after attempt 1, 2, 3 …; the cap limits it; only then the jitter spreads it, downward
/// from the cap. So a crowd of clients whose delays all reached the cap still does not return at the same moment,
/// and no delay is ever longer than the cap.
///
///     let backoff = Backoff.exponential(base: .milliseconds(200), cap: .seconds(20))
///     var generator = SystemRandomNumberGenerator()
///     for attempt in 1...4 {
///       print(backoff.delay(afterAttempt: attempt, using: &generator))  // 0…0.2, 0…0.4, 0…0.8, 0…1.6 seconds
///     }
///
/// A `Backoff` is an immutable plan and can be shared; ``delays(using:)`` makes the iterator that remembers the
/// delay before. Delays are whole nanoseconds. No attempt number and no setting makes the arithmetic trap or
/// overflow: it saturates at the cap, or at 292 years without one.
///
/// Making one from bad values traps with the field and the rule it breaks. For values that come from flags, files
/// or the environment, set the properties of an existing one and call ``validate()``:
///
///     var backoff = Backoff.default
///     backoff.curve = .exponential(base: .seconds(options.base), factor: options.factor)
///     try backoff.validate()
public struct Backoff: Hashable, Sendable {
  /// How the delay grows from attempt to attempt, before the cap and the jitter.
  public var curve: Curve

  /// The longest delay, or `nil` for none.
  ///
  /// Must be greater than zero and not below the curve's first delay.
  public var cap: Duration?

  /// How a delay is spread at random.
  public var jitter: Jitter

  /// Makes a backoff from its parts.
  ///
  /// - Parameters:
  ///   - curve: How the delay grows.
  ///   - cap: The longest delay, or `nil` for none.
  ///   - jitter: How a delay is spread at random.
  /// - Precondition: ``validate()`` does not throw.
  public init(curve: Curve, cap: Duration?, jitter: Jitter) {
    self.curve = curve
    self.cap = cap
    self.jitter = jitter
    requireValid(validate)
  }

  /// One second, doubled after each attempt, 30 seconds at most, full jitter.
  public static let `default` = exponential()

  /// No wait at all.
  public static let none = constant(.zero, jitter: .none)

  /// The same delay after every attempt.
  ///
  /// - Parameters:
  ///   - delay: Zero or more.
  ///   - jitter: Full by default. ``Jitter/proportional(_:)`` spreads the delay around its value.
  public static func constant(_ delay: Duration, jitter: Jitter = .full) -> Backoff {
    Backoff(curve: .constant(delay), cap: nil, jitter: jitter)
  }

  /// `base`, `base + step`, `base + 2 step` and so on.
  ///
  /// - Parameters:
  ///   - base: The first delay, greater than zero.
  ///   - step: What each further attempt adds, zero or more; `nil` means `base`.
  ///   - cap: The longest delay, not below `base`.
  ///   - jitter: Full by default.
  public static func linear(
    base: Duration = .seconds(1), step: Duration? = nil, cap: Duration = .seconds(30),
    jitter: Jitter = .full
  ) -> Backoff {
    Backoff(curve: .linear(base: base, step: step ?? base), cap: cap, jitter: jitter)
  }

  /// `base`, `base × factor`, `base × factor²` and so on.
  ///
  /// - Parameters:
  ///   - base: The first delay, greater than zero.
  ///   - factor: What each further attempt multiplies by, finite and one at least.
  ///   - cap: The longest delay, not below `base`.
  ///   - jitter: Full by default.
  public static func exponential(
    base: Duration = .seconds(1), factor: Double = 2, cap: Duration = .seconds(30),
    jitter: Jitter = .full
  ) -> Backoff {
    Backoff(curve: .exponential(base: base, factor: factor), cap: cap, jitter: jitter)
  }

  /// `base` times 1, 1, 2, 3, 5, 8 …: grows by 1.6 in the long run, gentler than doubling.
  ///
  /// - Parameters:
  ///   - base: The first delay, greater than zero.
  ///   - cap: The longest delay, not below `base`.
  ///   - jitter: Full by default.
  public static func fibonacci(
    base: Duration = .seconds(1), cap: Duration = .seconds(30), jitter: Jitter = .full
  ) -> Backoff {
    Backoff(curve: .fibonacci(base: base), cap: cap, jitter: jitter)
  }

  /// These delays in this order; after them the last one repeats.
  ///
  /// The list does not limit the attempts: that is the retry policy's part.
  ///
  /// - Parameters:
  ///   - delays: One at least, each zero or more.
  ///   - jitter: None by default: an explicit list is usually meant literally.
  public static func list(_ delays: [Duration], jitter: Jitter = .none) -> Backoff {
    Backoff(curve: .list(delays), cap: nil, jitter: jitter)
  }
}

extension Backoff {
  /// The delay after an attempt.
  ///
  /// - Parameters:
  ///   - attempt: The attempt that just failed, from 1. Zero and negative count as 1; any number is allowed.
  ///   - previous: The delay before this attempt, which ``Jitter/decorrelated`` builds on. When `nil` it takes the
  ///     curve's delay of the attempt before, so that a stateless caller still gets a sensible spread.
  ///   - generator: The source of chance.
  /// - Returns: Between zero and the cap.
  /// - Complexity: O(log attempt), at most about a hundred steps.
  public func delay(
    afterAttempt attempt: Int, following previous: Duration? = nil,
    using generator: inout some RandomNumberGenerator
  ) -> Duration {
    let limit = limitNanoseconds
    let plain = plainNanoseconds(afterAttempt: attempt, limit: limit)
    guard jitter.kind == .decorrelated else {
      return .nanoseconds(jitter.spread(plain, limit: limit, using: &generator))
    }
    let first = plainNanoseconds(afterAttempt: 1, limit: limit)
    let before =
      if let previous { Swift.min(max(0, previous.nanoseconds), limit) } else {
        attempt > 1 ? plainNanoseconds(afterAttempt: attempt - 1, limit: limit) : first
      }
    let ceiling = curve.largestNanoseconds.map { Swift.min($0, limit) } ?? limit
    return .nanoseconds(
      Jitter.decorrelate(first: first, previous: before, limit: ceiling, using: &generator))
  }

  /// The delay after an attempt without jitter: the curve under the cap.
  ///
  /// - Parameter attempt: The attempt that just failed, from 1. Zero and negative count as 1.
  public func delayWithoutJitter(afterAttempt attempt: Int) -> Duration {
    .nanoseconds(plainNanoseconds(afterAttempt: attempt, limit: limitNanoseconds))
  }

  /// The delays of one operation, after its first attempt, its second, and so on without end.
  ///
  /// - Parameter randomness: Where chance comes from.
  public func delays(using randomness: RandomSource = .system) -> Delays {
    Delays(backoff: self, generator: randomness.makeGenerator())
  }

  /// The cap, or 292 years.
  private var limitNanoseconds: Int64 { max(0, cap?.nanoseconds ?? .max) }

  private func plainNanoseconds(afterAttempt attempt: Int, limit: Int64) -> Int64 {
    Swift.min(limit, curve.nanoseconds(retry: max(1, attempt), limit: limit))
  }
}

extension Backoff {
  /// The endless delays of one operation: a ``Backoff`` together with what it must remember.
  ///
  ///     var delays = Backoff.exponential(jitter: .decorrelated).delays(using: .seeded(1))
  ///     let first = delays.next()
  ///     let second = delays.next()
  ///     for delay in delays.prefix(3) { print(delay) }
  public struct Delays: Sequence, IteratorProtocol, Sendable {
    private let backoff: Backoff
    private var generator: any RandomNumberGenerator & Sendable
    private var attempt = 0
    private var previous: Duration?

    init(backoff: Backoff, generator: any RandomNumberGenerator & Sendable) {
      self.backoff = backoff
      self.generator = generator
    }

    /// The delay after the next attempt; never `nil`.
    public mutating func next() -> Duration? {
      if attempt < .max { attempt += 1 }
      let delay = backoff.delay(afterAttempt: attempt, following: previous, using: &generator)
      previous = delay
      return delay
    }
  }
}

extension Backoff {
  /// Checks values that came from outside the code.
  ///
  /// - Throws: A ``ConfigurationError`` that names the field and the rule it breaks.
  public func validate() throws(ConfigurationError) {
    if let cap { try check(cap > .zero, "cap", "must be greater than zero") }
    try curve.validate()
    try jitter.validate()
    if let cap, let first = curve.first {
      try check(first <= cap, curve.firstField, "must not be above the cap")
    }
  }
}
