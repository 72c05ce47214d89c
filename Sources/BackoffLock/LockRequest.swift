internal import CReliability
internal import ReliabilityIO

/// One call that wants the lock: its limits, and what becomes of the answer.
struct LockRequest {
  let lock: BackoffLock
  let mode: BackoffLock.Mode
  let start: Duration
  let end: Duration
  let scope: UInt

  /// - Throws: What makes asking pointless: a cancelled task, a passed deadline, a forked process.
  init(
    _ lock: BackoffLock, _ mode: BackoffLock.Mode, timeout: Duration?, isScoped: Bool
  ) throws {
    if Task.isCancelled { throw CancellationError() }
    if ForkWatch.isCopy { throw LockError(.forked, path: lock.path) }
    self.lock = lock
    self.mode = mode
    start = lock.now
    // A clock's time may be negative: it counts from an instant that is not its first.
    let wanted = start.saturatingAdvanced(by: timeout ?? lock.configuration.timeout)
    end = Deadline.earliest(wanted)
    scope = isScoped ? Self.currentScope : 0
    lock.meter.countAttempt()
    if end < start {
      lock.meter.countTimeout()
      throw LockTimeoutError(path: lock.path, waited: .zero)
    }
  }

  /// The task, or outside of tasks the thread, as a number that no other has while this one runs.
  private static var currentScope: UInt {
    unsafe withUnsafeCurrentTask { task in
      // Looked at in its place: a copy of it would be counted. Tasks are objects, so their addresses are even.
      let address = unsafe withUnsafeBytes(of: task) { unsafe $0.load(as: UInt.self) }
      return address != 0 ? address : UInt(creliability_stripe()) << 1 | 1
    }
  }

  /// Puts the request; the hold has its outcome, or waits.
  ///
  /// - Returns: `nil` when the lock file must be opened anew.
  func put(to core: LockCore, now: Duration) throws -> LockHold? {
    let hold = LockHold(mode, lock, core, scope: scope, triesOnce: end <= now)
    guard try core.request(hold, now: now) else {
      lock.forget(core)
      return nil
    }
    return hold
  }

  /// Limits the wait of a hold: by an alarm, or at once when there is no time.
  ///
  /// Even then it may be given the lock, by somebody who was about to.
  func limit(_ hold: LockHold) -> LockAlarm? {
    guard end > lock.now else {
      if hold.isCertain { return nil }
      hold.core.leave(hold, .timedOut)
      return nil
    }
    let alarm = LockAlarm { hold.core.leave(hold, .timedOut) }
    lock.schedule(alarm, at: end)
    return alarm
  }

  /// Looks at the outcome.
  ///
  /// - Returns: Whether the lock is held; `false` when its file must be opened anew.
  func finish(_ hold: LockHold, waited: Bool) throws -> Bool {
    guard let result = hold.result else { preconditionFailure("a request ended without outcome") }
    switch result.outcome {
    case .granted:
      var now = result.start
      if waited {
        now = lock.now
        if Task.isCancelled {
          hold.core.release(hold, held: .zero, now: now)
          lock.meter.countCancellation()
          throw CancellationError()
        }
        // Whoever was woken holds it from now on.
        hold.begin(at: now)
      }
      let wait = now - start
      lock.meter.recordWait(wait)
      if wait >= lock.configuration.longWait {
        lock.tell(.longWait, waited: wait, cause: hold.core.read { $0.blame.cause(since: start) })
      }
      return true
    case .failed(let error):
      lock.meter.countFailure()
      throw LockError(error, path: lock.path)
    case .restart:
      lock.forget(hold.core)
      return false
    case .cancelled:
      lock.meter.countCancellation()
      throw CancellationError()
    case .timedOut:
      let error = timeoutError(hold)
      lock.meter.countTimeout()
      lock.tell(
        .timeout, waited: error.waited, cause: error.owner.map { "held by \($0)" })
      throw error
    }
  }

  private func timeoutError(_ hold: LockHold) -> LockTimeoutError {
    // One read of a page that is in memory; on a network file system it would be a call that may hang.
    let owner = hold.core.isNetwork ? nil : (try? hold.core.owner()) ?? nil
    return LockTimeoutError(
      path: lock.path, waited: lock.now - start, owner: owner, retries: hold.retries)
  }
}

extension LockCore {
  /// Who holds the lock alone, in whatever process; a disk call.
  func owner() throws -> LockOwner? {
    guard let file else { return nil }
    guard try isHeld || file.isHeldAlone() else { return nil }
    return try file.owner()
  }
}
