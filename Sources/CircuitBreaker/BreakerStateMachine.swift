internal import ReliabilityCore

/// What a ``CircuitBreaker`` decides, without locks, clocks or callbacks: events and the time go in, decisions come out.
///
/// Time is in nanoseconds since some origin. A time before the latest one counts as the latest one.
///
/// | from | on | to |
/// |---|---|---|
/// | closed | a threshold is reached: by a result, or by calls in flight that are slow already | open |
/// | open | the open time is over, seen by the next call | half-open |
/// | half-open | enough probes succeeded | closed |
/// | half-open | a probe failed, was throttled, or is slow | open |
/// | any | a person says so, or a snapshot is restored | any |
///
/// Forced open, disabled and metrics-only are left by the last row alone.
struct BreakerStateMachine {
  typealias State = CircuitBreaker.State
  typealias Cause = CircuitBreaker.Cause
  typealias Permit = BreakerPermit

  /// A change of state.
  struct Transition: Hashable, Sendable {
    var from: State
    var to: State
    var cause: Cause
    /// How long an open breaker stays open, in nanoseconds.
    var openTime: Int64?
  }

  /// What a result came to.
  struct Settlement: Hashable, Sendable {
    /// Whether it counted, that is, neither its era nor its lease was over.
    var counted = false
    var wasSlow = false
    var transition: Transition?
  }

  /// How a call ended, as far as the breaker is concerned.
  enum Outcome: Hashable, Sendable {
    case success
    case failure
    case throttled(hint: Int64?)
    /// Nothing is known about the other side: ignored, cancelled, dropped.
    case neither
  }

  let rules: BreakerRules
  private(set) var state = State.closed
  /// Grows with every transition and every reset; a result of an older one changes nothing.
  private(set) var era: UInt64 = 1
  /// Why it is in its state.
  private(set) var cause = Cause.initial
  private(set) var window: OutcomeWindow
  private(set) var calls = CallsInFlight()
  private(set) var consecutiveFailures = 0
  private(set) var probeSuccesses = 0
  /// How often it opened since it was closed last.
  private(set) var openings = 0
  private(set) var openTime: Int64 = 0
  private(set) var openUntil = BreakerTime.distantPast
  private var latest = BreakerTime.distantPast
  private var generator: any RandomNumberGenerator & Sendable

  init(_ rules: BreakerRules, generator: any RandomNumberGenerator & Sendable) {
    self.rules = rules
    self.generator = generator
    window = OutcomeWindow(rules.window)
  }

  /// The era, when every call is admitted and none is followed; zero otherwise.
  var ungatedEra: UInt64 {
    switch state {
    case .disabled: era
    case .closed, .metricsOnly: rules.followsCalls ? 0 : era
    default: 0
    }
  }

  /// Whether the thresholds are reached now, in whatever state.
  var reachedThreshold: Cause? {
    if consecutiveFailures >= rules.consecutiveFailures { return .consecutiveFailures }
    let tally = window.tally
    if tally.failures >= rules.fewestFailures, tally.calls >= rules.minimumVolume,
      Double(tally.failures) >= rules.failureRate * Double(tally.calls)
    {
      return .failureRate
    }
    if rules.followsCalls {
      let slow = tally.slowCalls + calls.overdueCount
      let known = tally.calls + calls.overdueCount
      if slow > 0, known >= rules.minimumVolume,
        Double(slow) >= rules.slowCallRate * Double(known)
      {
        return .slowCallRate
      }
    }
    return nil
  }
}

extension BreakerStateMachine {
  /// Whether everybody is turned away, and time has brought no change.
  func isTurningAway(now: Int64) -> Bool {
    switch state {
    case .open: max(now, latest) < openUntil
    case .forcedOpen: true
    default: false
    }
  }

  /// A caller asks for the right to call.
  ///
  /// - Returns: The permit, `nil` for a rejection; and what happened to the state before that was decided.
  mutating func admit(now: Int64) -> (permit: Permit?, transition: Transition?) {
    let transition = update(now: now)
    switch state {
    case .disabled:
      return (Permit(era: era), transition)
    case .closed, .metricsOnly:
      guard rules.followsCalls else { return (Permit(era: era), transition) }
      return (Permit(era: era, call: calls.begin(at: latest)), transition)
    case .halfOpen:
      guard calls.count < rules.probePermits else { return (nil, transition) }
      return (Permit(era: era, call: calls.begin(at: latest)), transition)
    case .open, .forcedOpen:
      return (nil, transition)
    }
  }

