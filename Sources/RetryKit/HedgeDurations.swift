public import ReliabilityCore
internal import ReliabilityMetrics

/// How long the calls of one kind took lately: what the delay of a hedge is learned from.
///
///     let durations = HedgeDurations(window: .seconds(300))
///     let policy = HedgePolicy(delay: .quantile(0.95, of: durations, otherwise: .milliseconds(200)))
///
/// Make one for each kind of call and share it among all who make such calls. `hedge` records the first attempt of each
/// call: how long it took when it won, and how long it had been running when it lost. A loser would have taken longer, but
/// it was already beyond the quantile that made it a loser, so the quantile does not move. Attempts that failed or were
/// cancelled by the caller are not recorded: they say nothing about how long an answer takes. Nor are hedges, whose figures
/// would pull the quantile down until everything is hedged.
public final class HedgeDurations: MetricsSource {
  /// The name that the figures carry as a label.
  public let name: String

  /// How far back the calls count.
  public let window: Duration

  /// How many calls must be known before their quantile is used.
  public let minimumSamples: Int

  /// The shortest delay that is ever learned.
  public let floor: Duration

  private struct Learned {
    var fraction: Double
    var delay: Duration?
    var until: ContinuousClock.Instant
  }

  private let histogram: WindowedHistogram
  private let clock: any TimeSource
  private let learned = Lock([Learned]())

  /// How many quantiles are remembered between two computations.
  private static let learnedLimit = 8

  /// Makes an object that knows no call yet.
  ///
  /// - Parameters:
  ///   - name: The label of its figures: what is being called. One of a small set of words.
  ///   - window: How far back calls count, greater than zero; five minutes unless given.
  ///   - minimumSamples: How many calls must be known before their quantile is used, 1 at least.
  ///   - floor: The shortest delay that is ever learned: a millisecond, as in Finagle, so that calls answered from a cache do not
  ///     lead to hedging everything else.
  ///   - clock: The time.
  /// - Precondition: The values are in their ranges.
  public init(
    name: String = "default", window: Duration = .seconds(300), minimumSamples: Int = 20,
    floor: Duration = .milliseconds(1), clock: any TimeSource = ContinuousClock()
  ) {
    requireValid { () throws(ConfigurationError) in
      try check(window > .zero, "window", "must be greater than zero")
      try check(minimumSamples >= 1, "minimumSamples", "must be at least 1")
      try check(floor >= .zero, "floor", "must not be negative")
    }
    self.name = name
    self.window = min(window, .farAway)
    self.minimumSamples = minimumSamples
    self.floor = floor
    self.clock = clock
    let slot = max(self.window / Self.slotCount, .nanoseconds(1))
    histogram = WindowedHistogram(
      fine: .init(slot: slot, count: Self.slotCount),
      coarse: .init(slot: max(slot, self.window), count: 1), clock: clock)
  }

  private static let slotCount = 10

  /// Records how long a call took.
  ///
  /// `hedge` does so by itself; for calls that were made without it, or to begin with what is known.
  ///
  /// - Parameter duration: How long; negative counts as zero.
  public func record(_ duration: Duration) {
    histogram.record(duration.clamped)
  }

  /// The duration that the given part of the calls in the window took at most.
  ///
  /// Computed anew ten times a window; in between a call costs one lock.
  ///
  /// - Parameter fraction: Greater than 0 and at most 1.
  /// - Returns: The duration, ``floor`` at least, within 1 %; `nil` while fewer than ``minimumSamples`` calls are known.
  public func quantile(_ fraction: Double) -> Duration? {
    let now = clock.now
    let known: Learned? = learned.withLock { learned in
      learned.first { $0.fraction == fraction && now < $0.until }
    }
    if let known { return known.delay }
    let snapshot = histogram.snapshot(over: window)
    guard snapshot.count >= minimumSamples, let seconds = snapshot.quantile(fraction) else {
      // Not remembered: the next call may be the one that makes it enough.
      return nil
    }
    let delay = max(floor, Duration(saturatingSeconds: seconds))
    let fresh = Learned(
      fraction: fraction, delay: delay, until: now.saturatingAdvanced(by: window / Self.slotCount))
    learned.withLock { learned in
      learned.removeAll { $0.fraction == fraction || $0.until <= now }
      if learned.count == Self.learnedLimit { learned.removeFirst() }
      learned.append(fresh)
    }
    return delay
  }

  /// The calls known, and what half of them and 95 % of them took at most.
  public func samples() -> [MetricSample] {
    let snapshot = histogram.snapshot(over: window)
    func gauge(_ name: String, _ value: Double) -> MetricSample {
      MetricSample(
        name: name, kind: .gauge, labels: [(name: "name", value: self.name)], value: value)
    }
    return [
      gauge("hedge_known_calls", Double(snapshot.count)),
      gauge("hedge_duration_p50_seconds", snapshot.quantile(0.5) ?? 0),
      gauge("hedge_duration_p95_seconds", snapshot.quantile(0.95) ?? 0),
    ]
  }
}
