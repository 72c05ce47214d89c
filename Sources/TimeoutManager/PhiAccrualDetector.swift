internal import ReliabilityCore

/// Suspects that heartbeats have stopped, the more the longer none comes, by the rhythm they had.
///
///     var detector = PhiAccrualDetector(threshold: 8)
///     detector.heartbeat(at: clock.now)
///     if detector.phi(at: clock.now) > 8 { restartTheWorker() }
///
/// A phi of 1 means a chance of one in ten that the next heartbeat is only late, 2 one in a hundred, 8 one in a hundred million; as
/// long as intervals are spread normally, which is the assumption. A fixed limit must be set for the slowest worker; this one
/// learns the rhythm of each.
///
/// A value type: keep one for each source of heartbeats.
///
/// Source: N. Hayashibara et al., "The φ Accrual Failure Detector" (2004), with the logistic approximation of the normal
/// distribution that is usual in practice (S. R. Bowling et al., 2009).
public struct PhiAccrualDetector: Hashable, Sendable {
  /// From which suspicion on the source counts as silent; greater than zero.
  public let threshold: Double
  /// What is added to the mean interval before suspicion begins; not negative.
  public let acceptablePause: Duration
  /// The least standard deviation that is assumed; greater than zero.
  ///
  /// A source with a perfect rhythm would otherwise be suspected a microsecond after its beat.
  public let minimumDeviation: Duration

  private let maximumSamples: Int
  private let minimumDeviationSeconds: Double
  private let pauseSeconds: Double
  /// How many standard deviations above the mean the threshold is reached.
  private let thresholdDeviations: Double

  private var intervals: [Double] = []
  private var next = 0
  private var sum = 0.0
  private var squares = 0.0
  private var last: Duration?

  /// Makes a detector that knows a rhythm by guess only.
  ///
  /// A bad value is a programmer's error and traps.
  ///
  /// - Parameters:
  ///   - threshold: From which suspicion on the source counts as silent; 8 by default, greater than zero, 300 at most.
  ///   - expectedInterval: The rhythm that is assumed until heartbeats show theirs; a second by default, greater than zero.
  ///   - acceptablePause: What is added to the mean interval; 3 seconds by default.
  ///   - minimumDeviation: The least standard deviation; 100 milliseconds by default.
  ///   - maximumSamples: How many intervals are remembered; 200 by default, 2 to 10,000.
  public init(
    threshold: Double = 8, expectedInterval: Duration = .seconds(1),
    acceptablePause: Duration = .seconds(3), minimumDeviation: Duration = .milliseconds(100),
    maximumSamples: Int = 200
  ) {
    requireValid { () throws(ConfigurationError) in
      try check(
        threshold > 0 && threshold <= 300, "threshold", "must be greater than zero, 300 at most")
      try check(expectedInterval > .zero, "expectedInterval", "must be greater than zero")
      try check(acceptablePause >= .zero, "acceptablePause", "must not be negative")
      try check(minimumDeviation > .zero, "minimumDeviation", "must be greater than zero")
      try check(
        maximumSamples >= 2 && maximumSamples <= 10_000, "maximumSamples",
        "must be between 2 and 10,000")
    }
    self.threshold = threshold
    self.acceptablePause = acceptablePause
    self.minimumDeviation = minimumDeviation
    self.maximumSamples = maximumSamples
    minimumDeviationSeconds = minimumDeviation.clamped.seconds
    pauseSeconds = acceptablePause.clamped.seconds
    thresholdDeviations = Self.deviations(for: threshold)
    // Two intervals around the guess, a quarter away, so that there is a deviation to begin with.
    let guess = min(expectedInterval, .farAway).seconds
    add(guess * 0.75)
    add(guess * 1.25)
  }

  /// A heartbeat has come.
  ///
  /// - Parameter instant: When; one before the last counts as the same time.
  public mutating func heartbeat(at instant: ContinuousClock.Instant) {
    heartbeat(at: instant.sinceOrigin)
  }

  /// How strong the suspicion is: 0 before the first heartbeat, and never infinite.
  ///
  /// - Parameter instant: The present.
  public func phi(at instant: ContinuousClock.Instant) -> Double { phi(at: instant.sinceOrigin) }

  /// When the suspicion will reach the threshold unless a heartbeat comes; `nil` before the first.
  public var silentAt: ContinuousClock.Instant? {
    silentSinceOrigin.map { ContinuousClock.Instant(sinceOrigin: $0) }
  }

  mutating func heartbeat(at now: Duration) {
    if let last {
      guard now > last else { return }
      add(min(now - last, .farAway).seconds)
    }
    last = now
  }

  func phi(at now: Duration) -> Double {
    guard let last, now > last else { return 0 }
    return Self.phi(((now - last).seconds - mean - pauseSeconds) / deviation)
  }

  var silentSinceOrigin: Duration? { last?.saturatingAdvanced(by: silence) }

  /// How long after a heartbeat the suspicion reaches the threshold.
  var silence: Duration {
    Duration(saturatingSeconds: mean + pauseSeconds + thresholdDeviations * deviation)
  }

  private var mean: Double { sum / Double(intervals.count) }

  private var deviation: Double {
    let variance = squares / Double(intervals.count) - mean * mean
    return max(minimumDeviationSeconds, max(0, variance).squareRoot())
  }

  private mutating func add(_ interval: Double) {
    if intervals.count < maximumSamples {
      intervals.append(interval)
    } else {
      let old = intervals[next]
      sum -= old
      squares -= old * old
      intervals[next] = interval
      next = (next + 1) % maximumSamples
    }
    sum += interval
    squares += interval * interval
    if next == 0, intervals.count == maximumSamples {
      // Summed anew once in a round, so that rounding errors don't pile up.
      sum = intervals.reduce(0, +)
      squares = intervals.reduce(0) { $0 + $1 * $1 }
    }
  }

  /// The suspicion, so many standard deviations above the mean.
  private static func phi(_ deviations: Double) -> Double {
    // Beyond a thousand the cube is of no interest to anybody.
    let y = max(-1_000, min(1_000, deviations))
    // -log10(e / (1 + e)) with e = exp(-exponent), in a form that does not overflow.
    let exponent = y * (1.5976 + 0.070566 * y * y)
    let natural =
      exponent > 0
      ? exponent + logarithm(1 + exponential(-exponent)) : logarithm(1 + exponential(exponent))
    return natural / 2.302585092994046
  }

  /// The inverse of ``phi(_:)``, by halving.
  private static func deviations(for threshold: Double) -> Double {
    var (low, high) = (-1_000.0, 1_000.0)
    for _ in 0..<80 {
      let middle = (low + high) / 2
      if phi(middle) < threshold { low = middle } else { high = middle }
    }
    return high
  }
}
