internal import ReliabilityIO

extension BackoffLock {
  /// Takes the lock: for modules that hold it across threads of their own.
  ///
  /// - Parameters:
  ///   - mode: Alone, or with other readers.
  ///   - timeout: How long to wait; zero tries once.
  ///   - token: The hold's token will be higher than this one: for a counter whose file was deleted. Exclusive only.
  package nonisolated(nonsending) func acquire(
    _ mode: Mode = .exclusive, timeout: Duration? = nil, above token: FencingToken? = nil
  ) async throws -> LockHold {
    let hold = try await acquire(mode, timeout: timeout, isScoped: false)
    guard let token, mode == .exclusive, hold.token <= token else { return hold }
    do {
      try await DiskExecutor.shared.run { () throws in
        try hold.core.raise(hold, above: token)
      }
      return hold
    } catch {
      release(hold)
      throw LockError(error, path: path)
    }
  }

  /// Gives the lock back.
  ///
  /// Calling it again does nothing, and so does calling it in a copy made by `fork`: the open file is shared with the
  /// original, whose lock it would give up.
  package func release(_ hold: LockHold) {
    guard let start = hold.end(), !ForkWatch.isCopy else { return }
    let now = self.now
    let held = now - start
    meter.recordHold(held)
    hold.core.release(hold, held: held, now: now)
  }

  nonisolated(nonsending) func acquire(
    _ mode: Mode, timeout: Duration?, isScoped: Bool
  ) async throws -> LockHold {
    let request = try LockRequest(self, mode, timeout: timeout, isScoped: isScoped)
    var now = request.start
    while true {
      let core: LockCore
      if let open = openCore {
        core = open
      } else {
        core = try await DiskExecutor.shared.run { () throws in try self.open() }
        now = self.now
      }
      if let hold = try request.put(to: core, now: now) {
        let waits = hold.result == nil
        if waits {
          meter.countQueued(core.read { $0.machine.waiting })
          let alarm = request.limit(hold)
          await withTaskCancellationHandler {
            unsafe await withUnsafeContinuation { unsafe hold.park(.task($0)) }
          } onCancel: {
            core.leave(hold, .cancelled)
          }
          if let alarm { cancel(alarm) }
        }
        if try request.finish(hold, waited: waits) { return hold }
      }
      now = self.now
    }
  }

  /// The same on a thread that may be blocked.
  func acquireBlocking(_ mode: Mode, timeout: Duration?, isScoped: Bool) throws -> LockHold {
    let request = try LockRequest(self, mode, timeout: timeout, isScoped: isScoped)
    while true {
      let core = try open()
      guard let hold = try request.put(to: core, now: now) else { continue }
      let waits = hold.result == nil
      if waits {
        meter.countQueued(core.read { $0.machine.waiting })
        let alarm = request.limit(hold)
        let parker = ThreadParker()
        hold.park(.thread(parker))
        parker.sleep()
        if let alarm { cancel(alarm) }
      }
      if try request.finish(hold, waited: waits) { return hold }
    }
  }
}
