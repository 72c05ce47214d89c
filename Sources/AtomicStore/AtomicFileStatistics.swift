public import ReliabilityIO
internal import ReliabilityMetrics

/// What the saves of this process have come to: those of `AtomicFile` and of what is built on it.
///
///     registry.register(AtomicFileStatistics.shared)
///     for sample in AtomicFileStatistics.shared.samples() { print(sample.name, sample.value) }
public final class AtomicFileStatistics: MetricsSource {
  /// The figures of the process.
  public static let shared = AtomicFileStatistics()

  private struct Counts {
    var durable = 0
    var notDurable = 0
    var failures = 0
  }

  private let guarded = Lock(Counts())
  private let time = Histogram("file_save_seconds")

  private init() {}

  /// Saves by how far they came, failed ones, and how long those that took effect took, syncs included.
  public func samples() -> [MetricSample] {
    let counts = guarded.withLock { $0 }
    func saves(_ status: String, _ value: Int) -> MetricSample {
      MetricSample(
        name: "file_saves_total", kind: .counter, labels: [(name: "status", value: status)],
        value: Double(value), help: "Saves of whole files by what they achieved")
    }
    return [
      saves("durable", counts.durable), saves("not_durable", counts.notDurable),
      saves("failed", counts.failures),
      MetricSample(
        name: "file_save_seconds",
        distribution: time.snapshot().distribution(bounds: Histogram.durationBounds),
        help: "Time to save a whole file"),
    ]
  }

  func count(_ outcome: PublishOutcome, since start: ContinuousClock.Instant) {
    guarded.withLock { counts in
      if outcome.status == .durable { counts.durable += 1 } else { counts.notDurable += 1 }
    }
    time.record(start.duration(to: .now))
  }

  func countFailure() { guarded.withLock { $0.failures += 1 } }
}

extension AtomicFile {
  /// Replaces a file's content on the calling thread, and counts it.
  ///
  /// - Parameter rule: Whether the old content may become a backup, where the options ask for some.
  static func replaceBlocking(
    _ path: String, with bytes: Span<UInt8>, options: Options, fileSystem: FileSystem,
    backup rule: BackupRule = .always
  ) throws(StoreError) -> PublishOutcome {
    let start = ContinuousClock.now
    do throws(StoreError) {
      let outcome = try replaceUncounted(
        path, with: bytes, options: options, fileSystem: fileSystem, backup: rule)
      AtomicFileStatistics.shared.count(outcome, since: start)
      return outcome
    } catch {
      AtomicFileStatistics.shared.countFailure()
      throw error
    }
  }

  /// Gives the content its name on the calling thread, and counts it.
  func publishBlocking() throws(StoreError) -> PublishOutcome {
    let start = ContinuousClock.now
    do throws(StoreError) {
      let outcome = try publishUncounted()
      AtomicFileStatistics.shared.count(outcome, since: start)
      return outcome
    } catch {
      AtomicFileStatistics.shared.countFailure()
      throw error
    }
  }
}
