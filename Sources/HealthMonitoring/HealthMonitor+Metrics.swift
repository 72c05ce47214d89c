public import ReliabilityCore
internal import ReliabilityMetrics

extension HealthMonitor {
  /// Status, age and counts of every check, how long checks take, and the alerts.
  public func samples() -> [MetricSample] {
    let (components, componentAlerts, rules, dropped) = state.withLock { state in
      (state.machine.components, state.componentAlerts, state.rules, state.droppedEvents)
    }
    let now = clock.now
    var samples: [MetricSample] = []
    for (check, component) in zip(checks, components) {
      samples += Self.samples(check.name, component, at: now)
    }
    let alerts =
      Array(zip(checks.map(\.name), componentAlerts))
      + Array(zip(configuration.rules.map(\.name), rules))
    for (name, rule) in alerts {
      let label = [(name: "alert", value: name)]
      samples.append(
        MetricSample(
          name: "health_alert_raised", kind: .gauge, labels: label,
          value: rule.alert.isRaised ? 1 : 0, help: "Whether the alert is raised"))
      samples.append(
        MetricSample(
          name: "health_alerts_raised_total", kind: .counter, labels: label,
          value: Double(rule.alert.raisedCount), help: "How often the alert was raised"))
    }
    samples.append(
      MetricSample(
        name: "health_events_dropped_total", kind: .counter, value: Double(dropped),
        help: "Events that a blocked observer was not told"))
    return samples + durations.samples()
  }

  private static func samples(
    _ name: String, _ component: HealthStateMachine.Component, at now: Int64
  ) -> [MetricSample] {
    let label = (name: "check", value: name)
    let status = component.status(at: now)
    let counts = component.counts
    var samples = HealthStatus.allCases.map {
      MetricSample(
        name: "health_status", kind: .gauge, labels: [label, (name: "status", value: $0.rawValue)],
        value: $0 == status ? 1 : 0, help: "Whether the component has this status")
    }
    let outcomes = [
      ("pass", counts.passed), ("warn", counts.warned), ("fail", counts.failed),
      ("timed_out", counts.timedOut), ("cancelled", counts.cancelled),
    ]
    samples += outcomes.map {
      MetricSample(
        name: "health_checks_total", kind: .counter,
        labels: [label, (name: "outcome", value: $0)], value: Double($1),
        help: "Checks by how they ended")
    }
    samples.append(
      MetricSample(
        name: "health_check_hanging", kind: .gauge, labels: [label],
        value: component.run?.isOverdue == true ? 1 : 0,
        help: "Whether the check runs on although its time is over"))
    if let answer = component.answer {
      samples.append(
        MetricSample(
          name: "health_answer_age_seconds", kind: .gauge, labels: [label],
          value: Double(max(0, now.saturatingMinus(answer.at))) / 1e9,
          help: "How old the last answer is"))
    }
    return samples
  }
}
