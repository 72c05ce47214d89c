public import ReliabilityCore
internal import ReliabilityMetrics

/// What a lease counts.
final class LeaseFigures: Sendable {
  struct Counts {
    var attempts = 0
    var timeouts = 0
    var cancellations = 0
    var failures = 0
    var events: [NetworkLease.Event.Kind: Int] = [:]
  }

  private let guarded = Lock(Counts())
  private let wait = Histogram("lease_wait_seconds")

  func countAttempt() { guarded.withLock { $0.attempts += 1 } }

  func count(_ kind: NetworkLease.Event.Kind) {
    guarded.withLock { $0.events[kind, default: 0] += 1 }
  }

  func recordWait(_ duration: Duration) { wait.record(duration) }

  func countEnd(_ error: any Error) {
    guarded.withLock { counts in
      if error is CancellationError {
        counts.cancellations += 1
      } else if (error as? LeaseError)?.code == .timedOut {
        counts.timeouts += 1
      } else {
        counts.failures += 1
      }
    }
  }

  var counts: Counts { guarded.withLock { $0 } }
  var waits: HistogramSnapshot { wait.snapshot() }
}

extension NetworkLease: MetricsSource {
  /// Attempts by how they ended, takeovers of others' claims, losses and failed renewals, and the time to get the lease.
  ///
  /// Labelled with ``Configuration/label``, which should then be one of a small set of words.
  public func samples() -> [MetricSample] {
    let counts = figures.counts
    let label = (name: "lease", value: configuration.label ?? "default")
    func counter(
      _ name: String, _ value: Int, _ help: String, _ more: (name: String, value: String)? = nil
    ) -> MetricSample {
      MetricSample(
        name: name, kind: .counter, labels: [label] + (more.map { [$0] } ?? []),
        value: Double(value), help: help)
    }
    func event(_ kind: Event.Kind) -> Int { counts.events[kind, default: 0] }
    let takeovers = "Claims of others that were removed"
    return [
      counter("lease_attempts_total", counts.attempts, "Calls that wanted the lease"),
      counter("lease_acquisitions_total", event(.acquired), "Calls that got the lease"),
      counter("lease_timeouts_total", counts.timeouts, "Calls whose time was up"),
      counter("lease_cancellations_total", counts.cancellations, "Calls that were cancelled"),
      counter("lease_failures_total", counts.failures, "Calls that failed"),
      counter(
        "lease_takeovers_total", event(.brokeDeadClaim), takeovers, (name: "claim", value: "dead")),
      counter(
        "lease_takeovers_total", event(.brokeStaleClaim), takeovers,
        (name: "claim", value: "stale")),
      counter(
        "lease_renewal_failures_total", event(.renewalFailed), "Renewals that failed"),
      counter("lease_losses_total", event(.lost), "Holders that lost the lease"),
      counter("lease_release_failures_total", event(.releaseFailed), "Claims left behind"),
      MetricSample(
        name: "lease_wait_seconds", labels: [label],
        distribution: figures.waits.distribution(bounds: Histogram.durationBounds),
        help: "Time to get the lease"),
    ]
  }
}
