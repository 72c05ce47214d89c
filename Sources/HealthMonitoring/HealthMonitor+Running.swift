internal import ReliabilityCore
internal import ReliabilityMetrics

extension HealthMonitor {
  /// Keeps the schedule: starts each check when it is due, and evaluates the rules.
  ///
  ///     try await withThrowingTaskGroup { group in
  ///       group.addTask { await monitor.run() }
  ///       try await serve(probesWith: monitor)
  ///       group.cancelAll()
  ///     }
  ///
  /// Begins with all checks at once. May be called more than once and at the same time: the schedule is one, and goes on until the
  /// last call ends.
  ///
  /// **Cancellation** ends it: checks in progress are cancelled, unless somebody waits for them in ``checkAll()``, and what they say
  /// then counts as nothing. Returns when they have ended or their time is over. The last answers stay, and grow stale.
  public nonisolated(nonsending) func run() async {
    if Task.isCancelled { return }
    let waiter = RunWaiter()
    start()
    await withTaskCancellationHandler {
      await waiter.wait()
    } onCancel: {
      waiter.finish()
    }
    await stop().wait()
  }

  /// Runs all checks now, and waits for their answers.
  ///
  /// A check that is running already is not started again: its answer counts. One that hangs has answered. Each takes its own timeout
  /// at most, so that this takes as long as the longest of them. Works whether or not ``run()`` does.
  ///
  /// - Returns: The report when the last answer is there.
  /// - Throws: `CancellationError` as soon as the task is cancelled; the checks go on.
  public nonisolated(nonsending) func checkAll() async throws(CancellationError) -> HealthReport {
    if Task.isCancelled { throw CancellationError() }
    let waiter = RunWaiter()
    let now = clock.now
    let (runs, timing) = state.withLock { state in
      let (begun, awaited) = state.machine.startAll(at: now)
      if awaited.isEmpty { waiter.finish() } else { state.waiters.append((waiter, awaited)) }
      return (self.enter(begun, &state, now), self.retimed(&state))
    }
    begin(runs, timing)
    await withTaskCancellationHandler {
      await waiter.wait()
    } onCancel: {
      waiter.finish()
    }
    state.withLock { $0.waiters.removeAll { $0.waiter === waiter } }
    if Task.isCancelled { throw CancellationError() }
    return report()
  }

  private func start() {
    let now = clock.now
    let (runs, timing, evaluates) = state.withLock { state in
      state.machine.start()
      let begun = state.machine.tick(at: now)
      let evaluates = !state.isEvaluating && state.evaluation == nil
      if evaluates { state.isEvaluating = true }
      return (self.enter(begun, &state, now), self.retimed(&state), evaluates)
    }
    begin(runs, timing)
    if evaluates { Task.detached { self.evaluateAndReschedule() } }
  }

  /// - Returns: What to wait for.
  private func stop() -> RunWaiter {
    let waiter = RunWaiter()
    let (cancelled, timing, evaluation) = state.withLock { state in
      let awaited = state.waiters.reduce(into: Set()) { $0.formUnion($1.missing) }
      let ids = state.machine.stop(awaited: awaited)
      if ids.isEmpty { waiter.finish() } else { state.waiters.append((waiter, Set(ids))) }
      let evaluation = state.machine.runners == 0 ? state.evaluation.take() : nil
      return (ids.compactMap { state.runs[$0] }, self.retimed(&state), evaluation)
    }
    apply(timing)
    if let evaluation { clock.source.cancel(evaluation) }
    for run in cancelled { run.cancel() }
    return waiter
  }

  /// Something is due.
  private func wake(_ alarm: MonitorAlarm) {
    let now = clock.now
    let (runs, timing) = state.withLock { state in
      if state.wake?.alarm === alarm { state.wake = nil }
      let begun = state.machine.tick(at: now)
      return (self.enter(begun, &state, now), self.retimed(&state))
    }
    begin(runs, timing)
  }

  /// A run's time is over: called on the thread of the time source.
  func expired(_ run: CheckRun) {
    settle(run) { machine, now, wallTime in
      machine.expired(run.id, at: now, wallTime: wallTime)
    }
    // The handlers that cancelling runs, and the observer, are a user's code.
    Task.detached {
      run.cancel()
      self.tell()
    }
  }

  /// A check has ended: called in its task.
  func ended(_ run: CheckRun, _ outcome: CheckOutcome) {
    settle(run) { machine, now, wallTime in
      machine.ended(run.id, outcome, at: now, wallTime: wallTime)
    }
    tell()
  }

  private func settle(
    _ run: CheckRun,
    _ event: (inout HealthStateMachine, Int64, WallTime) -> HealthStateMachine.Change?
  ) {
    let wallTime = configuration.wallClock()
    let now = clock.now
    let settled = state.withLock { state -> Settled in
      guard let change = event(&state.machine, now, wallTime) else { return Settled() }
      if !change.becameOverdue { state.runs[run.id] = nil }
      if change.hasAnswer {
        self.note(change, &state, now, wallTime)
      } else if change.endedLate {
        self.append(HealthEvent(.endedLate, self.checks[change.component].name), &state)
      }
      var finished: [RunWaiter] = []
      for index in state.waiters.indices
      where state.waiters[index].missing.remove(run.id) != nil
        && state.waiters[index].missing.isEmpty
      {
        finished.append(state.waiters[index].waiter)
      }
      state.waiters.removeAll { $0.missing.isEmpty }
      return Settled(change: change, finished: finished, timing: self.retimed(&state))
    }
    if let took = settled.change?.took { durations.record(.nanoseconds(took)) }
    apply(settled.timing)
    for waiter in settled.finished { waiter.finish() }
  }

  private struct Settled {
    /// Holds the answer that was replaced until the lock is free: it may be the last reference to a user's error.
    var change: HealthStateMachine.Change?
    var finished: [RunWaiter] = []
    var timing = Timing()
  }

  /// Makes the objects of runs that begin.
  private func enter(
    _ begun: [HealthStateMachine.Begin], _ state: inout State, _ now: Int64
  ) -> [CheckRun] {
    begun.map { begin in
      let run = CheckRun(
        begin.run, of: self, start: .nanoseconds(now), limit: checks[begin.run.component].timeout)
      state.runs[begin.run] = run
      return run
    }
  }

  private func begin(_ runs: [CheckRun], _ timing: Timing) {
    apply(timing)
    for run in runs { run.begin(checks[run.id.component].body) }
  }

  /// Alarms to take back and to schedule, outside the lock.
  struct Timing {
    var old: MonitorAlarm?
    var new: (alarm: MonitorAlarm, at: Int64)?
  }

  /// Makes the alarm fit what is due next.
  private func retimed(_ state: inout State) -> Timing {
    let due = state.machine.nextDue
    guard due != state.wake?.at else { return Timing() }
    let old = state.wake?.alarm
    state.wake = due.map { at in (MonitorAlarm { [weak self] in self?.wake($0) }, at) }
    return Timing(old: old, new: state.wake)
  }

  private func apply(_ timing: Timing) {
    if let old = timing.old { clock.source.cancel(old) }
    guard let new = timing.new else { return }
    // Taken back meanwhile by somebody who found it unscheduled: it wakes the monitor once in vain.
    schedule(new.alarm, at: new.at)
  }

  func schedule(_ alarm: MonitorAlarm, at nanoseconds: Int64) {
    clock.source.schedule(
      alarm, at: ContinuousClock.Instant(sinceOrigin: .nanoseconds(nanoseconds)))
  }
}
