internal import CReliability
internal import ReliabilityCore

// Signals and the end of a child: on the loop's thread.

extension ChildProcess {
  func send(_ signal: SupervisionStateMachine.Signal) {
    let number: Int32 = signal == .kill ? 9 : 15
    // Before the child was awaited its number is surely its own, and its group's.
    let group: Int32? = isAwaited ? nil : pid
    // Looked for first: when a parent has ended nothing ties its children to it any longer.
    tree.lookAtAll()
    if let group {
      _ = creliability_signal_group(group, number)
      // One that is stopped could not end.
      if signal == .terminate { _ = creliability_signal_group(group, continueSignal) }
    }
    let reached = tree.signal(number, except: group)
    guard group != nil || reached > 0 else { return }
    timeline.add(signal == .kill ? .kill : .terminate, at: .now)
    tell(signal == .kill ? .killed : .terminated)
    if signal == .kill { figures.killed() }
  }

  private var continueSignal: Int32 {
    #if os(Linux)
      18
    #else
      19
    #endif
  }

  func reap(_ endingGroup: Bool) -> [SupervisionStateMachine.Action] {
    // While the child is not awaited no other group can have its number.
    if endingGroup { _ = creliability_signal_group(pid, 15) }
    var result = creliability_exit()
    var code: Int32?
    if unsafe creliability_process_wait(pid, pidfd, 1, &result) == 1 {
      usage = ProcessUsage(result, inheritedPeak: launched.inheritedPeak)
      exit = result.signal != 0 ? .signal(result.signal) : .code(result.code)
      if result.signal == 0 { code = result.code }
    }
    isAwaited = true
    tree.rootWasAwaited()
    if pidfd >= 0 {
      loop.unwatch(pidfd)
      creliability_close(pidfd)
      pidfd = -1
    }
    timeline.add(.exit, at: .now, exit.words)
    return machine.exited(hasLeftovers: tree.isGroupAlive(), code: code, at: clock.now)
  }

  /// A child that was given up has ended after all.
  func endAbandoned() {
    var result = creliability_exit()
    _ = unsafe creliability_process_wait(pid, pidfd, 1, &result)
    isAwaited = true
    if pidfd >= 0 {
      loop.unwatch(pidfd)
      creliability_close(pidfd)
      pidfd = -1
    }
    loop.remove(id)
  }

  func finish() {
    if let alarm { clock.source.cancel(alarm.alarm) }
    alarm = nil
    if !isAbandoned { loop.remove(id) }
    lines.close()
    let report = report
    figures.ended(report, memory: meter.memory)
    tell(.ended(report))
    ending.finish(report)
  }

  private var report: ProcessReport {
    ProcessReport(
      command: command, arguments: arguments, processID: pid, exit: exit,
      stopReason: machine.stopReason, startedAt: launched.startedAt,
      duration: .nanoseconds((endedAt ?? clock.now) - launched.start), outputTail: outputTail.text,
      errorTail: errorTail.text, output: captured, outputBytes: outputTail.total,
      errorBytes: errorTail.total, usage: usage,
      peakMemoryBytes: max(meter.peak, usage.peakMemoryBytes),
      memoryLimitBytes: configuration.limits.memory?.bytes, samples: meter.samples,
      timeline: timeline.entries, timelineDropped: timeline.dropped,
      watchedFileSize: machine.fileSize, hadLeftovers: machine.hadLeftovers,
      outputWasCutOff: machine.outputWasCutOff)
  }
}
