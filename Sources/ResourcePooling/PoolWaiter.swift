internal import ReliabilityCore

/// One call that waits in line; as an alarm it is the end of its patience.
final class PoolWaiter: Alarm, @unchecked Sendable {
  enum Outcome: Sendable {
    case lent(PoolItem)
    case failed(any Error)
    case timedOut(PoolTimeoutError)
  }

  private enum State {
    case early
    case waiting(CheckedContinuation<Outcome, Never>)
    case done(Outcome)
  }

  let core: PoolCore
  let since: Int64
  /// Written under the pool's lock before anybody else can know the waiter.
  @safe @exclusivity(unchecked) var ticket: WaiterLine<PoolWaiter>.Ticket?
  private let state = Lock(State.early)

  init(_ core: PoolCore, since: Int64) {
    self.core = core
    self.since = since
    super.init()
  }

  /// Suspends until somebody says what has become of it.
  func wait() async -> Outcome {
    await withCheckedContinuation { continuation in
      let outcome = state.withLock { state -> Outcome? in
        if case .done(let outcome) = state { return outcome }
        state = .waiting(continuation)
        return nil
      }
      if let outcome { continuation.resume(returning: outcome) }
    }
  }

  /// Called once, by whoever took it out of the line.
  func resume(_ outcome: Outcome) {
    let before = state.withLock { state in
      let before = state
      state = .done(outcome)
      return before
    }
    if case .waiting(let continuation) = before { continuation.resume(returning: outcome) }
  }

  override func fire() { core.leave(self, timedOut: true) }
}

/// Rings when time brings something about: an idle resource ends, a creation may be tried again, loans are recalled.
final class PoolAlarm: Alarm, @unchecked Sendable {
  private let core: PoolCore

  init(_ core: PoolCore) {
    self.core = core
    super.init()
  }

  override func fire() { core.tick() }
}