  /// Does what only the passing of time brings about.
  mutating func update(now: Int64) -> Transition? {
    let now = advance(to: now)
    switch state {
    case .closed, .metricsOnly:
      window.advance(to: now)
      guard rules.followsCalls else { return nil }
      calls.markOverdue(startedBy: now - rules.slowDuration)
      return openIfReached(now: now)
    case .open:
      return now >= openUntil ? enter(.halfOpen, .openTimeOver) : nil
    case .halfOpen:
      calls.forget(startedBy: now - rules.probeLease)
      calls.markOverdue(startedBy: now - rules.slowDuration)
      return calls.overdueCount > 0 ? open(.probeSlow, now: now) : nil
    case .forcedOpen, .disabled:
      return nil
    }
  }

  /// A call ended.
  ///
  /// - Parameter now: May be long ago for the success of an untracked call where ``BreakerRules/timesSuccesses`` is false.
  mutating func settle(_ permit: Permit, _ outcome: Outcome, now: Int64) -> Settlement {
    guard permit.era == era else { return Settlement() }
    let now = advance(to: now)
    var isSlow = false
    if permit.call != .untracked {
      if state == .halfOpen { calls.forget(startedBy: now - rules.probeLease) }
      guard let started = calls.end(permit.call) else { return Settlement() }
      isSlow = rules.followsCalls && now - started >= rules.slowDuration
    }
    if outcome == .neither { return Settlement(counted: true, wasSlow: isSlow) }
    let transition =
      switch state {
      case .closed, .metricsOnly: count(outcome, isSlow: isSlow, now: now)
      case .halfOpen: conclude(outcome, isSlow: isSlow, now: now)
      case .open, .forcedOpen, .disabled: Transition?.none
      }
    return Settlement(counted: true, wasSlow: isSlow, transition: transition)
  }

  /// The common case of ``settle(_:_:now:)``: the success of a call that nobody followed, far from every threshold.
  ///
  /// - Returns: Whether it was that; if not, nothing was done.
  @inline(__always)
  mutating func succeedPlainly(_ permit: Permit, now: Int64) -> Bool {
    guard permit.era == era, state == .closed, window.tally.failures < rules.fewestFailures
    else { return false }
    consecutiveFailures = 0
    if now > latest { latest = min(now, BreakerTime.distantFuture) }
    window.recordSuccess(at: latest)
    return true
  }

  /// Counts a result of a closed breaker.
  private mutating func count(_ outcome: Outcome, isSlow: Bool, now: Int64) -> Transition? {
    let failed = outcome != .success
    if !failed {
      consecutiveFailures = 0
    } else if consecutiveFailures < .max {
      consecutiveFailures += 1
    }
    window.record(failed: failed, slow: isSlow, at: now)
    if rules.followsCalls { calls.markOverdue(startedBy: now - rules.slowDuration) }
    guard case .throttled(let hint) = outcome else { return openIfReached(now: now) }
    return openIfReached(now: now, hint: hint)
  }

  /// Draws the conclusion from a probe.
  private mutating func conclude(_ outcome: Outcome, isSlow: Bool, now: Int64) -> Transition? {
    switch outcome {
    case .success where isSlow:
      return open(.probeSlow, now: now)
    case .success:
      probeSuccesses += 1
      return probeSuccesses >= rules.probeSuccesses ? enter(.closed, .probesSucceeded) : nil
    case .failure:
      return open(.probeFailed, now: now)
    case .throttled(let hint):
      return open(.probeThrottled, now: now, hint: hint, grows: false)
    case .neither:
      return nil
    }
  }
}

extension BreakerStateMachine {
  /// A person takes control.
  ///
  /// - Parameter openFor: With `.open`, for how long.
  /// - Returns: `nil` when it was in that state already and stays there.
  mutating func force(_ target: State, openFor: Int64? = nil, now: Int64) -> Transition? {
    let now = advance(to: now)
    if target == .open {
      openings = max(1, openings)
      return open(for: openFor ?? drawOpenTime(), .manual, now: now)
    }
    if target == .closed {
      let transition = enter(.closed, .manual)
      return transition.from == .closed ? nil : transition
    }
    if target == state { return nil }
    return enter(target, .manual)
  }

