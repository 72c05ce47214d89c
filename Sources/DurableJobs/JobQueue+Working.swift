internal import CircuitBreaker
internal import RateLimiting
internal import ReliabilityCore
internal import ReliabilityMetrics
internal import TimeoutManager

extension JobQueue {
  /// Something may be claimable: has a worker look, unless all are busy.
  func signal() {
    let starts = shell.withLock { shell -> Bool in
      shell.signals &+= 1
      return takeSlot(&shell)
    }
    if starts { startWorker() }
  }

  /// Starts a task for a slot that was counted.
  ///
  /// Detached: a body must not inherit the deadline or the priority of whoever put some job in.
  func startWorker() {
    Task.detached { await self.work() }
  }

  /// What a worker does next.
  enum Step {
    /// It looks for a job.
    case look
    /// It runs this one, which counts as running already.
    case run(JobClaim.Item, kind: Int)
    /// It ends: its slot was passed on or given up.
    case retire
  }

  /// Claims and runs one job after the other, until there is none.
  func work(_ first: Step = .look) async {
    var step = first
    while true {
      switch step {
      case .look: step = await look()
      case .run(let item, let kind): step = await perform(item, kind)
      case .retire: return
      }
    }
  }

  /// Claims a job.
  private func look() async -> Step {
    guard let plan = makePlan() else { return .retire }
    let claim: JobClaim
    do {
      claim =
        plan.allowances.isEmpty
        ? JobClaim(items: [], nextDue: nil)
        : try await store.claim(
          JobClaimRequest(
            limit: 1, kinds: plan.allowances, lease: configuration.lease))
    } catch {
      tell(JobEvent(.storeFailed(error: error)))
      // It ends whatever came meanwhile: the store is asked again in a while.
      if give(back: plan, claimed: nil, isRetiring: true) {
        shell.withLock { $0.workers -= 1 }
        noteChange()
      }
      wake(in: .seconds(1))
      return .retire
    }
    guard let item = claim.items.first, let kind = kindIndex(of: item.job.kind) else {
      return foundNothing(claim, plan)
    }
    let turnedSomebodyAway = give(back: plan, claimed: kind, isRetiring: false)
    if claim.hasMore || turnedSomebodyAway { signalMore() }
    return .run(item, kind: kind)
  }

  /// There was nothing to claim.
  func foundNothing(_ claim: JobClaim, _ plan: Plan) -> Step {
    if let due = claim.nextDue { wake(in: due) }
    return give(back: plan, claimed: nil, isRetiring: true) ? .look : .retire
  }

  /// More jobs wait: one more worker, if there is a slot.
  func signalMore() {
    let starts = shell.withLock { takeSlot(&$0) }
    if starts { startWorker() }
  }

  /// - Returns: Whether there was a slot, which counts as used now.
  func takeSlot(_ shell: inout Shell) -> Bool {
    guard shell.mayStart, shell.workers < configuration.workers else { return false }
    shell.workers += 1
    return true
  }

  /// Runs a job to its end.
  ///
  /// - Returns: What this task does next.
  private func perform(_ item: JobClaim.Item, _ kind: Int) async -> Step {
    let job = item.job
    if job.crashes > configuration.maxCrashes {
      handlers[kind].options.rateLimiter?.giveBack()
      let error = JobEndedError(.quarantined(crashes: job.crashes - 1))
      await fail(item, kind, error, elapsed: .zero, mayRetry: false)
      leave(kind)
      return .look
    }
    if let deadline = job.options.deadline, deadline <= configuration.wallClock() {
      handlers[kind].options.rateLimiter?.giveBack()
      await fail(item, kind, JobEndedError(.deadlinePassed), elapsed: .zero, mayRetry: false)
      leave(kind)
      return .look
    }
    let run = makeRun(item, kind, isFallback: false)
    waits.record(item.waited)
    guard let breaker = handlers[kind].options.breaker else {
      return await carryOut(run, handlers[kind].body)
    }
    do {
      let ticket = TicketBox(try breaker.admit())
      return await carryOut(run, handlers[kind].body) { result in
        ticket.settle(result)
        // It may be closed now; those that wait ask it again.
        self.letGo(kind)
      }
    } catch {
      handlers[kind].options.rateLimiter?.giveBack()
      hold(kind, for: (error as? CircuitOpenError)?.remainingOpenTime ?? .seconds(1))
      await release(item)
      leave(kind)
      return .look
    }
  }

