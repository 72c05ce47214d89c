public import ReliabilityIO

/// What the sweeps of this process have removed and kept, those that stores do by themselves included.
///
///     registry.register(SweepStatistics.shared)
///     for sample in SweepStatistics.shared.samples() { print(sample.name, sample.value) }
public final class SweepStatistics: MetricsSource {
  /// The figures of the process.
  public static let shared = SweepStatistics()

  private struct Counts {
    var sweeps = 0
    var removed = 0
    var removedBytes: Int64 = 0
    var failures = 0
  }

  private let guarded = Lock(Counts())

  private init() {}

  /// Sweeps, files and bytes removed, and calls that failed.
  public func samples() -> [MetricSample] {
    let counts = guarded.withLock { $0 }
    func counter(_ name: String, _ value: Double, _ help: String) -> MetricSample {
      MetricSample(name: name, kind: .counter, value: value, help: help)
    }
    return [
      counter("orphan_sweeps_total", Double(counts.sweeps), "Directories swept"),
      counter("orphans_removed_total", Double(counts.removed), "Orphaned files removed"),
      counter(
        "orphans_removed_bytes_total", Double(counts.removedBytes), "Bytes of orphaned files"),
      counter("orphan_sweep_failures_total", Double(counts.failures), "Calls that failed"),
    ]
  }

  func count(_ report: SweepReport) {
    guarded.withLock { counts in
      counts.sweeps += 1
      counts.removed += report.removed.count
      counts.removedBytes += report.removed.reduce(0) { $0 + $1.size }
      counts.failures += report.failures.count
    }
  }
}
