internal import ReliabilityCore
internal import ReliabilityMetrics

/// A pool without the type of its resources: the state machine under a lock, and what carries out its actions.
@usableFromInline final class PoolCore: Sendable {
  let name: String
  let configuration: PoolConfiguration
  let handlers: PoolHandlers
  let clock: NanosecondClock
  let waits: Histogram
  private let readsClockToLend: Bool
  private let readsClockToTakeBack: Bool
  private let guarded: Lock<Guarded>

  /// What the lock guards.
  struct Guarded {
    var machine: PoolStateMachine<PoolWaiter>
    /// By slot.
    var items: [PoolItem?] = []
    /// By slot, while a resource is being made.
    var creations: [PoolOperation?] = []
    var alarm: PoolAlarm?
    /// What the last creation threw; `nil` again when one has succeeded.
    var lastFailure: (any Error)?
    var stopWaiters: [CheckedContinuation<Void, Never>] = []
  }

  init(name: String, configuration: PoolConfiguration, handlers: PoolHandlers) {
    self.name = name
    self.configuration = configuration
    self.handlers = handlers
    clock = NanosecondClock(configuration.clock)
    waits = Histogram(
      "pool_wait_seconds", help: "How long callers waited in line", labels: [("pool", name)])
    let rules = PoolRules(configuration, handlers)
    readsClockToLend = rules.readsClockToLend
    readsClockToTakeBack = rules.readsClockToTakeBack
    guarded = Lock(
      Guarded(
        machine: PoolStateMachine(rules, generator: configuration.randomness.makeGenerator())))
  }

  /// Lends an idle resource if that needs no work; the fast half of every loan.
  @usableFromInline func lendAtOnce() -> PoolItem? {
    let now = readsClockToLend ? clock.now : 0
    return guarded.withLock { guarded in
      guard let slot = guarded.machine.lendAtOnce(now: now) else { return nil }
      return guarded.items[slot]
    }
  }

  /// The end of a loan; the other half.
  @usableFromInline func takeBack(_ item: PoolItem, _ use: PoolUse) {
    if case .succeeded = use {
      let now = readsClockToTakeBack ? clock.now : 0
      let isDone = guarded.withLock { guarded in
        guarded.machine.takeBackAtOnce(item.slot, number: item.number, now: now)
      }
      if isDone { return }
    }
    takeBackLater(item, use)
  }

  @inline(never) private func takeBackLater(_ item: PoolItem, _ use: PoolUse) {
    apply { $0.takeBack(item.slot, number: item.number, use, now: $1) }
  }

  @inline(never) @usableFromInline func takeBack(_ item: PoolItem, after error: any Error) {
    takeBack(item, meaning(of: error))
  }

  /// What a failed use means for its resource.
  func meaning(of error: any Error) -> PoolUse {
    let isCancellation =
      Task.isCancelled || error is CancellationError
      || (error as? any ClassifiedError)?.category == .cancelled
    guard configuration.discardAfter?(error) ?? false else {
      return isCancellation ? .unknown : .failed
    }
    return isCancellation ? .discarded : .discardedAfterError
  }
}

// Waiting in line.
extension PoolCore {
  /// Lends with whatever work and waiting that takes.
  @inline(never) @usableFromInline
  nonisolated(nonsending) func lend(timeout: Duration?) async throws -> PoolItem {
    if Task.isCancelled { throw CancellationError() }
    let now = clock.now
    let deadline = deadline(from: now, timeout ?? configuration.leaseTimeout)
    let waiter = PoolWaiter(self, since: now)
    let (lent, refusal, steps) = guarded.withLock { guarded in
      let (lending, actions) = guarded.machine.lend(waiter, deadline: deadline, now: now)
      switch lending {
      case .lent(let slot): return (guarded.items[slot], (any Error)?.none, [Step]())
      case .refused(let refusal): return (nil, error(refusal, guarded, now), [])
      case .waiting(let ticket):
        waiter.ticket = ticket
        return (nil, nil, prepare(actions, &guarded, now))
      }
    }
    if let lent { return lent }
    if let refusal { throw refusal }
    perform(steps)
    return try await wait(waiter, until: deadline)
  }