  private func makeRun(_ item: JobClaim.Item, _ kind: Int, isFallback: Bool) -> JobRun {
    let options = item.job.options
    let start = Duration.nanoseconds(clock.now)
    var end = start.saturatingAdvanced(by: options.timeout ?? .farAway)
    var endsWithDeadline = false
    if let deadline = options.deadline {
      let left = deadline.duration(since: configuration.wallClock())
      let last = start.saturatingAdvanced(by: max(.zero, left))
      if last < end { (end, endsWithDeadline) = (last, true) }
    }
    return JobRun(
      queue: self, item: item, kind: kind, isFallback: isFallback, start: start, end: end,
      endsWithDeadline: endsWithDeadline)
  }

  /// Runs a body, and settles what becomes of it.
  ///
  /// - Returns: What this task does next.
  private func carryOut(
    _ run: JobRun, _ body: JobHandlers.Handler.Body,
    _ judged: (@Sendable (Result<Void, any Error>) -> Void)? = nil
  ) async -> Step {
    run.judge = judged
    let me = Self.currentTask()
    let objection = shell.withLock { shell -> JobRun.Reason? in
      if shell.cancelledEarly.remove(run.id) != nil { return .cancelled }
      // Of a fallback: somebody may have asked while it was nobody's turn.
      if let reason = run.former?.laterReason { return reason }
      if shell.isCutOff { return .shutdown }
      // Claimed before somebody paused or stopped the queue: who did that sees nothing start any more.
      if run.former == nil && !shell.mayStart { return .shutdown }
      run.worker = me
      run.former = nil
      shell.runs[run.item.lease.token] = run
      return nil
    }
    if let objection {
      handlers[run.kind].options.rateLimiter?.giveBack()
      if objection == .shutdown { await release(run.item) }
      finish(run)
      return .look
    }
    let terms = run.item.job.terms
    let context = JobContext(
      id: run.id, attempt: run.item.job.attempts + 1, maxAttempts: terms.options.maxAttempts,
      fencingToken: run.item.lease.token, isFallback: run.isFallback, run: run)
    tell(
      JobEvent(
        .started(attempt: context.attempt, waited: run.item.waited), id: run.id,
        jobKind: run.item.job.kind))
    let isLimited = terms.options.timeout != nil || terms.options.deadline != nil
    if isLimited { configuration.clock.schedule(run, at: run.instant) }
    var result: Result<Void, any Error>
    do {
      if isLimited {
        try await Deadline.$scope.withValue(run) {
          try await body(run.item.job.payload, context)
        }
      } else {
        try await body(run.item.job.payload, context)
      }
      result = .success(())
    } catch {
      result = .failure(error)
    }
    if isLimited { configuration.clock.cancel(run) }
    let now = clock.now
    let elapsed = max(.zero, Duration.nanoseconds(now) - run.start)
    let (phase, patience, plan) = shell.withLock {
      shell -> (JobRun.Phase, PatienceAlarm?, Plan?) in
      let phase = run.phase
      if case .abandoned = phase { return (phase, nil, nil) }
      run.phase = .settling
      run.worker = nil
      let patience = run.patience
      run.patience = nil
      return (phase, patience, hasGates ? nil : planWithoutGates(shell))
    }
    if let patience { configuration.clock.cancel(patience) }
    durations.record(elapsed)
    switch phase {
    case .active, .settling:
      judged?(result)
      // What succeeds in a queue without gates is the ordinary case: then one call of the store ends it and claims the next.
      if let plan, case .success = result, !run.isFallback {
        return await complete(run, elapsed: elapsed, at: now, next: plan)
      }
      await settle(run, result, elapsed: elapsed)
      finish(run)
      return .look
    case .ending(let reason):
      if reason == .timeout, case .failure(let error) = result {
        result = .failure(timeout(of: run, elapsed, cause: error))
        judged?(result)
      } else if case .success = result {
        judged?(result)
      }
      // This task is cancelled. What follows needs one that isn't.
      let outcome = result
      Task.detached {
        await self.work(await self.conclude(run, reason, outcome, elapsed: elapsed))
      }
      return .retire
    case .abandoned:
      tell(JobEvent(.lateResultRefused, id: run.id, jobKind: run.item.job.kind))
      let goesOn = shell.withLock { shell -> Bool in
        shell.counts.late += 1
        if configuration.abandonedSlot == .held { shell.heldSlots -= 1 }
        return configuration.abandonedSlot == .held
      }
      if goesOn {
        leave(run.kind)
        Task.detached { await self.work() }
      }
      return .retire
    }
  }

