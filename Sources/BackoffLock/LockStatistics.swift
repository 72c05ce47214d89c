internal import ReliabilityIO
public import ReliabilityMetrics
internal import Synchronization

/// What a lock did so far: by ``BackoffLock/statistics``.
///
/// The first figures are those of one ``BackoffLock``, one contender; the last ones belong to the lock file in this
/// process, whoever asked for it.
public struct LockStatistics: Hashable, Sendable {
  /// Calls that wanted the lock.
  public var attempts = 0
  /// Calls that got it.
  public var acquisitions = 0
  /// Calls that gave up because their time was up, also those that tried once.
  public var timeouts = 0
  /// Calls that ended because their task was cancelled.
  public var cancellations = 0
  /// Calls that ended with an error.
  public var failures = 0
  /// Calls that had to wait.
  public var waits = 0
  /// The most calls that were ever seen waiting in this process, this contender's included.
  public var longestQueue = 0
  /// How long calls waited that got the lock, in seconds: `sum` is the total, `quantile(0.99)` the 99th percentile.
  public var wait = HistogramSnapshot()
  /// How long the lock was held, in seconds.
  public var hold = HistogramSnapshot()

  /// How often this process took the system's lock.
  public var systemAcquisitions = 0
  /// How often a holder followed another in this process without it.
  public var handOvers = 0
  /// How often the system's lock arrived when nobody waited for it any more.
  public var abandonedWaits = 0
  /// Calls that wait in this process now.
  public var waiting = 0

  /// How long a call that comes now would wait for the others of this process: those that wait or hold, times the mean
  /// hold.
  public var projectedWait: Duration {
    Duration(saturatingSeconds: Double(waiting + holders) * (hold.mean ?? 0))
  }

  /// Calls of this process that hold the lock now.
  public var holders = 0
}

/// The counts of one contender.
final class LockMeter: Sendable {
  private struct Counts {
    var statistics = LockStatistics()
  }

  private let counts = Lock(Counts())
  private let wait = Histogram("lock_wait_seconds", help: "Time to get the lock")
  private let hold = Histogram("lock_hold_seconds", help: "Time the lock was held")

  func countAttempt() { counts.withLock { $0.statistics.attempts += 1 } }
  func countTimeout() { counts.withLock { $0.statistics.timeouts += 1 } }
  func countCancellation() { counts.withLock { $0.statistics.cancellations += 1 } }
  func countFailure() { counts.withLock { $0.statistics.failures += 1 } }

  func countQueued(_ length: Int) {
    counts.withLock {
      $0.statistics.waits += 1
      $0.statistics.longestQueue = max($0.statistics.longestQueue, length)
    }
  }

  func recordWait(_ duration: Duration) {
    counts.withLock { $0.statistics.acquisitions += 1 }
    wait.record(duration)
  }

  func recordHold(_ duration: Duration) { hold.record(duration) }

  var statistics: LockStatistics {
    var result = counts.withLock { $0.statistics }
    result.wait = wait.snapshot()
    result.hold = hold.snapshot()
    return result
  }
}

extension BackoffLock: MetricsSource {
  /// What the lock did so far.
  ///
  /// - Complexity: O(buckets of the two histograms), some microseconds.
  public var statistics: LockStatistics {
    var result = meter.statistics
    openCore?.read { state in
      result.systemAcquisitions = state.machine.acquisitions
      result.handOvers = state.machine.handOvers
      result.abandonedWaits = state.machine.abandoned
      result.waiting = state.machine.waiting
      result.holders = state.machine.holders
    }
    return result
  }

  /// The figures, labelled with ``Configuration/label``.
  public func samples() -> [MetricSample] {
    let statistics = statistics
    let labels = [(name: "lock", value: configuration.label ?? "default")]
    func counter(_ name: String, _ value: Int, _ help: String) -> MetricSample {
      MetricSample(
        name: name, kind: .counter, labels: labels, value: Double(value), help: help)
    }
    func histogram(_ name: String, _ values: HistogramSnapshot, _ help: String) -> MetricSample {
      MetricSample(
        name: name, labels: labels,
        distribution: values.distribution(bounds: Histogram.durationBounds), help: help)
    }
    return [
      counter("lock_attempts_total", statistics.attempts, "Calls that wanted the lock"),
      counter("lock_acquisitions_total", statistics.acquisitions, "Calls that got the lock"),
      counter("lock_timeouts_total", statistics.timeouts, "Calls whose time was up"),
      counter("lock_cancellations_total", statistics.cancellations, "Calls that were cancelled"),
      counter("lock_failures_total", statistics.failures, "Calls that failed"),
      counter(
        "lock_system_acquisitions_total", statistics.systemAcquisitions,
        "Times the process took the lock from others"),
      counter(
        "lock_hand_overs_total", statistics.handOvers,
        "Holders that followed another in the process"),
      counter(
        "lock_abandoned_waits_total", statistics.abandonedWaits,
        "Times the lock came when nobody waited any more"),
      MetricSample(
        name: "lock_waiting", kind: .gauge, labels: labels, value: Double(statistics.waiting),
        help: "Calls that wait now"),
      histogram("lock_wait_seconds", statistics.wait, "Time to get the lock"),
      histogram("lock_hold_seconds", statistics.hold, "Time the lock was held"),
    ]
  }

  /// Who holds the lock alone now, in whatever process; `nil` when nobody does, or only readers.
  ///
  /// What is answered may be over by the time it is read: for people, not for decisions. Runs on a disk thread; a
  /// cancelled task's question is still answered.
  ///
  /// - Throws: ``LockError`` when the file can't be used; a missing one means that nobody holds it.
  public nonisolated(nonsending) func owner() async throws -> LockOwner? {
    try await DiskExecutor.shared.run { () throws in try self.ownerBlocking() }
  }

  /// Who holds the lock alone now; for callers on a thread of their own.
  ///
  /// - Throws: ``LockError`` when the file can't be used; a missing one means that nobody holds it.
  @available(*, noasync, message: "This blocks its thread; await the asynchronous form.")
  public func owner() throws -> LockOwner? { try ownerBlocking() }

  private func ownerBlocking() throws -> LockOwner? {
    do {
      return try open(creating: false).owner()
    } catch let error as LockError where error.cause?.number == .notFound {
      return nil
    } catch {
      throw LockError(error, path: path)
    }
  }
}
