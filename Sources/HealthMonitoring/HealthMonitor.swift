public import ReliabilityCore
internal import ReliabilityMetrics

/// Asks checks on their own schedule, and answers probes from what they said last.
///
///     let monitor = HealthMonitor([
///       HealthCheck("workers", scope: .process) { pool.isStuck ? .fail("stuck") : .pass },
///       HealthCheck("database", interval: .seconds(15), timeout: .seconds(2)) { try await ping(); return .pass },
///     ])
///     async let running: Void = monitor.run()
///     let document = monitor.document(for: .readiness)  // microseconds, whatever the database does
///
/// Checks run while ``run()`` does. Each has an interval and a timeout of its own, and a task of its own: one that hangs delays no
/// other. It counts as failed when its time is over; when it ignores the cancellation that follows, it is left behind, shown as
/// hanging, and not started again before it ends.
///
/// A probe never waits: it is answered from the last answers, with their age. An answer that is older than a few intervals is shown
/// as ``HealthStatus/stale``, since whoever keeps asking a dead monitor must not hear that all is well.
///
/// What holds, whatever checks do:
/// - At most one run of each check at a time.
/// - A result that comes after its timeout changes nothing.
/// - Liveness asks no dependency.
/// - An alert is raised once, and cleared once, however often its component flaps in between.
/// - Events reach the observer one at a time, in the order in which they happened.
public final class HealthMonitor: MetricsSource {
  struct Rule: Sendable {
    var alert: AlertStateMachine
    var growth: GrowthWindow?
    var value: Double?
    var since = WallTime(nanosecondsSince1970: 0)
  }

  struct State: Sendable {
    var machine: HealthStateMachine
    var componentAlerts: [Rule]
    var rules: [Rule]
    var runs: [HealthStateMachine.RunID: CheckRun] = [:]
    var waiters: [(waiter: RunWaiter, missing: Set<HealthStateMachine.RunID>)] = []
    var wake: (alarm: MonitorAlarm, at: Int64)?
    var evaluation: MonitorAlarm?
    var isEvaluating = false
    var events: [HealthEvent] = []
    var isTelling = false
    var droppedEvents = 0
  }

  /// How many events may wait for an observer that blocks.
  static let maximumEvents = 1_000

  /// The checks, in the order in which they are shown.
  public let checks: [HealthCheck]
  let configuration: Configuration
  let clock: NanosecondClock
  let state: Lock<State>
  let durations = Histogram(
    "health_check_duration_seconds", help: "How long checks took, or until they were given up")

  /// Makes a monitor; no check runs before ``run()`` or ``checkAll()``.
  ///
  /// - Parameters:
  ///   - checks: What to ask, and how often.
  ///   - configuration: Alert rules, observer, clocks.
  /// - Precondition: ``validate(_:_:)`` does not throw.
  public init(_ checks: [HealthCheck], configuration: Configuration = .init()) {
    requireValid { () throws(ConfigurationError) in try Self.validate(checks, configuration) }
    self.checks = checks
    self.configuration = configuration
    clock = NanosecondClock(configuration.clock)
    state = Lock(
      State(
        machine: HealthStateMachine(checks.map(HealthStateMachine.Rules.init)),
        componentAlerts: checks.map {
          Rule(
            alert: AlertStateMachine(
              minimumDuration: $0.alertAfter, clearDuration: $0.clearAfter))
        },
        rules: configuration.rules.map {
          Rule(
            alert: AlertStateMachine(
              minimumDuration: $0.minimumDuration, clearDuration: $0.clearDuration),
            growth: $0.growthOver.map(GrowthWindow.init))
        }))
  }

