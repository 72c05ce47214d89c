internal import ReliabilityMetrics
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
  private let late = Atomic(0)
  private let overrun = Histogram("timeout_overrun_seconds")

  private init() {}

  /// How many calls ended with ``TimeoutError``.
  public var expiredCount: Int { expired.load(ordering: .relaxed) }

  /// How many calls were abandoned because they did not end in time.
  public var abandonedCount: Int { abandoned.load(ordering: .relaxed) }

  /// How many abandoned calls are still running.
  ///
  /// One that only grows is a leak in the work that is called.
  public var abandonedRunningCount: Int { abandonedRunning.load(ordering: .relaxed) }

  /// How many calls returned a value although their limit had passed.
  ///
  /// The value is not thrown away; but a caller who set the limit waited for longer than that.
  public var lateCount: Int { late.load(ordering: .relaxed) }

  /// The figures as metric samples.
  ///
  /// `timeout_overrun_seconds` says how long after their limit calls really ended: large values are work that does not listen to its
  /// cancellation.
  public func samples() -> [MetricSample] {
    func counter(_ name: String, _ value: Int, _ help: String) -> MetricSample {
      MetricSample(name: name, kind: .counter, value: Double(value), help: help)
    }
    func gauge(_ name: String, _ value: Int, _ help: String) -> MetricSample {
      MetricSample(name: name, kind: .gauge, value: Double(value), help: help)
    }
    return [
      counter("timeouts_expired_total", expiredCount, "Calls that ended with a timeout"),
      counter("timeouts_late_values_total", lateCount, "Calls that returned after their limit"),
      counter("timeouts_abandoned_total", abandonedCount, "Calls that were not waited for"),
      gauge("timeouts_abandoned_running", abandonedRunningCount, "Abandoned calls still running"),
      gauge("scheduler_alarms", DeadlineScheduler.shared.count, "Timers that wait in this process"),
      MetricSample(
        name: "timeout_overrun_seconds",
        distribution: overrun.snapshot().distribution(bounds: Histogram.durationBounds),
        help: "How long after their limit calls ended"),
    ]
  }

  func recordExpiry() { expired.add(1, ordering: .relaxed) }

  /// A call has ended so long after its limit.
  func recordEnd(after limit: Duration, returned: Bool) {
    overrun.record(limit)
    if returned { late.add(1, ordering: .relaxed) }
  }

  func recordAbandoned() {
    abandoned.add(1, ordering: .relaxed)
    abandonedRunning.add(1, ordering: .relaxed)
  }

  func recordAbandonedEnd() { abandonedRunning.subtract(1, ordering: .relaxed) }
}
