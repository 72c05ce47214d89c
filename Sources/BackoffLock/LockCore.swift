internal import ReliabilityIO

/// One lock file in one process: carries out what the state machine decides.
///
/// System calls are made outside the lock around the state, by whoever got the action that asks for them.
final class LockCore: Sendable {
  typealias Machine = LockStateMachine<LockHold>

  struct State: ~Copyable {
    var machine = Machine()
    /// `nil` once the core has ended, so that what the system holds for the file goes with the last call in it.
    var file: LockFile?
    /// The tasks and threads that hold the lock until they return.
    var scopes: [UInt] = []
    var blame = LockBlame()
  }

  let clock: NanosecondClock
  let state: Lock<State>
  let thread = LockThread()
  let registry: LockRegistry
  let identity: LockFile.Identity
  let isNetwork: Bool

  init(_ file: LockFile, registry: LockRegistry, clock: NanosecondClock) {
    self.clock = clock
    identity = file.identity
    isNetwork = file.isNetwork
    self.registry = registry
    state = Lock(State(file: file))
  }

  deinit { registry.forget(identity, nil) }

  var now: Duration { .nanoseconds(clock.now) }
  var isRetired: Bool { state.withLock { $0.machine.isRetired } }
  var file: LockFile? { state.withLock { $0.file } }
  /// Whether this process has the system's lock.
  var isHeld: Bool { state.withLock { $0.machine.isHeld } }

  func read<R>(_ body: (borrowing State) -> R) -> R {
    state.withLock { state in body(state) }
  }
}

// MARK: - Events

extension LockCore {
  /// Asks for the lock; the hold has its outcome at once or later.
  ///
  /// - Returns: `false` when this core has ended and the file must be opened anew.
  func request(_ hold: LockHold, now: Duration) throws -> Bool {
    var isHeldAlready = false
    var isAccepted = false
    let step = transition(at: now) { (state: inout State) -> Machine.Action? in
      if hold.scope != 0 && state.scopes.contains(hold.scope) {
        isHeldAlready = true
        return nil
      }
      let action = state.machine.request(hold, hold.mode, now: now)
      isAccepted = action != nil
      return action
    }
    if isHeldAlready { throw LockError(.alreadyHeld, path: hold.lock.path) }
    if let step { carryOut(step, for: hold) }
    return isAccepted
  }

  /// Ends a wait; nothing happens when it has ended already.
  func leave(_ hold: LockHold, _ outcome: LockHold.Outcome) {
    let now = self.now
    var hasWaited = false
    let step = transition(at: now) { (state: inout State) -> Machine.Action? in
      let action = state.machine.leave(hold, now: now)
      hasWaited = action != nil
      return action
    }
    if hasWaited { hold.settle(outcome) }
    if let step { carryOut(step) }
  }

  func release(_ hold: LockHold, held: Duration, now: Duration) {
    let lock = hold.lock
    let step = transition(at: now) { (state: inout State) -> Machine.Action? in
      if hold.scope != 0, let index = state.scopes.firstIndex(of: hold.scope) {
        state.scopes.remove(at: index)
      }
      state.blame.record(held, lock, now: now)
      return state.machine.release(hold.mode, idleHold: lock.configuration.idleHold, now: now)
    }
    if let step { carryOut(step) }
  }

  func idleEnded() {
    let now = self.now
    if let step = transition(at: now, { $0.machine.idleEnded(now: now) }) { carryOut(step) }
  }

  /// Makes the token of an exclusive hold higher than one from elsewhere; a disk call.
  func raise(_ hold: LockHold, above token: FencingToken) throws {
    guard let file else { return }
    let turn = try file.raise(above: token, label: hold.lock.configuration.label, now: now)
    hold.raise(state.withLock { $0.machine.raised(turn) })
  }
}

// MARK: - Actions

extension LockCore {
  struct Step: Sendable {
    var action: Machine.Action
    var file: LockFile
    /// When it was decided: a look at the clock costs as much as a transition.
    var now: Duration
  }

