public import ReliabilityCore

/// Counts what hedges do: one object for each policy or dependency worth a line on a dashboard.
///
///     let metrics = HedgeMetrics(name: "search")
///     policy.observer = metrics.observe
///     registry.register(metrics)
///
/// A policy has one observer; to count and to log, call ``observe(_:)`` from your own.
public final class HedgeMetrics: MetricsSource {
  /// The name that the figures carry as a label.
  public let name: String

  private struct Counts {
    var started: [HedgeCause: Int] = [:]
    var outcomes = [0, 0, 0, 0]
    var hedgeWins = 0
    var stops: [HedgeStopReason: Int] = [:]
  }

  private let counts = Lock(Counts())

  /// Makes an object that has counted nothing yet.
  ///
  /// - Parameter name: The label of its figures: what is being called. One of a small set of words.
  public init(name: String = "default") {
    self.name = name
  }

  /// Counts an event; to be used as, or called by, the observer of a policy.
  public func observe(_ event: HedgeEvent) {
    counts.withLock { counts in
      switch event.kind {
      case .started(let cause): counts.started[cause, default: 0] += 1
      case .won:
        counts.outcomes[0] += 1
        if event.attempt > 1 { counts.hedgeWins += 1 }
      case .lost: counts.outcomes[1] += 1
      case .failed: counts.outcomes[2] += 1
      case .cancelled: counts.outcomes[3] += 1
      case .stopped(let reason): counts.stops[reason, default: 0] += 1
      }
    }
  }

  /// Attempts by what started them and by how they ended, calls that a hedge won, and stops by reason.
  public func samples() -> [MetricSample] {
    func counter(
      _ name: String, _ value: Int, _ more: [(name: String, value: String)] = []
    ) -> MetricSample {
      MetricSample(
        name: name, kind: .counter, labels: [(name: "name", value: self.name)] + more,
        value: Double(value))
    }
    let counts = counts.withLock { $0 }
    return [HedgeCause.first, .delay, .failure].map {
      counter(
        "hedge_attempts_started_total", counts.started[$0] ?? 0,
        [(name: "cause", value: $0.rawValue)])
    }
      + zip(["won", "lost", "failed", "cancelled"], counts.outcomes).map {
        counter("hedge_attempts_ended_total", $1, [(name: "outcome", value: $0)])
      }
      + [counter("hedge_wins_total", counts.hedgeWins)]
      + counts.stops.sorted { $0.key.rawValue < $1.key.rawValue }.map {
        counter("hedge_stops_total", $0.value, [(name: "reason", value: $0.key.rawValue)])
      }
  }
}