  private nonisolated(nonsending) func wait(
    _ waiter: PoolWaiter, until deadline: Int64
  ) async throws -> PoolItem {
    if deadline != .max {
      clock.source.schedule(waiter, at: .init(sinceOrigin: .nanoseconds(deadline)))
    }
    let outcome = await withTaskCancellationHandler {
      await waiter.wait()
    } onCancel: {
      leave(waiter, timedOut: false)
    }
    if deadline != .max { clock.source.cancel(waiter) }
    waits.record(.nanoseconds(max(0, clock.now - waiter.since)))
    switch outcome {
    case .lent(let item): return item
    case .failed(let error): throw error
    case .timedOut(let error):
      tell(.timedOut, error: error)
      throw error
    }
  }

  /// When a wait must end: by its own limit, or by the deadline of the task.
  private func deadline(from now: Int64, _ timeout: Duration?) -> Int64 {
    let own = timeout.map { now.saturatingAdd(max(0, $0.nanoseconds)) } ?? .max
    return Deadline.scope.map { min(own, $0.end.nanoseconds) } ?? own
  }

  /// A waiter gives up; does nothing for one that was served or refused.
  func leave(_ waiter: PoolWaiter, timedOut: Bool) {
    let now = clock.now
    let outcome = guarded.withLock { guarded -> PoolWaiter.Outcome? in
      guard let ticket = waiter.ticket,
        guarded.machine.leave(ticket, timedOut: timedOut) != nil
      else { return nil }
      if !timedOut { return .failed(CancellationError()) }
      return .timedOut(timeoutError(.waited, guarded, waited: now - waiter.since))
    }
    if let outcome { waiter.resume(outcome) }
  }

  private func error(
    _ refusal: PoolStateMachine<PoolWaiter>.Refusal, _ guarded: borrowing Guarded, _ now: Int64
  ) -> any Error {
    switch refusal {
    case .stopped: return PoolUnavailableError(pool: name, code: .stopped)
    case .queueFull: return PoolUnavailableError(pool: name, code: .queueFull)
    case .noTimeLeft: return timeoutError(.noTimeLeft, guarded, waited: 0)
    case .creationFails(let until):
      return PoolCreationError(
        pool: name, cause: guarded.lastFailure ?? CancellationError(),
        failures: guarded.machine.failures, retryAfter: .nanoseconds(max(0, until - now)))
    }
  }

  private func timeoutError(
    _ code: PoolTimeoutError.Code, _ guarded: borrowing Guarded, waited: Int64
  ) -> PoolTimeoutError {
    PoolTimeoutError(
      pool: name, code: code, waited: .nanoseconds(max(0, waited)),
      lent: guarded.machine.tally.lent, maximum: configuration.maximum,
      cause: guarded.lastFailure)
  }
}

// Events for the state machine, and what it wants done.
extension PoolCore {
  typealias Machine = PoolStateMachine<PoolWaiter>

  /// Something to do after unlocking.
  enum Step: Sendable {
    case resume(PoolWaiter, PoolWaiter.Outcome)
    case create(slot: Int, number: Int, PoolOperation)
    case cancel(PoolOperation)
    case check(PoolItem)
    case cleanUp(PoolItem, checks: Bool)
    case close(PoolItem, PoolEvent.Eviction)
    case setAlarm(PoolAlarm, at: Int64, insteadOf: PoolAlarm?)
    case finish([CheckedContinuation<Void, Never>], PoolAlarm?)
  }

  func tick() { apply { $0.tick(now: $1) } }

  func overran(_ slot: Int, number: Int) {
    apply { $0.overran(slot, number: number, now: $1) }
  }

  func keepWarm() { apply { $0.keepWarm(now: $1) } }

  /// Ends the pool; loans are recalled when the time is over.
  func stop(drainingFor drain: Duration?) {
    apply { machine, now in
      machine.stop(
        recallAt: drain.map { now.saturatingAdd(max(0, $0.nanoseconds)) } ?? .max, now: now)
    }
  }

  /// Suspends until everything is closed, whatever happens to the task.
  func waitUntilStopped() async {
    await withCheckedContinuation { continuation in
      let isOver = guarded.withLock { guarded in
        if guarded.machine.phase == .stopped { return true }
        guarded.stopWaiters.append(continuation)
        return false
      }
      if isOver { continuation.resume() }
    }
  }

  /// Reads what the lock guards.
  func inspect<Value: Sendable>(_ body: (borrowing Guarded) -> Value) -> Value {
    guarded.withLock { body($0) }
  }

