internal import Dispatch
public import ReliabilityCore

/// Takes reports of progress, and knows at any moment how long the work may still take.
///
///     let file = try await withAdaptiveTimeout(.downloads) { progress in
///       for try await chunk in chunks {
///         try write(chunk)
///         progress.advance(bytes: chunk.count)
///       }
///     }
///
/// Reports are cheap and may come as often as there is something to say. Any value is accepted: NaN is no report, what is negative
/// counts as zero, and a step backwards is a new beginning that is no progress.
///
/// `withAdaptiveTimeout` makes one for each call. A supervisor that ends its work itself makes its own and looks at ``decision``, which
/// then never ends anything.
public final class ProgressMonitor: Sendable {
  struct State: Sendable {
    var machine: ProgressStateMachine
    var alarm: ProgressAlarm?
    var alarmAt = Int64.max
    var operation: AdaptiveOperation?
    var isFinished = false
    var passed: ProgressStateMachine.Limit?
    /// What the observer was told last.
    var toldLimit: Int64
    var toldReason: TimeoutDecision.Reason
    var pressureAt: Int64?
  }

  /// The limits.
  public let timeout: AdaptiveTimeout
  /// The kind of work, for what is learned about it.
  public let kind: String?
  let clock: NanosecondClock
  let state: Lock<State>

  /// Starts to watch work that begins now, and that somebody else ends.
  ///
  /// - Parameters:
  ///   - timeout: The limits.
  ///   - kind: The kind of work, for what is learned about it; a word from a small set.
  ///   - clock: The source of time.
  public convenience init(
    _ timeout: AdaptiveTimeout, kind: String? = nil, clock: any TimeSource = ContinuousClock()
  ) {
    self.init(timeout, kind, NanosecondClock(clock), start: nil, longest: .farAway)
  }

  /// - Parameter longest: What an outer deadline leaves.
  init(
    _ timeout: AdaptiveTimeout, _ kind: String?, _ clock: NanosecondClock, start: Int64?,
    longest: Duration
  ) {
    requireValid(timeout.validate)
    self.timeout = timeout
    self.kind = kind
    self.clock = clock
    let learned = kind.flatMap { timeout.learned?.limit(for: $0) }
    let rules = ProgressStateMachine.Rules(timeout, learned: learned, longest: longest)
    let machine = ProgressStateMachine(
      rules, heartbeats: timeout.heartbeats, start: start ?? clock.now)
    state = Lock(
      State(machine: machine, toldLimit: machine.limit, toldReason: machine.reason))
  }

  /// So many bytes are done.
  ///
  /// - Parameters:
  ///   - bytes: How many, from the beginning.
  ///   - total: Of how many; `nil`, zero or negative when nobody knows, and then the last known total holds.
  public func report(bytes: Int64, of total: Int64? = nil) {
    report(Double(bytes), of: total.map { Double($0) }, .bytes)
  }

  /// A part of the work is done.
  ///
  /// - Parameter fraction: Which part, 0 to 1; more counts as 1.
  public func report(fraction: Double) {
    report(fraction > 1 ? 1 : fraction, of: 1, .fraction)
  }

  /// So many more bytes are done.
  ///
  /// - Parameter bytes: How many more; negative counts as none.
  public func advance(bytes: Int) {
    let now = clock.now
    settle(
      now,
      state.withLock { state in
        if state.isFinished { return Effect() }
        let mayBeNearer = state.machine.advance(by: Double(bytes), .bytes, at: now)
        return self.effect(of: mayBeNearer, &state, now)
      })
  }

  /// The work is alive, without being any further.
  ///
  /// Counts for ``AdaptiveTimeout/heartbeats`` only, and is no progress.
  public func heartbeat() {
    let now = clock.now
    settle(
      now,
      state.withLock { state in
        if state.isFinished { return Effect() }
        state.machine.heartbeat(at: now)
        return self.effect(of: true, &state, now)
      })
  }

  /// The machine is so busy: for programs that know it without being asked.
  ///
  /// - Parameter pressure: 0 to 1; what is outside is brought into it, NaN counts as 0.
  public func setPressure(_ pressure: Double) {
    let now = clock.now
    settle(
      now,
      state.withLock { state in
        if state.isFinished { return Effect() }
        state.machine.setPressure(pressure, at: now)
        return self.effect(of: true, &state, now)
      })
  }

  /// What is allowed at the moment, and why.
  public var decision: TimeoutDecision {
    let now = clock.now
    var (machine, passed, isFinished) = state.withLock { ($0.machine, $0.passed, $0.isFinished) }
    if !isFinished && passed == nil { machine.advance(to: now) }
    return TimeoutDecision(machine, passed: passed ?? (isFinished ? nil : machine.passed))
  }

