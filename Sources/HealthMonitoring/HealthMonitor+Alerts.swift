internal import ReliabilityCore
internal import ReliabilityMetrics

extension HealthMonitor {
  /// Evaluates all rules now, as ``run()`` does at every interval.
  ///
  /// For programs that keep no schedule. May be called from anywhere; the closures of the rules run on the caller's thread, and the
  /// observer too.
  public func evaluateRules() {
    evaluate()
    tell()
  }

  /// The values of all rules, read without a lock: they come from a user's code.
  private func readValues() -> [Double?] {
    var snapshots: [ObjectIdentifier: MetricsSnapshot] = [:]
    return configuration.rules.map { rule in
      let value: Double?
      switch rule.source {
      case .value(let read): value = read()
      case .metrics(let registry, let find):
        let key = ObjectIdentifier(registry)
        let snapshot = snapshots[key] ?? registry.snapshot()
        snapshots[key] = snapshot
        value = find(snapshot)
      }
      return value.flatMap { $0.isFinite ? $0 : nil }
    }
  }

  private func evaluate() {
    let values = readValues()
    let wallTime = configuration.wallClock()
    state.withLock { state in
      let now = self.clock.now
      for index in self.checks.indices {
        self.evaluateComponent(index, &state, now, wallTime)
      }
      for (index, rule) in self.configuration.rules.enumerated() {
        var value = values[index]
        if let read = value { value = state.rules[index].growth?.grow(to: read, at: now) ?? read }
        let evidence: AlertStateMachine.Evidence =
          switch value {
          case nil: .none
          case let value? where rule.threshold.isBroken(by: value): .trouble
          case let value? where rule.isCleared(by: value): .well
          default: .none
          }
        state.rules[index].value = value
        guard let transition = state.rules[index].alert.observe(evidence, at: now) else { continue }
        if transition == .raised { state.rules[index].since = wallTime }
        self.append(
          HealthEvent(
            transition.eventKind, rule.name, alert: self.alert(of: rule, state.rules[index])),
          &state)
      }
    }
  }

  /// Looks at one component as its alert does: a failure is trouble, an answer that is missing or old is no evidence.
  private func evaluateComponent(
    _ index: Int, _ state: inout State, _ now: Int64, _ wallTime: WallTime
  ) {
    let component = state.machine.components[index]
    let evidence: AlertStateMachine.Evidence =
      switch component.status(at: now) {
      case .fail: .trouble
      case .pass, .warn: .well
      case .stale, .unknown: .none
      }
    guard let transition = state.componentAlerts[index].alert.observe(evidence, at: now) else {
      return
    }
    if transition == .raised { state.componentAlerts[index].since = wallTime }
    append(
      HealthEvent(
        transition.eventKind, checks[index].name,
        alert: alert(ofCheck: index, state.componentAlerts[index], component)), &state)
  }

  /// Takes note of a new answer.
  func note(
    _ change: HealthStateMachine.Change, _ state: inout State, _ now: Int64, _ wallTime: WallTime
  ) {
    let name = checks[change.component].name
    if change.becameOverdue {
      append(HealthEvent(.timedOut, name, before: change.before, after: change.after), &state)
    }
    if change.before != change.after {
      var error: (any Error)?
      if case .failed(let thrown) = state.machine.components[change.component].answer?.outcome {
        error = thrown
      }
      append(
        HealthEvent(
          .statusChanged, name, before: change.before, after: change.after, error: error), &state)
    }
    evaluateComponent(change.component, &state, now, wallTime)
  }

  /// Keeps an event until the observer can be told.
  func append(_ event: HealthEvent, _ state: inout State) {
    guard configuration.observer != nil else { return }
    if state.events.count < Self.maximumEvents {
      state.events.append(event)
    } else {
      state.droppedEvents += 1
    }
  }

  /// Tells the observer what has happened; one thread at a time, so that the order is kept.
  func tell() {
    guard let observer = configuration.observer else { return }
    while true {
      let events = state.withLock { state -> [HealthEvent] in
        // Whoever is telling will find what is new.
        if state.isTelling || state.events.isEmpty { return [] }
        state.isTelling = true
        defer { state.events = [] }
        return state.events
      }
      if events.isEmpty { return }
      for event in events { observer(event) }
      state.withLock { $0.isTelling = false }
    }
  }

  func evaluateAndReschedule() {
    evaluateRules()
    let next = clock.now.saturatingPlus(max(1, configuration.alertInterval.nanoseconds))
    let alarm = state.withLock { state -> MonitorAlarm? in
      state.isEvaluating = false
      guard state.machine.runners > 0 else { return nil }
      let alarm = MonitorAlarm { [weak self] in self?.evaluationIsDue($0) }
      state.evaluation = alarm
      return alarm
    }
    if let alarm { schedule(alarm, at: next) }
  }

  private func evaluationIsDue(_ alarm: MonitorAlarm) {
    let isDue = state.withLock { state in
      guard state.evaluation === alarm else { return false }
      state.evaluation = nil
      state.isEvaluating = true
      return true
    }
    if isDue { Task.detached { self.evaluateAndReschedule() } }
  }
}

extension AlertStateMachine.Transition {
  fileprivate var eventKind: HealthEvent.Kind { self == .raised ? .alertRaised : .alertCleared }
}
