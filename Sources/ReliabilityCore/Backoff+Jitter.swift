/// How delays are spread at random, so that clients which failed together do not come back together.
///
/// Every jitter draws below the cap: a delay of exactly the cap is as unlikely as any other, at any attempt.
///
///     Backoff.exponential(jitter: .equal)
///     Backoff.constant(.seconds(60), jitter: .proportional(0.1))  // 54…66 seconds
///
/// Which one? ``full`` makes the least load and finishes soonest in a crowd; ``equal`` when a minimum wait matters;
/// ``decorrelated`` when clients keep failing for long; ``proportional(_:)`` for a steady rhythm.
///
/// Source of full, equal and decorrelated: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
public struct Jitter: Hashable, Sendable {
  /// The ways, for those who write a backoff to a file.
  package enum Kind: Hashable, Sendable {
    case none, full, equal, decorrelated
    case proportional(Double)
  }

  package let kind: Kind

  package init(kind: Kind) { self.kind = kind }

  /// None: for a test, or a single client that disturbs nobody.
  public static let none = Jitter(kind: .none)

  /// Anything from zero to the delay.
  public static let full = Jitter(kind: .full)

  /// Half of the delay and anything up to the other half.
  public static let equal = Jitter(kind: .equal)

  /// Anything from the first delay to three times the delay before.
  ///
  /// The delays grow by themselves, so of the curve only the first delay counts, and the longest one where the
  /// curve has one. The cap limits the range that is drawn from, not the number drawn: in the published formula
  /// `min(cap, random(base, 3 × previous))` more than a third of the delays of a long outage are exactly the cap.
  /// Where the cap is below three times the first delay, the range begins at a third of the cap, so that there
  /// always is one.
  public static let decorrelated = Jitter(kind: .decorrelated)

  /// The delay more or less a part of it: `0.25` gives 75 % to 125 % of it, the cap at most.
  ///
  /// At the cap the range is the lower half: 75 % to 100 %.
  ///
  /// - Parameter fraction: Greater than 0, 1 at most.
  public static func proportional(_ fraction: Double) -> Jitter {
    Jitter(kind: .proportional(fraction))
  }
}

extension Jitter {
  func validate() throws(ConfigurationError) {
    if case .proportional(let fraction) = kind {
      // NaN fails both comparisons.
      try check(
        fraction > 0 && fraction <= 1, "jitter", "must be above 0 and at most 1")
    }
  }

  /// Spreads a delay that is within the limit already; every jitter but ``decorrelated``, which needs the past.
  func spread(
    _ delay: Int64, limit: Int64, using generator: inout some RandomNumberGenerator
  ) -> Int64 {
    switch kind {
    case .none, .decorrelated: return delay
    case .full: return Int64.random(in: 0...delay, using: &generator)
    case .equal: return Int64.random(in: (delay - delay / 2)...delay, using: &generator)
    case .proportional(let fraction):
      guard fraction > 0 else { return delay }
      let width = Int64(min(Double(delay) * min(fraction, 1), Double(Int64.max / 2)))
      let (upper, overflow) = delay.addingReportingOverflow(width)
      let highest = overflow ? limit : min(upper, limit)
      return Int64.random(in: max(0, delay - width)...highest, using: &generator)
    }
  }

  /// Draws the next delay from the delay before it.
  ///
  /// - Parameters:
  ///   - first: The first delay of the curve, the "base" of the published formula.
  ///   - previous: The delay before.
  ///   - limit: The longest delay.
  static func decorrelate(
    first: Int64, previous: Int64, limit: Int64, using generator: inout some RandomNumberGenerator
  ) -> Int64 {
    let (tripled, overflow) = max(previous, first).multipliedReportingOverflow(by: 3)
    let highest = overflow ? limit : min(tripled, limit)
    return Int64.random(in: min(first, highest / 3)...highest, using: &generator)
  }
}
