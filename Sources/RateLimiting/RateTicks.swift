internal import ReliabilityCore

/// Time as a limiter counts it: sixteenths of a nanosecond since the origin of instants, in one word.
///
/// Sixteen of them, so that even a billion permits a second have whole numbers; a word, because `Duration` has two and its
/// arithmetic is not inlined. Everything is kept within 2^62 (nine years either way), from where a sum can't overflow.
enum RateTicks {
  static let perNanosecond: Int64 = 16
  static let limit: Int64 = 1 << 62

  /// A time in nanoseconds.
  @inline(__always)
  static func of(nanoseconds: Int64) -> Int64 {
    let bound = limit / perNanosecond
    return min(max(nanoseconds, -bound), bound) &* perNanosecond
  }

  /// A length or an instant since the origin, rounded down.
  static func of(_ duration: Duration) -> Int64 { of(nanoseconds: duration.nanoseconds) }

  /// So many of something, at most ``limit``.
  @inline(__always)
  static func product(_ ticks: Int64, _ count: Int) -> Int64 {
    let (product, overflow) = ticks.multipliedReportingOverflow(by: Int64(count))
    return overflow ? limit : min(product, limit)
  }

  /// A length, rounded up: whoever waits so long does not come too early.
  static func duration(_ ticks: Int64) -> Duration {
    .nanoseconds((ticks + perNanosecond - 1) / perNanosecond)
  }
}
