public import ReliabilityCore

/// How much a cache keeps, for how long, and what it does when a new value can't be had.
///
///     var policy = CachePolicy(capacity: 10_000, timeToLive: .seconds(300))
///     policy.staleWhileRevalidate = .seconds(60)
///     policy.staleIfError = .seconds(3600)
///     policy.isNegative = { ($0 as? HTTPStatusError)?.statusCode == 404 }
///     let pages = ResilientCache<String, Page>(name: "pages", policy: policy)
///
/// An entry is fresh for its time to live, then stale for the longer of the two windows, then gone:
///
///     |---- fresh ----|-- stale while revalidate --|
///                     |---------- stale if error ----------|
///
/// Source of the two windows: RFC 5861.
public struct CachePolicy: Sendable {
  /// The largest number of entries, 1 to 10,000,000.
  public var capacity: Int

  /// The largest sum of the entries' costs, in whatever the cache's weigher counts; `nil` for no such bound.
  ///
  /// At least 1. A value that costs more than all of it is returned, but not kept.
  public var maximumCost: Int?

  /// How long an entry is fresh, greater than zero; more than a hundred years count as that.
  public var timeToLive: Duration

  /// The part of the time to live that chance takes off, 0 to 1.
  ///
  /// With 0.1 an entry is fresh for 90 to 100 % of its time, so that entries that were made together are not loaded together
  /// again and again.
  public var jitter: Double

  /// How long after its time an entry is still given out while one load renews it in the background; zero or more.
  public var staleWhileRevalidate: Duration

  /// How long after its time an entry is given out when the load of a new one failed; zero or more.
  ///
  /// Within this time those who ask wait for the load, until one failed; then they get the entry at once until the next load is
  /// due by ``refreshBackoff``.
  public var staleIfError: Duration

  /// How long it is remembered that there is no value, zero (not at all) or more; more than a hundred years count as that.
  ///
  /// Chance takes off the same part as of ``timeToLive``.
  public var negativeTimeToLive: Duration

  /// Which errors of a load are answers (there is no such thing) and are remembered for ``negativeTimeToLive``.
  ///
  /// ``NoSuchValueError`` always is. Not asked about cancellations. Called outside locks.
  public var isNegative: (@Sendable (any Error) -> Bool)?

  /// How long after a failed load the next one of the same entry waits, while a stale entry is there to be given out.
  public var refreshBackoff: Backoff

  /// How many loads may run in the background at the same time, at least 1.
  ///
  /// When there are more stale entries than that, the others wait for their turn to be renewed, or for the end of their window.
  /// A load that has taken longer than ``loadLease``, or whose result will not be kept, does not count: one that hangs gives its
  /// place back, and is cancelled when nobody waits for it.
  public var maximumRefreshes: Int

  /// How long a load may take before those who ask anew don't wait for it any more, and start another one; greater than zero.
  ///
  /// Without it a load that never ends would keep its key from ever being loaded again. What it brings afterwards goes to those
  /// who still wait for it and is not kept.
  public var loadLease: Duration

  /// Where the chance of the jitter comes from.
  public var randomness: RandomSource

  /// The clock that decides.
  public var clock: any TimeSource

  /// Makes a policy.
  ///
  /// - Parameters:
  ///   - capacity: The largest number of entries.
  ///   - maximumCost: The largest sum of their costs.
  ///   - timeToLive: How long an entry is fresh.
  ///   - staleWhileRevalidate: How long it is given out after that while it is renewed.
  ///   - staleIfError: How long it is given out after that when it can't be renewed.
  ///   - negativeTimeToLive: How long it is remembered that there is no value.
  /// - Precondition: ``validate()`` does not throw.
  public init(
    capacity: Int = 1_000, maximumCost: Int? = nil, timeToLive: Duration = .seconds(3600),
    staleWhileRevalidate: Duration = .zero, staleIfError: Duration = .zero,
    negativeTimeToLive: Duration = .seconds(30)
  ) {
    self.capacity = capacity
    self.maximumCost = maximumCost
    self.timeToLive = timeToLive
    jitter = 0.1
    self.staleWhileRevalidate = staleWhileRevalidate
    self.staleIfError = staleIfError
    self.negativeTimeToLive = negativeTimeToLive
    refreshBackoff = .exponential(base: .seconds(1), cap: .seconds(60), jitter: .equal)
    maximumRefreshes = 16
    loadLease = .seconds(300)
    randomness = .system
    clock = ContinuousClock()
    requireValid(validate)
  }

