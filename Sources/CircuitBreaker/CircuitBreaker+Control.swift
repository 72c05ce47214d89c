internal import ReliabilityCore

extension CircuitBreaker {
  /// The state now.
  ///
  /// What time has brought about counts, also when nobody has called since: a breaker whose open time is over is
  /// half-open.
  public var state: State { inspect { $0.machine.state(at: $1) } }

  /// The state at a moment, if nothing happens until then but that time passes.
  ///
  /// - Parameter instant: A moment of the breaker's clock; one in the past counts as the latest one the breaker has seen.
  public func state(at instant: ContinuousClock.Instant) -> State {
    let time = NanosecondClock.nanoseconds(of: instant)
    return inspect { guarded, _ in guarded.machine.state(at: time) }
  }

  /// How much of the open time is left; `nil` when the breaker is not, or no longer, open for a time.
  public var remainingOpenTime: Duration? {
    inspect { $0.machine.remainingOpenTime(at: $1).map { .nanoseconds($0) } }
  }

  /// A number that grows with every change of state and every reset.
  ///
  /// What was made in one era, such as an entry of a cache, may be worth nothing in another.
  public var era: UInt64 { inspect { guarded, _ in guarded.machine.era } }

  /// Rejects every call until somebody says otherwise.
  ///
  /// Calls in flight go on; their results count no more.
  public func forceOpen() { change { $0.force(.forcedOpen, now: $1) } }

  /// Rejects every call for a time, as if a threshold had been reached.
  ///
  /// - Parameter duration: For how long, zero at least; `nil` for the time the configuration says.
  public func open(for duration: Duration? = nil) {
    let time = duration.map(BreakerTime.nanoseconds)
    change { $0.force(.open, openFor: time, now: $1) }
  }

  /// Admits every call and decides nothing, until somebody says otherwise.
  public func disable() { change { $0.force(.disabled, now: $1) } }

  /// Admits every call, counts results and never opens, until somebody says otherwise.
  ///
  /// ``explain()`` says whether it would be open: a way to try out thresholds on real traffic.
  public func observeOnly() { change { $0.force(.metricsOnly, now: $1) } }

  /// Closes the breaker and forgets what it knows, out of every state.
  ///
  /// A new era begins also when it is closed already.
  public func reset() { change { $0.force(.closed, now: $1) } }
}

extension BreakerStateMachine {
  /// The state that a caller would meet at a moment.
  func state(at now: Int64) -> State { advanced(to: now).state }

  /// This machine when nothing has happened until then but that time passed.
  func advanced(to now: Int64) -> BreakerStateMachine {
    var copy = self
    _ = copy.update(now: now)
    return copy
  }
}

extension CircuitBreaker: CustomStringConvertible {
  /// The name, the state, and the figures behind it.
  public var description: String { "\(name): \(explain())" }
}
