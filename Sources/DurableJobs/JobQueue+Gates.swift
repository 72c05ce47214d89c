internal import CircuitBreaker
internal import RateLimiting
internal import ReliabilityCore

// Which kinds may start: their places, their breakers and their rate limits.

extension JobQueue {
  /// What a worker may ask for.
  struct Plan {
    var signals: UInt64
    var allowances: [JobKindAllowance]
    /// Kinds with a place that is reserved.
    var reserved: [Int] = []
    /// Kinds with a permit that was taken.
    var permitted: [Int] = []
  }

  /// All that a worker may claim when no kind has a limit of its own; `nil` when it must retire.
  func planWithoutGates(_ shell: borrowing Shell) -> Plan? {
    shell.mayStart ? Plan(signals: shell.signals, allowances: allAllowances) : nil
  }

  /// What the worker may claim now; `nil` when it must retire, which is then done.
  func makePlan() -> Plan? {
    let now = clock.now
    let (plan, gated) = shell.withLock { shell -> (Plan?, [Int]) in
      guard shell.mayStart else {
        shell.workers -= 1
        return (nil, [])
      }
      var plan = planWithoutGates(shell)!
      if !hasGates { return (plan, []) }
      plan.allowances = []
      var gated: [Int] = []
      for (index, handler) in handlers.enumerated() {
        let state = shell.kinds[index]
        if state.heldUntil > now { continue }
        if let most = handler.options.concurrency {
          if state.running + state.reserved >= most {
            if state.reserved > 0 { shell.kinds[index].wasTurnedAway = true }
            continue
          }
          shell.kinds[index].reserved += 1
          plan.reserved.append(index)
        }
        if handler.options.breaker != nil || handler.options.rateLimiter != nil {
          gated.append(index)
        } else {
          plan.allowances.append(JobKindAllowance(kind: handler.kind, limit: 1))
        }
      }
      return (plan, gated)
    }
    guard var plan else {
      noteChange()
      return nil
    }
    for index in gated {
      if let wait = askGates(of: index) {
        hold(index, for: wait)
      } else {
        if handlers[index].options.rateLimiter != nil { plan.permitted.append(index) }
        plan.allowances.append(JobKindAllowance(kind: handlers[index].kind, limit: 1))
      }
    }
    return plan
  }

  /// Asks a kind's breaker and limiter whether one may start.
  ///
  /// - Returns: `nil` when it may, with a permit of the limiter taken; otherwise how long to wait.
  private func askGates(of index: Int) -> Duration? {
    let options = handlers[index].options
    if let breaker = options.breaker {
      do {
        // Only to ask: dropped at once, it counts as nothing and gives back a probe's slot.
        _ = try breaker.admit()
      } catch {
        return (error as? CircuitOpenError)?.remainingOpenTime ?? .seconds(1)
      }
    }
    if let limiter = options.rateLimiter {
      let decision = limiter.tryAcquire()
      if !decision.isAllowed { return decision.retryAfter ?? .seconds(60) }
    }
    return nil
  }

  /// Keeps a kind from starting for a while.
  func hold(_ index: Int, for wait: Duration) {
    let wait = max(.milliseconds(1), wait)
    let until = clock.now.adding(wait.nanoseconds)
    let isNew = shell.withLock { shell -> Bool in
      shell.kinds[index].heldUntil = until
      defer { shell.kinds[index].isHeldReported = true }
      return !shell.kinds[index].isHeldReported
    }
    if isNew { tell(JobEvent(.held(for: wait), jobKind: handlers[index].kind)) }
    wake(in: wait)
  }

  /// Gives back what a plan had reserved and did not use.
  ///
  /// - Returns: Of a worker that wants to retire, whether it must look again; otherwise it has given up its slot. Of another
  ///   one, whether somebody else had to retire because of what was reserved.
  func give(back plan: Plan, claimed: Int?, isRetiring: Bool) -> Bool {
    for index in plan.permitted where index != claimed {
      handlers[index].options.rateLimiter?.giveBack()
    }
    let again = shell.withLock { shell -> Bool in
      var turnedSomebodyAway = false
      for index in plan.reserved {
        shell.kinds[index].reserved -= 1
        if shell.kinds[index].wasTurnedAway { turnedSomebodyAway = true }
        shell.kinds[index].wasTurnedAway = false
      }
      // Held because the permit was here, which is back now.
      for index in plan.permitted where index != claimed { shell.kinds[index].heldUntil = .min }
      if let claimed {
        shell.kinds[claimed].running += 1
        shell.kinds[claimed].isHeldReported = false
      }
      guard isRetiring else { return turnedSomebodyAway }
      if shell.mayStart && (turnedSomebodyAway || shell.signals != plan.signals) { return true }
      shell.workers -= 1
      return false
    }
    if isRetiring && !again { noteChange() }
    return again
  }

  /// The breaker of a kind may have changed its mind: those that wait ask it again.
  func letGo(_ kind: Int) {
    shell.withLock { $0.kinds[kind].heldUntil = .min }
    signal()
  }
}