  /// The era begins anew with what was saved.
  mutating func restore(_ saved: BreakerMemory, elapsed: Int64, now: Int64) -> Transition? {
    let now = advance(to: now)
    let transition = enter(saved.state, .restored)
    openings = saved.openings
    consecutiveFailures = saved.consecutiveFailures
    if saved.state == .open {
      openTime = saved.openTime
      openUntil = now + max(0, saved.remainingOpenTime - elapsed)
    }
    if saved.state == .closed || saved.state == .metricsOnly {
      if !saved.history.isEmpty { window.restore(history: saved.history) }
      if !saved.buckets.isEmpty {
        window.restore(
          buckets: saved.buckets, age: min(saved.bucketAge + elapsed, BreakerTime.distantFuture),
          at: now)
      }
    }
    return transition.from == .closed && transition.to == .closed ? nil : transition
  }

  /// What is worth keeping over a restart.
  func memory(at now: Int64) -> BreakerMemory {
    var current = self
    _ = current.update(now: now)
    let (buckets, age) = current.window.ages(at: current.latest)
    return BreakerMemory(
      state: current.state, openings: current.openings,
      consecutiveFailures: current.consecutiveFailures, openTime: current.openTime,
      remainingOpenTime: current.remainingOpenTime(at: now) ?? 0,
      history: current.window.history, buckets: buckets, bucketAge: age)
  }

  /// How much longer an open breaker stays open, in nanoseconds; `nil` when it is not, or no longer, open for a time.
  func remainingOpenTime(at now: Int64) -> Int64? {
    let remaining = openUntil - max(now, latest)
    return state == .open && remaining > 0 ? remaining : nil
  }

  /// Whether the next caller would be admitted as by a new machine, provided that no call is in flight.
  func isExpendable(at now: Int64) -> Bool {
    switch state {
    case .closed, .halfOpen: true
    case .open: now >= openUntil
    case .forcedOpen, .disabled, .metricsOnly: false
    }
  }

  private mutating func advance(to now: Int64) -> Int64 {
    if now > latest { latest = min(now, BreakerTime.distantFuture) }
    return latest
  }

  private mutating func openIfReached(now: Int64, hint: Int64? = nil) -> Transition? {
    guard state == .closed, let cause = reachedThreshold else { return nil }
    return open(cause, now: now, hint: hint)
  }

  /// Opens for a time of its own: longer with every opening in a row, or what the server asked for.
  private mutating func open(
    _ cause: Cause, now: Int64, hint: Int64? = nil, grows: Bool = true
  ) -> Transition {
    if grows || openings == 0, openings < .max { openings += 1 }
    return open(for: spread(hint) ?? drawOpenTime(), cause, now: now)
  }

  private mutating func open(for time: Int64, _ cause: Cause, now: Int64) -> Transition {
    (openTime, openUntil) = (time, now + time)
    return enter(.open, cause)
  }

  private mutating func drawOpenTime() -> Int64 {
    let before = openings > 1 && openTime > 0 ? Duration.nanoseconds(openTime) : nil
    return BreakerTime.nanoseconds(
      rules.openTime.delay(afterAttempt: openings, following: before, using: &generator))
  }

  /// What a server asked for, bounded, and spread upward by half of it and 5 seconds at most.
  private mutating func spread(_ hint: Int64?) -> Int64? {
    guard let hint, hint > 0, rules.longestServerHint > 0 else { return nil }
    let bounded = min(hint, rules.longestServerHint)
    guard rules.openTime.jitter != .none else { return bounded }
    return bounded + Int64.random(in: 0...min(bounded / 2, 5_000_000_000), using: &generator)
  }

  private mutating func enter(_ target: State, _ why: Cause) -> Transition {
    let from = state
    era += 1
    (state, cause) = (target, why)
    calls.forgetAll()
    probeSuccesses = 0
    if target == .closed || target == .metricsOnly {
      window.clear()
      (consecutiveFailures, openings) = (0, 0)
    }
    return Transition(
      from: from, to: target, cause: why, openTime: target == .open ? openTime : nil)
  }
}
