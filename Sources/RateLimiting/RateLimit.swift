public import ReliabilityCore

/// How often something may happen: so many times in a stretch of time, and how many of them at once.
///
///     let limit = RateLimit(60, per: .seconds(60), burst: 10)
///     let limiter = RateLimiter(limit, .init(1_000, per: .seconds(3600)))
///
/// Permits come back evenly, one every `period / permits`, up to `burst`. So no stretch of time, wherever it begins, sees more
/// than `burst` plus its even share; there is no window whose edge lets twice as many through.
///
/// Time is counted in sixteenths of a nanosecond and a permit's share is rounded up, so a rate is never exceeded, and kept to
/// 0.1 % up to ten million a second.
public struct RateLimit: Hashable, Sendable {
  /// How many permits come back in a period.
  public var permits: Int
  /// The stretch of time.
  public var period: Duration
  /// How many permits can be saved up, that is, be taken at once after a pause.
  public var burst: Int

  /// Makes a limit.
  ///
  /// Values out of range are a programmer's error and trap where the limit is used; ``validate()`` tells.
  ///
  /// - Parameters:
  ///   - permits: How many come back in a period, 1 to 1,000,000,000.
  ///   - period: A microsecond to 366 days.
  ///   - burst: How many can be saved up, 1 to 1,000,000,000; `permits` unless given.
  public init(_ permits: Int, per period: Duration, burst: Int? = nil) {
    self.permits = permits
    self.period = period
    self.burst = burst ?? permits
  }

  /// Sixty a minute, ten at once: the usual limit for one client of a service.
  public static let perClient = RateLimit(60, per: .seconds(60), burst: 10)

  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public func validate() throws(ConfigurationError) {
    try check(
      (1...1_000_000_000).contains(permits), "permits", "must be between 1 and 1000000000")
    try check(
      period >= .microseconds(1) && period <= .seconds(366 * 86_400), "period",
      "must be between a microsecond and 366 days")
    try check((1...1_000_000_000).contains(burst), "burst", "must be between 1 and 1000000000")
    try check(
      period / .seconds(1) / Double(permits) * Double(burst) <= 366 * 86_400, "burst",
      "must come back within 366 days")
  }
}
