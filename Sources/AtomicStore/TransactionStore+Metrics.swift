public import ReliabilityCore
internal import ReliabilityMetrics

/// What a transaction store counts.
final class TransactionFigures: Sendable {
  struct Counts {
    var applied = 0
    var pending = 0
    var failures = 0
    var cancellations = 0
  }

  private let guarded = Lock(Counts())
  private let time = Histogram("transaction_commit_seconds")

  var counts: Counts { guarded.withLock { $0 } }
  var times: HistogramSnapshot { time.snapshot() }

  /// Counts how a commit ends.
  nonisolated(nonsending) func counting(
    _ clock: any TimeSource,
    _ commit: nonisolated(nonsending) () async throws -> TransactionOutcome
  ) async throws -> TransactionOutcome {
    let start = clock.now
    do {
      let outcome = try await commit()
      guarded.withLock { counts in
        if outcome.isApplied { counts.applied += 1 } else { counts.pending += 1 }
      }
      time.record(start.duration(to: clock.now))
      return outcome
    } catch {
      guarded.withLock { counts in
        if error is CancellationError { counts.cancellations += 1 } else { counts.failures += 1 }
      }
      throw error
    }
  }
}

extension TransactionStore: MetricsSource {
  /// Commits by how they ended, and how long those that took effect took, waiting for others' commits included.
  ///
  /// Several stores are told apart by the labels they are registered with.
  public func samples() -> [MetricSample] {
    let counts = figures.counts
    func commits(_ outcome: String, _ value: Int) -> MetricSample {
      MetricSample(
        name: "transaction_commits_total", kind: .counter,
        labels: [(name: "outcome", value: outcome)], value: Double(value),
        help: "Transactions by how their commit ended")
    }
    return [
      commits("applied", counts.applied), commits("pending", counts.pending),
      commits("failed", counts.failures), commits("cancelled", counts.cancellations),
      MetricSample(
        name: "transaction_commit_seconds",
        distribution: figures.times.distribution(bounds: Histogram.durationBounds),
        help: "Time to commit a transaction"),
    ]
  }
}
