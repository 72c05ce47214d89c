internal import ReliabilityCore

// Bodies that are told to stop, and those that don't listen.

extension JobQueue {
  /// Tells a body to stop, unless it has ended or was told before.
  func end(_ run: JobRun, because reason: JobRun.Reason) {
    let patience = PatienceAlarm(run)
    let worker = shell.withLock { shell -> Task<Never, Never>? in
      switch run.phase {
      case .settling, .ending:
        // For its fallback. Whoever cancels has the last word.
        if reason != .timeout && run.laterReason != .cancelled { run.laterReason = reason }
        return nil
      case .abandoned: return nil
      case .active: break
      }
      run.phase = .ending(reason)
      run.patience = patience
      if reason == .timeout { shell.counts.timedOut += 1 }
      defer { run.worker = nil }
      return run.worker
    }
    guard let worker else { return }
    configuration.clock.schedule(
      patience,
      at: configuration.clock.now.saturatingAdvanced(by: configuration.patience))
    // It may have ended between the two lines above.
    let isOver = shell.withLock { _ in run.patience !== patience }
    if isOver { configuration.clock.cancel(patience) }
    if reason == .timeout {
      tell(JobEvent(.timedOut(limit: run.limit), id: run.id, jobKind: run.item.job.kind))
    }
    worker.cancel()
  }

  /// Waits no longer for a body that was told to stop.
  func abandon(_ run: JobRun) {
    let reason = shell.withLock { shell -> JobRun.Reason? in
      guard case .ending(let reason) = run.phase else { return nil }
      run.phase = .abandoned(reason)
      run.patience = nil
      shell.counts.abandoned += 1
      shell.runs[run.item.lease.token] = nil
      shell.unsettled += 1
      shell.settlingLeases[run.item.lease.token] = run.item.lease
      if configuration.abandonedSlot == .held { shell.heldSlots += 1 }
      return reason
    }
    guard let reason else { return }
    let takesSlot = configuration.abandonedSlot == .freed
    Task.detached {
      self.tell(JobEvent(.abandoned, id: run.id, jobKind: run.item.job.kind))
      let elapsed = max(.zero, Duration.nanoseconds(self.clock.now) - run.start)
      switch reason {
      case .timeout:
        let error = self.timeout(of: run, elapsed, cause: nil)
        run.judge?(.failure(error))
        await self.settle(run, .failure(error), elapsed: elapsed)
      case .shutdown: await self.release(run.item)
      case .cancelled, .lost: break
      }
      self.shell.withLock { shell in
        shell.unsettled -= 1
        shell.settlingLeases[run.item.lease.token] = nil
      }
      self.noteChange()
      if takesSlot {
        self.leave(run.kind)
        await self.work()
      }
    }
  }

  func note(_ progress: JobProgress, of run: JobRun) {
    let counts = shell.withLock { _ -> Bool in
      guard run.phase == .active else { return false }
      run.progress = progress
      return true
    }
    if counts {
      tell(JobEvent(.progressed(progress), id: run.id, jobKind: run.item.job.kind))
    }
  }
}