  /// The last answers of all checks, without waiting for any.
  ///
  /// - Complexity: O(checks and rules); holds a lock for the time it takes to copy three references.
  public func report() -> HealthReport {
    let (components, componentAlerts, rules) = state.withLock { state in
      (state.machine.components, state.componentAlerts, state.rules)
    }
    let now = clock.now
    var alerts: [HealthAlert] = []
    for (check, alert) in zip(checks.indices, componentAlerts) where alert.alert.isRaised {
      alerts.append(self.alert(ofCheck: check, alert, components[check]))
    }
    for (rule, alert) in zip(configuration.rules, rules) where alert.alert.isRaised {
      alerts.append(self.alert(of: rule, alert))
    }
    return HealthReport(
      service: configuration.service, time: configuration.wallClock(),
      components: zip(checks, components).map { HealthReport.Component($0, $1, at: now) },
      alerts: alerts)
  }

  /// The answer to a probe, ready for an HTTP server, without waiting for any check.
  ///
  /// - Parameters:
  ///   - probe: What was asked.
  ///   - format: The form of the answer.
  ///   - showsDetails: Whether components are listed.
  public func document(
    for probe: HealthProbe = .everything, as format: HealthFormat = .healthJSON,
    showsDetails: Bool = true
  ) -> HealthDocument {
    report().rendered(as: format, for: probe, showsDetails: showsDetails)
  }

  /// The answer to a probe as one word.
  public func status(for probe: HealthProbe) -> HealthStatus {
    let components = state.withLock { $0.machine.components }
    let now = clock.now
    return zip(checks, components).lazy
      .filter { probe != .liveness || $0.0.scope == .process }
      .map { probe.counted(HealthReport.Component($0, $1, at: now)) }
      .max() ?? .pass
  }

  /// The alerts that are raised, those of components first.
  public var alerts: [HealthAlert] { report().alerts }

  func alert(
    ofCheck index: Int, _ state: Rule, _ component: HealthStateMachine.Component
  ) -> HealthAlert {
    HealthAlert(
      name: checks[index].name, isComponent: true, threshold: nil, value: nil,
      note: component.answer?.outcome.output(limit: checks[index].timeout), since: state.since)
  }

  func alert(of rule: AlertRule, _ state: Rule) -> HealthAlert {
    HealthAlert(
      name: rule.name, isComponent: false, threshold: rule.threshold, value: state.value,
      note: rule.note, since: state.since)
  }
}

extension HealthReport.Component {
  init(_ check: HealthCheck, _ component: HealthStateMachine.Component, at now: Int64) {
    name = check.name
    scope = check.scope
    componentType = check.componentType
    status = component.status(at: now)
    let answer = component.answer
    let age = answer.map { Duration.nanoseconds(max(0, now.saturatingMinus($0.at))) }
    self.age = age
    checkedAt = answer?.wallTime
    duration = answer.map { .nanoseconds($0.took) }
    if let run = component.run, run.isOverdue {
      hangingFor = .nanoseconds(max(0, now.saturatingMinus(run.startedAt)))
    } else {
      hangingFor = nil
    }
    var reading: HealthReading?
    var error: (any Error)?
    switch answer?.outcome {
    case .reading(let present): reading = present
    case .failed(let present): error = present
    case .timedOut, .cancelled, nil: break
    }
    observedValue = reading?.observedValue
    observedUnit = reading?.observedUnit
    self.error = error
    switch status {
    case .stale: output = "the last answer is \(age?.components.seconds ?? 0) s old"
    case .unknown: output = "not checked yet"
    case .pass, .warn, .fail: output = answer?.outcome.output(limit: check.timeout)
    }
  }
}

extension HealthStateMachine.Rules {
  init(_ check: HealthCheck) {
    interval = max(1, check.interval.nanoseconds)
    timeout = max(1, check.timeout.nanoseconds)
    let missed = interval.multipliedReportingOverflow(by: Int64(check.missedIntervals))
    lifetime = (missed.overflow ? .max : missed.partialValue).saturatingPlus(timeout)
  }
}

extension HealthMonitor: CustomStringConvertible {
  /// How well it is, in one line.
  public var description: String {
    "\(checks.count) checks, live \(status(for: .liveness)), ready \(status(for: .readiness)), "
      + "\(alerts.count) alerts"
  }
}
