/// One request for a lock, from the asking to the giving back.
///
/// For modules that hold the lock across threads of their own: it must be given back with `release`, once.
package final class LockHold: Sendable {
  /// How a request ended, other than by waiting on.
  enum Outcome {
    case granted
    case failed(any Error)
    /// The lock file was replaced: ask again with the new one.
    case restart
    case cancelled, timedOut
  }

  private enum Phase {
    case asking
    case parked(Waker)
    case settled(Outcome)
  }

  /// Who sleeps until there is an outcome.
  ///
  /// Not a checked continuation: its layout is the system library's own, which would make every look at a hold's state a
  /// matter of the runtime.
  @safe enum Waker {
    case task(UnsafeContinuation<Void, Never>)
    case thread(ThreadParker)

    func wake() {
      switch self {
      case .task(let continuation): unsafe continuation.resume()
      case .thread(let parker): parker.wake()
      }
    }
  }

  private struct State {
    var phase = Phase.asking
    var token = FencingToken(epoch: 0, turn: 0)
    var isReleased = false
    var retries = 0
    var isCertain = false
    var start = Duration.zero
  }

  package let mode: BackoffLock.Mode
  let lock: BackoffLock
  let core: LockCore
  /// The task or thread that holds the lock until it returns, or 0 when the hold may wander.
  let scope: UInt
  /// Whether it is to fail rather than to wait for others.
  let triesOnce: Bool
  private let state = Lock(State())

  init(
    _ mode: BackoffLock.Mode, _ lock: BackoffLock, _ core: LockCore, scope: UInt,
    triesOnce: Bool
  ) {
    (self.mode, self.lock, self.core) = (mode, lock, core)
    (self.scope, self.triesOnce) = (scope, triesOnce)
  }

  /// The number of this hold.
  package var token: FencingToken { state.withLock { $0.token } }

  /// How the request ended, and when it was granted if it was; `nil` while it waits.
  var result: (outcome: Outcome, start: Duration)? {
    state.withLock { state in
      if case .settled(let outcome) = state.phase { (outcome, state.start) } else { nil }
    }
  }

  func grant(_ token: FencingToken, at now: Duration) { settle(.granted, token, at: now) }

  func settle(_ outcome: Outcome, _ token: FencingToken? = nil, at now: Duration = .zero) {
    let waker: Waker? = state.withLock { state in
      if let token { (state.token, state.start) = (token, now) }
      defer { state.phase = .settled(outcome) }
      if case .parked(let waker) = state.phase { return waker }
      return nil
    }
    waker?.wake()
  }

  /// Puts somebody to sleep until there is an outcome, or wakes them at once when there is one.
  func park(_ waker: Waker) {
    let isSettled = state.withLock { state in
      if case .settled = state.phase { return true }
      state.phase = .parked(waker)
      return false
    }
    if isSettled { waker.wake() }
  }

  /// Lets the hold begin when its waiter knows of it.
  func begin(at now: Duration) { state.withLock { $0.start = now } }

  /// Notes that the system's lock is held for this request and only a disk call is missing: that is worth its time, also
  /// to one who does not wait for others.
  func markCertain() { state.withLock { $0.isCertain = true } }

  var isCertain: Bool { state.withLock { $0.isCertain } }

  func countRetry() { state.withLock { $0.retries += 1 } }

  var retries: Int { state.withLock { $0.retries } }

  func raise(_ token: FencingToken) { state.withLock { $0.token = token } }

  /// - Returns: When the lock was given, or `nil` when it was given back before.
  func end() -> Duration? {
    state.withLock { state in
      defer { state.isReleased = true }
      return state.isReleased ? nil : state.start
    }
  }
}

extension LockHold: Equatable {
  package static func == (lhs: LockHold, rhs: LockHold) -> Bool { lhs === rhs }
}
