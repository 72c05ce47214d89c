internal import Synchronization

/// What the timeouts of this process have come to.
///
///     for sample in TimeoutStatistics.shared.samples() {
///       print(sample.name, sample.value)
///     }
public final class TimeoutStatistics: MetricsSource {
  /// The figures of the process.
  public static let shared = TimeoutStatistics()

  private let expired = Atomic(0)
  private let abandoned = Atomic(0)
  private let abandonedRunning = Atomic(0)

  private init() {}

  /// How many calls ended with ``TimeoutError``.
  public var expiredCount: Int { expired.load(ordering: .relaxed) }

  /// How many calls were abandoned because they did not end in time.
  public var abandonedCount: Int { abandoned.load(ordering: .relaxed) }

  /// How many abandoned calls are still running.
  ///
  /// One that only grows is a leak in the work that is called.
  public var abandonedRunningCount: Int { abandonedRunning.load(ordering: .relaxed) }

  /// The figures as metric samples.
  public func samples() -> [MetricSample] {
    [
      MetricSample(name: "timeouts_expired_total", kind: .counter, value: Double(expiredCount)),
      MetricSample(name: "timeouts_abandoned_total", kind: .counter, value: Double(abandonedCount)),
      MetricSample(
        name: "timeouts_abandoned_running", kind: .gauge, value: Double(abandonedRunningCount)),
    ]
  }

  func recordExpiry() { expired.add(1, ordering: .relaxed) }

  func recordAbandoned() {
    abandoned.add(1, ordering: .relaxed)
    abandonedRunning.add(1, ordering: .relaxed)
  }

  func recordAbandonedEnd() { abandonedRunning.subtract(1, ordering: .relaxed) }
}
