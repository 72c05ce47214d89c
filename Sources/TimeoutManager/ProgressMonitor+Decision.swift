internal import ReliabilityCore

extension ProgressStateMachine.Rules {
  /// - Parameters:
  ///   - learned: What is known about the kind of work.
  ///   - longest: What an outer deadline leaves.
  init(_ timeout: AdaptiveTimeout, learned: Duration?, longest: Duration) {
    let configured = min(timeout.maximum, .farAway)
    maximum = max(1, min(configured, longest).nanoseconds)
    let base = learned.map { max(timeout.minimum, min($0, configured)) } ?? timeout.base
    self.base = min(max(1, base.clamped.nanoseconds), maximum)
    baseIsLearned = learned != nil
    stall = timeout.stall.map { max(1, $0.clamped.nanoseconds) }
    network = timeout.network.map { max(1, $0.clamped.nanoseconds) }
    isAdaptive = timeout.isAdaptive
    margin = timeout.margin
    minimumSpeed = timeout.minimumSpeed
    fastTimeConstant = timeout.speedTimeConstants.fast.clamped.seconds
    slowTimeConstant = timeout.speedTimeConstants.slow.clamped.seconds
  }
}

extension ProgressStateMachine {
  /// Why the limit is what it is.
  var reason: TimeoutDecision.Reason {
    if limit > plainLimit { return .pressure }
    if isEstimate { return plainLimit >= rules.maximum ? .maximum : .estimate }
    return rules.baseIsLearned ? .learned : .base
  }
}

extension ProgressStateMachine.Limit {
  var kind: TimeoutError.Kind {
    switch self {
    case .total: .total
    case .network: .network
    case .stall, .heartbeats: .stall
    }
  }

  /// How long the limit was that has passed.
  func duration(in machine: ProgressStateMachine) -> Duration {
    switch self {
    case .total: .nanoseconds(machine.limit)
    case .network: .nanoseconds(machine.networkLimit ?? 0)
    case .stall: .nanoseconds(machine.stallLimit ?? 0)
    case .heartbeats: machine.heartbeats?.silence ?? .zero
    }
  }
}

extension TimeoutDecision {
  init(_ machine: ProgressStateMachine, passed: ProgressStateMachine.Limit?) {
    switch passed {
    case nil: reason = machine.reason
    case .total: reason = .limitPassed
    case .network: reason = .noFirstProgress
    case .stall: reason = .stalled
    case .heartbeats: reason = .heartbeatsStopped
    }
    self.passed = passed?.kind
    limit = .nanoseconds(machine.limit)
    nextLimit = .nanoseconds(max(0, machine.next.at.saturatingMinus(machine.start)))
    elapsed = .nanoseconds(machine.elapsed)
    sinceProgress = .nanoseconds(
      max(0, machine.now.saturatingMinus(machine.lastProgress ?? machine.start)))
    base = .nanoseconds(machine.rules.base)
    maximum = .nanoseconds(machine.rules.maximum)
    completed = machine.completed
    total = machine.total
    isFraction = machine.unit == .fraction
    fastSpeed = machine.fast.value
    slowSpeed = machine.slow.value
    estimatedRemaining = machine.remaining.map {
      Duration(saturatingSeconds: $0, limit: .farAway)
    }
    margin = machine.rules.margin
    pressure = machine.pressure
    phi = machine.heartbeats.map { $0.phi(at: .nanoseconds(machine.now)) }
  }
}