  /// A resource was made, or could not be.
  func finishCreation(_ slot: Int, _ result: Result<PoolItem, any Error>) {
    let now = clock.now
    // Left to be released outside the lock: a `deinit` of somebody else's may run then.
    let (steps, _) = guarded.withLock { guarded in
      let former = guarded.lastFailure.take()
      guarded.creations[slot] = nil
      let actions: [Machine.Action]
      switch result {
      case .success(let item):
        guarded.items[slot] = item
        actions = guarded.machine.created(slot, now: now)
      case .failure(let error):
        guarded.lastFailure = error
        actions = guarded.machine.creationFailed(slot, now: now)
      }
      return (prepare(actions, &guarded, now), former)
    }
    perform(steps)
  }

  func finishCheck(_ item: PoolItem, isHealthy: Bool) {
    apply { $0.checked(item.slot, isHealthy: isHealthy, now: $1) }
  }

  func finishCleanUp(_ item: PoolItem, _ verdict: PoolEvent.Eviction?) {
    apply { $0.cleanedUp(item.slot, verdict, now: $1) }
  }

  func finishClosing(_ item: PoolItem, errors: Int) {
    let now = clock.now
    let steps = guarded.withLock { guarded in
      // Not the last reference: the caller has one.
      guarded.items[item.slot] = nil
      return prepare(
        guarded.machine.closed(item.slot, errors: errors, now: now), &guarded, now)
    }
    perform(steps)
  }

  private func apply(_ event: (inout Machine, _ now: Int64) -> [Machine.Action]) {
    let now = clock.now
    let steps = guarded.withLock { guarded in
      prepare(event(&guarded.machine, now), &guarded, now)
    }
    perform(steps)
  }

  /// Puts objects in the place of slots, under the lock.
  private func prepare(
    _ actions: [Machine.Action], _ guarded: inout Guarded, _ now: Int64
  ) -> [Step] {
    actions.map { action in
      switch action {
      case .serve(let waiter, let slot): return .resume(waiter, .lent(guarded.items[slot]!))
      case .refuse(let waiter, let refusal):
        return .resume(waiter, .failed(error(refusal, guarded, now)))
      case .create(let slot, let number):
        if slot == guarded.items.count {
          guarded.items.append(nil)
          guarded.creations.append(nil)
        }
        // Before anybody can stop the pool, so that a creation that has not begun yet can be cancelled.
        let operation = PoolOperation(
          PoolDoubt(self, slot: slot, number: number, limit: configuration.creationTimeout))
        guarded.creations[slot] = operation
        return .create(slot: slot, number: number, operation)
      case .cancelCreation(let slot): return .cancel(guarded.creations[slot]!)
      case .check(let slot): return .check(guarded.items[slot]!)
      case .cleanUp(let slot, let checks): return .cleanUp(guarded.items[slot]!, checks: checks)
      case .close(let slot, let reason): return .close(guarded.items[slot]!, reason)
      case .setAlarm(let instant):
        let former = guarded.alarm
        let alarm = PoolAlarm(self)
        guarded.alarm = alarm
        return .setAlarm(alarm, at: instant, insteadOf: former)
      case .finish:
        let step = Step.finish(guarded.stopWaiters, guarded.alarm)
        (guarded.stopWaiters, guarded.alarm) = ([], nil)
        return step
      }
    }
  }

  private func perform(_ steps: [Step]) {
    for step in steps {
      switch step {
      case .resume(let waiter, let outcome): waiter.resume(outcome)
      case .create(let slot, let number, let operation):
        inTask { await self.create(slot: slot, number: number, operation) }
      case .cancel(let operation): operation.cancel()
      case .check(let item): inTask { await self.check(item) }
      case .cleanUp(let item, let checks): inTask { await self.cleanUp(item, checks: checks) }
      case .close(let item, let reason): inTask { await self.close(item, reason) }
      case .setAlarm(let alarm, let instant, let former): set(alarm, at: instant, former)
      case .finish(let continuations, let alarm):
        if let alarm { clock.source.cancel(alarm) }
        for continuation in continuations { continuation.resume() }
      }
    }
  }

  private func set(_ alarm: PoolAlarm, at instant: Int64, _ former: PoolAlarm?) {
    if let former { clock.source.cancel(former) }
    clock.source.schedule(alarm, at: .init(sinceOrigin: .nanoseconds(instant)))
    // Replaced between the lock and here, by somebody who could not take back what was not scheduled yet.
    if guarded.withLock({ $0.alarm !== alarm }) { clock.source.cancel(alarm) }
  }
}