  /// Lets the state machine decide.
  ///
  /// - Returns: What is to be done, `nil` for nothing.
  @inline(__always)
  func transition(at now: Duration, _ body: (inout State) -> Machine.Action?) -> Step? {
    state.withLock { (state) -> Step? in
      guard state.file != nil, let action = body(&state), !action.isEmpty, let file = state.file
      else { return nil }
      action.forEachGranted { hold, _ in
        if hold.scope != 0 { state.scopes.append(hold.scope) }
      }
      return Step(action: action, file: file, now: now)
    }
  }

  /// Does what an action says, and what follows from it.
  ///
  /// - Parameters:
  ///   - hold: The request whose thread this is and who may try to take the lock on it, without waiting.
  ///   - isOwnThread: Whether this is the thread that may wait.
  func carryOut(_ first: Step, for hold: LockHold? = nil, isOwnThread: Bool = false) {
    var step = first
    while true {
      step.action.forEachGranted { [now = step.now] hold, token in hold.grant(token, at: now) }
      if step.action.next == .nothing { return }
      if isNetwork && !isOwnThread {
        // There every call may hang.
        let rest = Step(
          action: Machine.Action(next: step.action.next), file: step.file, now: step.now)
        if thread.run({ self.carryOut(rest, isOwnThread: true) }) == 0 { return }
      }
      guard let next = perform(step, for: hold, isOwnThread: isOwnThread) else { return }
      step = next
    }
  }

  /// Leaves no trace of an attempt that met somebody else, and goes on for those who came meanwhile.
  func giveUp(_ attempt: LockFile.Attempt, _ file: LockFile, _ head: LockHold) {
    if attempt.stage != .outside { file.giveUpEverything() }
    let now = self.now
    var stillWaits = false
    let step = transition(at: now) { (state: inout State) -> Machine.Action? in
      stillWaits = state.machine.leave(head, now: now) != nil
      return state.machine.abandoned(now: now)
    }
    if stillWaits { head.settle(.timedOut) }
    if let step { carryOut(step) }
  }

  private func perform(_ step: Step, for hold: LockHold?, isOwnThread: Bool) -> Step? {
    let (file, now) = (step.file, step.now)
    switch step.action.next {
    case .nothing:
      return nil
    case .acquire(let mode, let continuing):
      guard let head = hold ?? state.withLock({ $0.machine.firstWaiting }) else {
        return transition(at: now) { $0.machine.abandoned(now: now) }
      }
      let strategies = head.lock.strategies
      var attempt = LockFile.Attempt(
        strategy: isNetwork ? strategies.network : strategies.local,
        mode: mode, continuing: continuing, label: head.lock.configuration.label)
      if isOwnThread { return wait(attempt, file) }
      if hold == nil {
        waitOnThread(attempt, file, head)
        return nil
      }
      do {
        attempt.triesOnce = head.triesOnce
        if let turn = try file.advance(&attempt, waits: false, now: now) {
          let now = self.now
          return transition(at: now) { $0.machine.acquired(mode, turn, now: now) }
        }
        if head.triesOnce {
          guard attempt.stage == .inside else {
            giveUp(attempt, file, head)
            return nil
          }
          head.markCertain()
        }
      } catch {
        fail(error, file)
        return nil
      }
      waitOnThread(attempt, file, head)
      return nil
    case .probe:
      // When it can't be told, the safe answer is that somebody does.
      let othersWait = (try? file.isAwaited()) ?? true
      return transition(at: now) { $0.machine.probed(othersWait: othersWait, now: now) }
    case .giveUp:
      do {
        try file.leave()
      } catch {
        fail(error, file)
        return nil
      }
      return transition(at: now) { $0.machine.gaveUp(now: now) }
    case .keepIdle(let end):
      let alarm = LockAlarm { self.idleEnded() }
      clock.source.schedule(alarm, at: .init(sinceOrigin: end))
      return nil
    }
  }
}
