// `Duration`'s own operators trap on overflow (measured: `.seconds(5) * 2`, 65 times over). A reliability library meets
// huge values exactly when something is already wrong, so every computation in this package goes through these.

extension Duration {
  /// The longest duration this package computes with: 2^62 seconds, about 146 billion years.
  ///
  /// Half of what `Duration` can hold in seconds, so that one more addition cannot overflow.
  @inlinable package static var saturated: Duration { .seconds(Int64(1) << 62) }

  /// This duration limited to between zero and ``saturated``.
  @inlinable package var clamped: Duration {
    if self < .zero { return .zero }
    return self > .saturated ? .saturated : self
  }

  /// The sum, limited to ``saturated``.
  ///
  /// Negative operands count as zero.
  @inlinable package func saturatingAdd(_ other: Duration) -> Duration {
    let sum = self.clamped + other.clamped
    return sum > .saturated ? .saturated : sum
  }

  /// The instant so long after this one, both as time since the origin of instants, which may be negative.
  ///
  /// - Parameter duration: Negative counts as zero; anything above five hundred years as that.
  package func saturatingAdvanced(by duration: Duration) -> Duration {
    self + (duration > .farAway ? .farAway : duration.clamped)
  }

  /// The difference, zero at least.
  @inlinable package func saturatingSubtract(_ other: Duration) -> Duration {
    let minuend = self.clamped
    let subtrahend = other.clamped
    return minuend > subtrahend ? minuend - subtrahend : .zero
  }

  /// The product, between zero and `limit`.
  ///
  /// - Parameters:
  ///   - factor: Anything, also NaN (counts as zero), negative (counts as zero) or infinite (gives `limit`, or zero
  ///     for a zero duration).
  ///   - limit: The largest result.
  package func saturatingMultiply(by factor: Double, limit: Duration = .saturated) -> Duration {
    let limit = limit.clamped
    let seconds = self.clamped.seconds
    guard factor > 0, seconds > 0 else { return .zero }
    return Duration(saturatingSeconds: seconds * factor, limit: limit)
  }

  /// A duration of so many seconds, between zero and `limit`.
  ///
  /// NaN counts as zero.
  package init(saturatingSeconds seconds: Double, limit: Duration = .saturated) {
    guard seconds > 0 else {
      self = .zero
      return
    }
    // Compared in `Double` first: converting a value beyond the range of `Int128` attoseconds would trap.
    guard seconds < limit.clamped.seconds else {
      self = limit.clamped
      return
    }
    let whole = seconds.rounded(.down)
    let attoseconds = ((seconds - whole) * 1e18).rounded(.down)
    self = Swift.min(
      limit, Duration(secondsComponent: Int64(whole), attosecondsComponent: Int64(attoseconds)))
  }

  /// The duration in seconds, rounded to a `Double`.
  package var seconds: Double {
    let (seconds, attoseconds) = components
    return Double(seconds) + Double(attoseconds) * 1e-18
  }

  /// Whole nanoseconds, rounded down and limited to what an `Int64` holds (292 years).
  package var nanoseconds: Int64 {
    // `components` traps beyond the seconds that an `Int64` holds.
    if self > .saturated { return .max }
    if self < .zero - .saturated { return .min }
    let (seconds, attoseconds) = components
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    if overflow { return seconds < 0 ? .min : .max }
    let (sum, overflow2) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
    return overflow2 ? (seconds < 0 ? .min : .max) : sum
  }
}

extension ContinuousClock.Instant {
  /// Any instant of this process, to count from.
  ///
  /// The layout of an instant is the system library's own, so that one stored in an object or held across an `await` costs
  /// metadata look-ups (measured: 12 ns each). A `Duration` since this one costs none.
  package static let origin = ContinuousClock.now

  /// How long this instant is after ``origin``; negative before it.
  package var sinceOrigin: Duration { Self.origin.duration(to: self) }

  /// The instant so long after ``origin``.
  package init(sinceOrigin offset: Duration) { self = Self.origin.advanced(by: offset) }

  /// The instant so much later, or the latest one this package computes with.
  @inlinable package func saturatingAdvanced(by duration: Duration) -> Self {
    let limited = duration > .farAway ? Duration.farAway : duration.clamped
    return self.advanced(by: limited)
  }
}

extension Duration {
  /// Five hundred years: what is further away than this never happens.
  ///
  /// Keeps instants far from overflow, and within the 628 years that the timing wheel spans.
  @inlinable package static var farAway: Duration { .seconds(500 * 365 * 86_400) }
}
