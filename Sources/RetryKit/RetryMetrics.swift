public import ReliabilityCore

/// Counts what retries do: one object for each policy or dependency worth a line on a dashboard.
///
///     let metrics = RetryMetrics(name: "search")
///     policy.observer = metrics.observe
///     registry.register(metrics)
///
/// A policy has one observer; to count and to log, call ``observe(_:)`` from your own.
public final class RetryMetrics: MetricsSource {
  /// The name that the figures carry as a label.
  public let name: String

  private struct Counts {
    var retries = 0
    var recoveries = 0
    var stops: [RetryStopReason: Int] = [:]
  }

  private let counts = Lock(Counts())

  /// Makes an object that has counted nothing yet.
  ///
  /// - Parameter name: The label of its figures: what is being called. One of a small set of words.
  public init(name: String = "default") {
    self.name = name
  }

  /// Counts an event; to be used as, or called by, the observer of a policy.
  public func observe(_ event: RetryEvent) {
    counts.withLock { counts in
      switch event.kind {
      case .retrying: counts.retries += 1
      case .recovered: counts.recoveries += 1
      case .stopped(let reason): counts.stops[reason, default: 0] += 1
      }
    }
  }

  /// Retries begun, calls that recovered, and calls that gave up, by reason.
  public func samples() -> [MetricSample] {
    func counter(
      _ name: String, _ value: Int, _ help: String, _ more: [(name: String, value: String)] = []
    ) -> MetricSample {
      MetricSample(
        name: name, kind: .counter, labels: [(name: "name", value: self.name)] + more,
        value: Double(value), help: help)
    }
    let counts = counts.withLock { $0 }
    return [
      counter("retry_retries_total", counts.retries, "Attempts after the first"),
      counter("retry_recoveries_total", counts.recoveries, "Calls that succeeded in the end"),
    ]
      + counts.stops.sorted { $0.key.rawValue < $1.key.rawValue }.map {
        counter(
          "retry_stops_total", $0.value, "Calls that were given up",
          [(name: "reason", value: $0.key.rawValue)])
      }
  }
}