  /// 1,000 entries for an hour, nothing stale.
  public static let `default` = CachePolicy()
}

extension CachePolicy {
  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public func validate() throws(ConfigurationError) {
    try check(
      (1...10_000_000).contains(capacity), "capacity", "must be between 1 and 10000000")
    if let maximumCost { try check(maximumCost >= 1, "maximumCost", "must be at least 1") }
    try check(timeToLive > .zero, "timeToLive", "must be greater than zero")
    // NaN fails both comparisons.
    try check(jitter >= 0 && jitter <= 1, "jitter", "must be between 0 and 1")
    try check(staleWhileRevalidate >= .zero, "staleWhileRevalidate", "must not be negative")
    try check(staleIfError >= .zero, "staleIfError", "must not be negative")
    try check(negativeTimeToLive >= .zero, "negativeTimeToLive", "must not be negative")
    do {
      try refreshBackoff.validate()
    } catch {
      throw ConfigurationError(field: "refreshBackoff.\(error.field)", rule: error.rule)
    }
    try check(maximumRefreshes >= 1, "maximumRefreshes", "must be at least 1")
    try check(loadLease > .zero, "loadLease", "must be greater than zero")
  }
}

/// A policy in the numbers that the state machine computes with.
@usableFromInline struct CacheRules: Sendable {
  @usableFromInline let capacity: Int
  @usableFromInline let maximumCost: Int
  @usableFromInline let life: Int64
  @usableFromInline let negativeLife: Int64
  @usableFromInline let jitter: Double
  @usableFromInline let staleWhileRevalidate: Int64
  @usableFromInline let staleIfError: Int64
  let refreshBackoff: Backoff
  let maximumRefreshes: Int
  @usableFromInline let loadLease: Int64

  init(_ policy: CachePolicy) {
    capacity = policy.capacity
    maximumCost = policy.maximumCost ?? .max
    life = Self.lifetime(policy.timeToLive)
    negativeLife = Self.nanoseconds(policy.negativeTimeToLive)
    jitter = policy.jitter
    staleWhileRevalidate = Self.nanoseconds(policy.staleWhileRevalidate)
    staleIfError = Self.nanoseconds(policy.staleIfError)
    refreshBackoff = policy.refreshBackoff
    maximumRefreshes = policy.maximumRefreshes
    loadLease = Self.lifetime(policy.loadLease)
  }

  /// For how long something stale is kept.
  @inlinable var staleWindow: Int64 { max(staleWhileRevalidate, staleIfError) }

  /// Between zero and a hundred years.
  ///
  /// With ``time(_:)``, a sum or a difference of two can't overflow.
  @usableFromInline static func nanoseconds(_ duration: Duration) -> Int64 {
    min(max(0, duration.nanoseconds), 100 * 365 * 86_400 * 1_000_000_000)
  }

  /// As ``nanoseconds(_:)``, of what is greater than zero and must stay so: at least one.
  @usableFromInline static func lifetime(_ duration: Duration) -> Int64 {
    max(1, nanoseconds(duration))
  }

  /// A time of the clock, at most 127 years from its origin.
  @inlinable static func time(_ now: Int64) -> Int64 {
    let limit: Int64 = 4_000_000_000_000_000_000
    return min(max(now, -limit), limit)
  }

  /// The life that is left when chance has taken off its part.
  @usableFromInline func shortened(_ life: Int64, using generator: inout SeededGenerator) -> Int64 {
    if jitter == 0 { return life }
    return life - Int64(Double(life) * jitter * Double.random(in: 0..<1, using: &generator))
  }
}