  private func report(_ completed: Double, of total: Double?, _ unit: ProgressStateMachine.Unit) {
    let now = clock.now
    settle(
      now,
      state.withLock { state in
        if state.isFinished { return Effect() }
        let mayBeNearer = state.machine.report(completed: completed, of: total, unit, at: now)
        return self.effect(of: mayBeNearer, &state, now)
      })
  }

  /// What to do after the lock is free.
  private struct Effect {
    var old: ProgressAlarm?
    var new: (alarm: ProgressAlarm, at: Int64)?
    var tells: TimeoutDecision?
    var asksPressure = false
    var isNothing: Bool { old == nil && new == nil && tells == nil && !asksPressure }
  }

  private func effect(of mayBeNearer: Bool, _ state: inout State, _ now: Int64) -> Effect {
    var effect = Effect()
    if mayBeNearer {
      retime(&state, &effect)
      if timeout.observer != nil { note(&state, &effect) }
    }
    if timeout.pressure != nil, now.saturatingMinus(state.pressureAt ?? .min) >= 1_000_000_000 {
      state.pressureAt = now
      effect.asksPressure = true
    }
    return effect
  }

  /// Makes the alarm go off no later than the first limit; a later one finds out by itself.
  private func retime(_ state: inout State, _ effect: inout Effect) {
    guard state.operation != nil, state.passed == nil else { return }
    let next = state.machine.next.at
    guard next < state.alarmAt else { return }
    effect.old = state.alarm
    let alarm = ProgressAlarm(self)
    (state.alarm, state.alarmAt) = (alarm, next)
    effect.new = (alarm, next)
  }

  private func note(_ state: inout State, _ effect: inout Effect) {
    let (limit, reason) = (state.machine.limit, state.machine.reason)
    let change = limit.saturatingMinus(state.toldLimit).magnitude
    guard reason != state.toldReason || change > state.toldLimit.magnitude / 10 else { return }
    (state.toldLimit, state.toldReason) = (limit, reason)
    effect.tells = TimeoutDecision(state.machine, passed: nil)
  }

  private func settle(_ now: Int64, _ effect: Effect) {
    if effect.isNothing { return }
    if let old = effect.old { clock.source.cancel(old) }
    if let new = effect.new { schedule(new.alarm, at: new.at) }
    if let decision = effect.tells { timeout.observer?(decision) }
    if effect.asksPressure { askPressure() }
  }

  private func askPressure() {
    guard let pressure = timeout.pressure else { return }
    let now = clock.now
    state.withLock { $0.pressureAt = now }
    setPressure(pressure())
  }

  private func schedule(_ alarm: ProgressAlarm, at nanoseconds: Int64) {
    clock.source.schedule(
      alarm, at: ContinuousClock.Instant(sinceOrigin: .nanoseconds(nanoseconds)))
  }

  // MARK: - Ending the work

  /// From now on limits that pass end this operation.
  func attach(_ operation: AdaptiveOperation) {
    var effect = Effect()
    state.withLock { state in
      state.operation = operation
      self.retime(&state, &effect)
    }
    settle(clock.now, effect)
  }

  /// The work has ended: nothing is watched, and reports count for nothing.
  ///
  /// - Returns: Which limit had passed.
  @discardableResult
  func finish() -> ProgressStateMachine.Limit? {
    let (alarm, operation, passed) = state.withLock { state in
      state.isFinished = true
      defer { (state.alarm, state.operation) = (nil, nil) }
      return (state.alarm, state.operation, state.passed)
    }
    if let alarm { clock.source.cancel(alarm) }
    withExtendedLifetime(operation) {}
    return passed
  }

  /// A limit may have passed: called on the thread of the time source.
  fileprivate func alarmWentOff() {
    if timeout.pressure == nil { return check() }
    // A user's code. A serial queue of its own never waits for a processor to be idle.
    DispatchQueue(label: "swift-reliability.pressure").async {
      self.askPressure()
      self.check()
    }
  }

  private func check() {
    let now = clock.now
    var effect = Effect()
    let (operation, decision) = state.withLock { state -> (AdaptiveOperation?, TimeoutDecision?) in
      guard !state.isFinished, state.passed == nil else { return (nil, nil) }
      state.machine.advance(to: now)
      guard let passed = state.machine.passed else {
        // Progress has moved the limit since the alarm was set.
        (state.alarm, state.alarmAt) = (nil, .max)
        self.retime(&state, &effect)
        return (nil, nil)
      }
      state.passed = passed
      let tells = self.timeout.observer != nil
      return (state.operation, tells ? TimeoutDecision(state.machine, passed: passed) : nil)
    }
    settle(now, effect)
    operation?.fire()
    if let decision, let observer = timeout.observer { Task.detached { observer(decision) } }
  }
}

/// The first of an adaptive timeout's limits, as it was when the alarm was set.
final class ProgressAlarm: Alarm, @unchecked Sendable {
  private let monitor: ProgressMonitor

  init(_ monitor: ProgressMonitor) {
    self.monitor = monitor
    super.init()
  }

  override func fire() { monitor.alarmWentOff() }
}