  /// The handle of the running task, so that others can cancel it.
  ///
  /// Both are one reference to the task object; the standard library gives no other way to a task's own handle.
  private static func currentTask() -> Task<Never, Never> {
    unsafe withUnsafeCurrentTask { unsafe unsafeBitCast($0!, to: Task<Never, Never>.self) }
  }

  func timeout(of run: JobRun, _ elapsed: Duration, cause: (any Error)?) -> any Error {
    if run.endsWithDeadline { return JobEndedError(.deadlinePassed) }
    return TimeoutError(
      limit: run.limit, elapsed: elapsed, cause: cause is CancellationError ? nil : cause)
  }

  /// Settles a run that was told to stop, in a task that isn't cancelled.
  ///
  /// - Returns: What this task does next.
  private func conclude(
    _ run: JobRun, _ reason: JobRun.Reason, _ result: Result<Void, any Error>, elapsed: Duration
  ) async -> Step {
    switch (reason, result) {
    case (.timeout, .failure(let error)):
      if !run.isFallback, !run.endsWithDeadline, run.item.job.options.usesFallback,
        let fallback = handlers[run.kind].fallback
      {
        return await fallBack(run, fallback, elapsed: elapsed)
      }
      await settle(run, .failure(error), elapsed: elapsed)
    case (.shutdown, .failure): await release(run.item)
    case (.cancelled, _), (.lost, _): break
    case (_, .success): await settle(run, result, elapsed: elapsed)
    }
    finish(run)
    return .look
  }

  /// Runs the fallback of a job that took too long, in the slot of its run.
  private func fallBack(
    _ run: JobRun, _ fallback: @escaping JobHandlers.Handler.Body, elapsed: Duration
  ) async -> Step {
    let next = makeRun(run.item, run.kind, isFallback: true)
    next.firstElapsed = elapsed
    next.former = run
    return await carryOut(next, fallback)
  }

  /// A run is over: its place is free.
  func finish(_ run: JobRun) {
    shell.withLock { _ = $0.runs.removeValue(forKey: run.item.lease.token) }
    leave(run.kind)
  }

  /// A job of a kind is not running after all.
  func leave(_ kind: Int) {
    let mayFreeAPlace = shell.withLock { shell -> Bool in
      shell.kinds[kind].running -= 1
      return handlers[kind].options.concurrency != nil
    }
    if mayFreeAPlace { signal() }
  }
}

/// Holds a breaker's ticket where only copyable things can be held.
private final class TicketBox: Sendable {
  private let ticket: Lock<CircuitBreaker.Ticket?>

  init(_ ticket: consuming CircuitBreaker.Ticket) { self.ticket = Lock(Optional(ticket)) }

  func settle(_ result: Result<Void, any Error>) {
    guard let ticket = ticket.withLock({ $0.take() }) else { return }
    switch result {
    case .success: ticket.succeed()
    case .failure(let error): ticket.settle(throwing: error)
    }
  }
}
