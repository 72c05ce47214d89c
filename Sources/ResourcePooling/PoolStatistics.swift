public import ReliabilityCore
internal import ReliabilityMetrics

/// The figures of a pool at one moment.
///
///     let figures = pool.statistics
///     print("\(figures.lent) of \(figures.maximum) lent, reused \(Int(figures.reuseRatio * 100)) %")
///
/// They belong together: ``created`` is always ``closed`` + ``idle`` + ``lent`` + ``inUpkeep`` + ``closing``.
public struct PoolStatistics: Hashable, Sendable {
  /// How many there may be.
  public let maximum: Int
  /// Resources that wait to be lent.
  public let idle: Int
  /// Resources that are lent.
  public let lent: Int
  /// Resources that are being made.
  public let creating: Int
  /// Resources that are being checked or rolled back.
  public let inUpkeep: Int
  /// Resources that are being closed.
  public let closing: Int
  /// Callers that wait in line.
  public let waiting: Int

  /// Resources made so far.
  public let created: Int
  /// Resources closed so far.
  public let closed: Int
  /// Loans so far.
  public let loans: Int
  /// Loans of a resource that had been lent before.
  public let resourcesReused: Int
  /// Callers who waited until their time was up.
  public let timeouts: Int
  /// Callers who were cancelled while they waited.
  public let cancelledWaits: Int
  /// Callers who were turned away: no time, full line, nothing could be made, stopped.
  public let refusals: Int

  /// Resources that could not be made.
  public let creationErrors: Int
  /// Uses that failed.
  public let useErrors: Int
  /// Checks that said no or threw.
  public let failedChecks: Int
  /// Rollbacks that threw.
  public let rollbackErrors: Int
  /// Closers that threw.
  public let closerErrors: Int
  /// The most failed uses of any resource there is.
  public let mostErrorsOfOne: Int
  /// Resources closed or being closed, by the reason.
  public let evictions: [PoolEvent.Eviction: Int]

  /// The part of the loans that needed no new resource, 0 to 1; 0 before the first loan.
  public var reuseRatio: Double { loans == 0 ? 0 : Double(resourcesReused) / Double(loans) }

  /// The errors of all kinds.
  public var totalErrors: Int {
    creationErrors + useErrors + failedChecks + rollbackErrors + closerErrors
  }

  init(_ machine: borrowing PoolStateMachine<PoolWaiter>) {
    let (tally, counts) = (machine.tally, machine.counts)
    maximum = machine.rules.maximum
    idle = tally.idle
    lent = tally.lent
    creating = tally.creating
    inUpkeep = tally.checking + tally.returning
    closing = tally.closing
    waiting = machine.line.count
    created = counts.created
    closed = counts.closed
    loans = counts.loans
    resourcesReused = counts.reused
    timeouts = counts.timeouts
    cancelledWaits = counts.cancelledWaits
    refusals = counts.refusals
    creationErrors = counts.creationErrors
    useErrors = counts.useErrors
    failedChecks = counts.unhealthy
    rollbackErrors = counts.rollbackErrors
    closerErrors = counts.closerErrors
    mostErrorsOfOne = machine.mostErrors
    evictions = Dictionary(
      uniqueKeysWithValues: PoolEvent.Eviction.allCases.map { ($0, counts.evictions[$0.index]) })
  }
}

extension ResourcePool {
  /// The figures now.
  ///
  /// - Complexity: O(number of resources).
  public var statistics: PoolStatistics { core.inspect { PoolStatistics($0.machine) } }

  /// Resources by state, loans and reuse, errors and evictions by kind, and how long callers waited.
  public func samples() -> [MetricSample] {
    let figures = statistics
    let pool = (name: "pool", value: name)
    func gauge(
      _ metric: String, _ value: Double, _ label: (name: String, value: String)? = nil,
      _ help: String
    ) -> MetricSample {
      MetricSample(
        name: metric, kind: .gauge, labels: [pool] + (label.map { [$0] } ?? []), value: value,
        help: help)
    }
    func counter(
      _ metric: String, _ value: Int, _ label: (name: String, value: String)? = nil,
      _ help: String
    ) -> MetricSample {
      MetricSample(
        name: metric, kind: .counter, labels: [pool] + (label.map { [$0] } ?? []),
        value: Double(value), help: help)
    }
    let states = [
      ("idle", figures.idle), ("lent", figures.lent), ("creating", figures.creating),
      ("upkeep", figures.inUpkeep), ("closing", figures.closing),
    ]
    let errors = [
      ("creation", figures.creationErrors), ("use", figures.useErrors),
      ("check", figures.failedChecks), ("rollback", figures.rollbackErrors),
      ("closer", figures.closerErrors),
    ]
    let waits = [
      ("timed_out", figures.timeouts), ("cancelled", figures.cancelledWaits),
      ("refused", figures.refusals),
    ]
    var samples = states.map {
      gauge("pool_resources", Double($1), ("state", $0), "Resources by what they are doing")
    }
    samples += [
      gauge("pool_waiting", Double(figures.waiting), nil, "Callers that wait in line"),
      gauge(
        "pool_used_ratio", Double(figures.lent) / Double(figures.maximum), nil,
        "Lent resources as a part of the maximum"),
      gauge(
        "pool_reuse_ratio", figures.reuseRatio, nil, "Part of the loans that reused a resource"),
      gauge(
        "pool_resource_errors_max", Double(figures.mostErrorsOfOne), nil,
        "The most failed uses of one resource"),
      counter("pool_loans_total", figures.loans, nil, "Loans"),
      counter(
        "pool_resources_reused_total", figures.resourcesReused, nil,
        "Loans of a resource that had been lent before"),
      counter("pool_created_total", figures.created, nil, "Resources made"),
      counter("pool_closed_total", figures.closed, nil, "Resources closed"),
    ]
    samples += errors.map {
      counter("pool_errors_total", $1, ("kind", $0), "Errors by where they happened")
    }
    samples += waits.map {
      counter("pool_failed_waits_total", $1, ("result", $0), "Callers that got no resource")
    }
    samples += PoolEvent.Eviction.allCases.map {
      counter(
        "pool_evictions_total", figures.evictions[$0, default: 0], ("reason", $0.rawValue),
        "Resources closed by the reason")
    }
    return samples + core.waits.samples()
  }
}

extension ResourcePool: CustomStringConvertible {
  /// How many resources are where, in one line.
  public var description: String {
    let figures = statistics
    return "\(name): \(figures.lent) of \(figures.maximum) lent, \(figures.idle) idle, "
      + "\(figures.waiting) waiting"
  }
}
