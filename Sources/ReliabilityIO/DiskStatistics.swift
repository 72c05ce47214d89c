public import ReliabilityCore

/// How busy the disk threads of this process are: those that every save, sync and lock file of this package shares.
///
///     registry.register(DiskStatistics.shared)
///     for sample in DiskStatistics.shared.samples() { print(sample.name, sample.value) }
///
/// A queue that stays long is a disk that is slower than what is asked of it.
public final class DiskStatistics: MetricsSource {
  /// The figures of the process.
  public static let shared = DiskStatistics(.shared)

  private let executor: DiskExecutor

  /// The figures of an executor.
  package init(_ executor: DiskExecutor) { self.executor = executor }

  /// Threads by what they do, jobs in the queue, and jobs so far.
  public func samples() -> [MetricSample] {
    let figures = executor.figures
    func threads(_ state: String, _ value: Int) -> MetricSample {
      MetricSample(
        name: "disk_threads", kind: .gauge, labels: [(name: "state", value: state)],
        value: Double(value), help: "Threads for disk calls by what they do")
    }
    return [
      threads("idle", figures.idle), threads("busy", figures.threads - figures.idle),
      MetricSample(
        name: "disk_jobs_queued", kind: .gauge, value: Double(figures.queued),
        help: "Disk jobs that wait for a thread"),
      MetricSample(
        name: "disk_jobs_total", kind: .counter, value: Double(figures.jobs),
        help: "Disk jobs handed in"),
    ]
  }
}
