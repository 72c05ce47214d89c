public import ReliabilityCore
public import ReliabilityMetrics

/// What a concurrency limiter did so far: by `ConcurrencyLimiter.statistics`.
///
///     let statistics = limiter.statistics
///     print(statistics.inFlight, "of", statistics.limit, "busy,", statistics.waiting, "in line")
///     print(statistics.wait.quantile(0.99) ?? 0)  // seconds
///
/// `admitted` is always the sum of `succeeded`, `dropped`, `ignored` and `inFlight`.
public struct ConcurrencyStatistics: Hashable, Sendable {
  /// How many may be in flight now.
  public var limit = 0
  /// How many are in flight now.
  public var inFlight = 0
  /// How many wait in line now.
  public var waiting = 0
  /// The most that ever were in flight.
  public var mostInFlight = 0
  /// The longest line there ever was.
  public var longestLine = 0
  /// Calls that were begun.
  public var admitted = 0
  /// Calls that ended well.
  public var succeeded = 0
  /// Calls that were too much for the other side.
  public var dropped = 0
  /// Calls that ended without saying anything about the limit, cancelled ones among them.
  public var ignored = 0
  /// Calls that were refused because the line was full.
  public var refusedByQueue = 0
  /// Calls that were refused because their deadline left no time for the line.
  public var refusedByDeadline = 0
  /// Calls whose time was up while they waited.
  public var timedOut = 0
  /// Calls that were cancelled while they waited.
  public var cancelledWaits = 0
  /// How long those calls waited that had to and were served, in seconds.
  public var wait = HistogramSnapshot()
  /// How long a call that has to wait now is likely to, by the pace of the line; `nil` when there is no telling.
  public var projectedWait: Duration?
}

/// The counts of a limiter, kept under its lock.
struct ConcurrencyCounts: Sendable {
  var statistics = ConcurrencyStatistics()

  @inline(__always)
  mutating func admit(_ count: Int, inFlight: Int) {
    statistics.admitted += count
    statistics.mostInFlight = max(statistics.mostInFlight, inFlight)
  }

  @inline(__always)
  mutating func count(_ outcome: ConcurrencyLimiter.Outcome) {
    switch outcome {
    case .success: statistics.succeeded += 1
    case .dropped: statistics.dropped += 1
    case .ignored: statistics.ignored += 1
    }
  }

  mutating func count(
    _ admission: ConcurrencyStateMachine<ConcurrencyWaiter>.Admission,
    _ machine: borrowing ConcurrencyStateMachine<ConcurrencyWaiter>
  ) {
    switch admission {
    case .granted: admit(1, inFlight: machine.inFlight)
    case .refused(.queueFull, _): statistics.refusedByQueue += 1
    case .refused: statistics.refusedByDeadline += 1
    case .waiting: statistics.longestLine = max(statistics.longestLine, machine.waiting)
    }
  }

  mutating func count(_ end: ConcurrencyWaiter.End) {
    switch end {
    case .granted: break
    case .cancelled: statistics.cancelledWaits += 1
    case .timedOut: statistics.timedOut += 1
    }
  }
}

/// What is measured outside the lock.
struct ConcurrencyMeter: Sendable {
  let wait = Histogram("concurrency_wait_seconds")
}

extension ConcurrencyLimiter {
  /// What the limiter did so far.
  ///
  /// - Complexity: O(buckets of the histogram), some microseconds.
  public var statistics: ConcurrencyStatistics {
    var result = guarded.withLock { guarded in
      var result = guarded.counts.statistics
      result.limit = guarded.machine.limit
      result.inFlight = guarded.machine.inFlight
      result.waiting = guarded.machine.waiting
      if guarded.machine.waiting > 0 {
        result.projectedWait = guarded.machine.projectedWait.map { .nanoseconds($0) }
      }
      return result
    }
    result.wait = meter.wait.snapshot()
    return result
  }

  /// The limit, what is in flight and in line, calls by how they began and by how they ended, and the time in line.
  public func samples() -> [MetricSample] {
    let statistics = statistics
    let label = (name: "limiter", value: name)
    func gauge(_ metric: String, _ value: Int, _ help: String) -> MetricSample {
      MetricSample(
        name: metric, kind: .gauge, labels: [label], value: Double(value), help: help)
    }
    func decision(_ result: String, _ value: Int) -> MetricSample {
      MetricSample(
        name: "concurrency_decisions_total", kind: .counter,
        labels: [label, (name: "result", value: result)], value: Double(value),
        help: "Calls by whether they were begun")
    }
    func ended(_ outcome: String, _ value: Int) -> MetricSample {
      MetricSample(
        name: "concurrency_calls_total", kind: .counter,
        labels: [label, (name: "outcome", value: outcome)], value: Double(value),
        help: "Calls that ended")
    }
    return [
      gauge("concurrency_limit", statistics.limit, "Calls that may be in flight"),
      gauge("concurrency_in_flight", statistics.inFlight, "Calls in flight"),
      gauge("concurrency_waiting", statistics.waiting, "Calls in line"),
      decision("admitted", statistics.admitted),
      decision("queue_full", statistics.refusedByQueue),
      decision("deadline", statistics.refusedByDeadline),
      decision("timed_out", statistics.timedOut),
      decision("cancelled", statistics.cancelledWaits),
      ended("success", statistics.succeeded),
      ended("dropped", statistics.dropped),
      ended("ignored", statistics.ignored),
      MetricSample(
        name: "concurrency_wait_seconds", labels: [label],
        distribution: statistics.wait.distribution(bounds: Histogram.durationBounds),
        help: "Time in line of calls that had to wait"),
    ]
  }
}
