public import ReliabilityCore
internal import ReliabilityMetrics

/// How long each kind of work takes, and what limit follows from that.
///
///     let learned = LearnedTimeouts()
///     var timeout = AdaptiveTimeout.downloads
///     timeout.learned = learned
///     try await withAdaptiveTimeout(timeout, kind: "720p") { progress in try await download(progress) }
///     print(learned.limit(for: "720p") ?? .zero)
///
/// Durations of work are spread over orders of magnitude, so the estimators of RFC 6298 (smoothed mean and mean deviation, limit = mean
/// + 4 deviations) run on their logarithm: the limit is the typical duration times a factor, and a single slow one does not ruin it.
/// Karn's rule holds: the duration of an attempt that was repeated, or that ended by a limit, teaches nothing, because the first says
/// too little and the second only how long the limit was. A limit that passed doubles the next one instead, until work of this kind
/// succeeds again (RFC 6298, section 5.5).
///
/// Kinds are words from a small set. At most ``maximumKinds`` are kept; beyond that the one not used for longest is forgotten.
public final class LearnedTimeouts: MetricsSource {
  private struct Entry: Sendable {
    var estimator = DurationEstimator()
    var used: UInt64
  }

  private struct State: Sendable {
    var entries: [String: Entry] = [:]
    var clock: UInt64 = 0
    var forgotten = 0
  }

  /// How many kinds are kept.
  public let maximumKinds: Int
  private let state = Lock(State())

  /// Makes one that knows nothing.
  ///
  /// - Parameter maximumKinds: How many kinds are kept; 256 by default, 1 at least.
  public init(maximumKinds: Int = 256) {
    requireValid { () throws(ConfigurationError) in
      try check(maximumKinds >= 1, "maximumKinds", "must be at least 1")
    }
    self.maximumKinds = maximumKinds
  }

  /// Learns how long work took that succeeded at its first attempt.
  ///
  /// `withAdaptiveTimeout` calls this by itself.
  ///
  /// - Parameters:
  ///   - duration: How long it took; zero and negative count as a microsecond.
  ///   - kind: The kind of work.
  public func record(_ duration: Duration, for kind: String) {
    update(kind) { $0.record(duration) }
  }

  /// A limit of this kind has passed: the next one is twice as long.
  ///
  /// `withAdaptiveTimeout` calls this by itself.
  public func recordTimeout(for kind: String) {
    update(kind) { $0.backOff() }
  }

  /// The limit that follows from what was learned; `nil` while nothing was.
  ///
  /// - Parameter kind: The kind of work.
  public func limit(for kind: String) -> Duration? {
    state.withLock { state in
      state.clock += 1
      guard let limit = state.entries[kind]?.estimator.limit else { return nil }
      state.entries[kind]?.used = state.clock
      return limit
    }
  }

  /// How many kinds are known.
  public var kindCount: Int { state.withLock { $0.entries.count } }

  private func update(_ kind: String, _ change: (inout DurationEstimator) -> Void) {
    state.withLock { state in
      state.clock += 1
      if state.entries[kind] == nil {
        if state.entries.count >= self.maximumKinds,
          let oldest = state.entries.min(by: { $0.value.used < $1.value.used })?.key
        {
          state.entries[oldest] = nil
          state.forgotten += 1
        }
        state.entries[kind] = Entry(used: state.clock)
      }
      state.entries[kind]?.used = state.clock
      change(&state.entries[kind]!.estimator)
    }
  }

  /// How many kinds are known and how many were forgotten.
  public func samples() -> [MetricSample] {
    let (count, forgotten) = state.withLock { ($0.entries.count, $0.forgotten) }
    return [
      MetricSample(
        name: "timeout_kinds", kind: .gauge, value: Double(count),
        help: "Kinds of work whose durations are known"),
      MetricSample(
        name: "timeout_kinds_forgotten_total", kind: .counter, value: Double(forgotten),
        help: "Kinds of work that were forgotten because there were too many"),
    ]
  }
}

/// The estimators of RFC 6298, on the logarithm of durations.
struct DurationEstimator: Hashable, Sendable {
  /// What the first deviation is: with four of them the first limit is four times the first duration.
  ///
  /// RFC 6298 takes half of the first sample, which on a logarithm would depend on the unit.
  static let firstDeviation = 0.34657359027997264
  /// The least distance of the limit to the mean, as the clock's granularity is in RFC 6298: a quarter more.
  static let leastMargin = 0.22314355131420976
  private static let maximumBackOffs = 10

  private(set) var mean: Double?
  private(set) var deviation = 0.0
  private(set) var backOffs = 0

  mutating func record(_ duration: Duration) {
    let value = logarithm(max(1e-6, min(duration, .farAway).clamped.seconds))
    if let mean {
      deviation += ((mean - value).magnitude - deviation) / 4
      self.mean = mean + (value - mean) / 8
    } else {
      mean = value
      deviation = Self.firstDeviation
    }
    backOffs = 0
  }

  mutating func backOff() { backOffs = min(backOffs + 1, Self.maximumBackOffs) }

  var limit: Duration? {
    guard let mean else { return nil }
    let seconds = exponential(mean + max(Self.leastMargin, 4 * deviation))
    return Duration(saturatingSeconds: seconds * Double(1 << backOffs), limit: .farAway)
  }
}
