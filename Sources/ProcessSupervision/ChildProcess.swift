internal import CReliability
internal import ErrorContext
internal import ReliabilityCore
internal import ReliabilityIO

/// One running child: applies what its state machine decides.
///
/// Unchecked: what is not marked as shared is touched on the loop's thread only, from ``start()`` on.
final class ChildProcess: ProcessLoop.Served, @unchecked Sendable {
  // Shared.
  let pid: Int32
  let lines: LineBuffer
  let ending = ProcessEnding()
  let relay: EventRelay?
  let loop: ProcessLoop
  let clock: NanosecondClock
  let figures: SupervisorFigures
  let configuration: ProcessConfiguration
  let command: String
  let arguments: [String]
  let launched: LaunchedProcess

  // On the loop's thread.
  var id: UInt64 = 0
  var machine: SupervisionStateMachine
  var tree: ProcessTree
  var meter: ProcessMeter
  var timeline = ProcessTimeline()
  var outputTail: OutputTail
  var errorTail: OutputTail
  var captured: [UInt8] = []
  var output: Int32
  var error: Int32
  var pidfd: Int32
  var isPaused = false
  var isAwaited = false
  var isAbandoned = false
  var fileLook = FileLook()
  var exit = ProcessExit.unknown
  var usage = ProcessUsage()
  var endedAt: Int64?
  var alarm: (alarm: ChildAlarm, at: Int64)?

  init(
    _ launched: LaunchedProcess, _ launcher: ProcessLauncher, loop: ProcessLoop,
    rules: SupervisionRules, figures: SupervisorFigures, relay: EventRelay?
  ) {
    self.launched = launched
    self.loop = loop
    self.figures = figures
    self.relay = relay
    pid = launched.pid
    pidfd = launched.pidfd
    output = launched.output
    error = launched.error
    clock = launcher.clock
    command = launcher.command
    arguments = launcher.arguments
    configuration = launcher.configuration
    machine = SupervisionStateMachine(
      rules: rules, start: launched.start, fileSize: launched.watchedFileSize)
    tree = ProcessTree(root: launched.pid)
    meter = ProcessMeter()
    outputTail = OutputTail(characters: configuration.tailCharacters)
    errorTail = OutputTail(characters: configuration.tailCharacters)
    let resumption = Resumption(loop)
    lines = LineBuffer(
      limit: configuration.lineBufferBytes, longestLine: configuration.longestLine,
      resumeReading: { resumption.resume() })
    resumption.set(self)
  }

  // MARK: From any thread

  /// Begins to serve the child.
  func adopt() { loop.post { self.start() } }

  /// Ends the child, unless it is ending already.
  func stop(_ reason: ProcessStopReason) {
    loop.post { self.apply { $0.stop(reason, at: $1) } }
  }

  /// A mark of progress.
  func progress(_ note: String?) {
    let at = WallTime.now
    loop.post {
      self.timeline.add(.progress, at: at, note)
      self.apply { machine, now in
        machine.progress(at: now)
        return []
      }
    }
  }

  /// Moves the limit for the whole run.
  func limitTotal(to limit: Duration) {
    let nanoseconds = limit.nanoseconds
    loop.post { self.apply { $0.limitTotal(to: nanoseconds, at: $1) } }
  }

  /// The last samples; answered on the loop's thread.
  func withSamples(_ body: @escaping @Sendable ([ResourceSample]) -> Void) {
    loop.post { body(self.meter.samples) }
  }

  /// Looks at the tree without writing it down; answered on the loop's thread.
  func withLook(_ body: @escaping @Sendable (_ processes: Int, _ cost: Duration) -> Void) {
    loop.post {
      let before = creliability_boot_nanoseconds()
      let look = self.tree.measure()
      body(look.processes, .nanoseconds(creliability_boot_nanoseconds() - before))
    }
  }

  // MARK: On the loop's thread

  private func start() {
    id = loop.add(self)
    timeline.add(.start, at: launched.startedAt, "pid \(pid)")
    tell(.started, at: launched.startedAt)
    loop.watch(output, .output, of: id)
    loop.watch(error, .error, of: id)
    loop.watchExit(of: pid, pidfd, id)
    apply { _, _ in [] }
  }

  func ready(_ channel: ProcessLoop.Channel) {
    switch channel {
    case .output: read(.output)
    case .error: read(.error)
    case .exit: lookForExit()
    }
  }

  func poll() {
    if !isPaused {
      read(.output)
      read(.error)
    }
    lookForExit()
  }

  func alarmFired(_ fired: ChildAlarm) {
    guard alarm?.alarm === fired else { return }
    alarm = nil
    apply { $0.alarm(at: $1) }
  }

  func resumeReading() {
    guard isPaused else { return }
    isPaused = false
    if output >= 0 { loop.watch(output, .output, of: id) }
    if error >= 0 { loop.watch(error, .error, of: id) }
    apply { machine, now in
      machine.readingPaused(false, at: now)
      return []
    }
  }

  private func lookForExit() {
    guard !isAwaited else { return }
    var result = creliability_exit()
    guard unsafe creliability_process_wait(pid, pidfd, 0, &result) != 0 else { return }
    if isAbandoned { return endAbandoned() }
    if endedAt == nil { endedAt = clock.now }
    // Whatever it wrote is in the pipes by now.
    if isPaused { resumeReading() }
    read(.output, atMost: 64)
    read(.error, atMost: 64)
    apply { machine, _ in machine.exitSeen() }
  }

  /// Runs the state machine, does what it says, and sets the alarm.
  func apply(
    _ event: (inout SupervisionStateMachine, Int64) -> [SupervisionStateMachine.Action]
  ) {
    guard machine.phase != .finished else { return }
    var actions = event(&machine, clock.now)
    var next = 0
    while next < actions.count {
      actions += perform(actions[next])
      next += 1
    }
    arm()
  }

  private func perform(
    _ action: SupervisionStateMachine.Action
  ) -> [SupervisionStateMachine.Action] {
    switch action {
    case .signal(let signal): send(signal)
    case .stopping(let reason):
      figures.stopped(reason)
      let isLimit = ![.cancelled, .bodyEnded, .requested].contains(reason)
      timeline.add(
        isLimit ? .limitHit : "stop", at: .now,
        isLimit ? "\(reason.rawValue) limit" : reason.rawValue)
      tell(.stopping(reason))
    case .sample: return sample()
    case .measureFile: measureFile()
    case .reap(let endingGroup): return reap(endingGroup)
    case .lookAtGroup: return machine.groupLooked(exists: tree.isGroupAlive(), at: clock.now)
    case .closePipes:
      closePipe(&output)
      closePipe(&error)
    case .abandon: isAbandoned = true
    case .alert(let alert):
      figures.alerted(alert)
      if alert.isRaised {
        timeline.add(
          "alert", at: .now, "\(alert.kind.rawValue) \(alert.value.rounded(toPlaces: 2))")
      }
      tell(.alert(alert))
    case .firstOutput:
      timeline.add(.firstOutput, at: .now)
      tell(.firstOutput)
    case .finish: finish()
    }
    return []
  }

  private func arm() {
    let wanted = machine.nextAlarm
    guard wanted != .max else {
      if let alarm { clock.source.cancel(alarm.alarm) }
      alarm = nil
      return
    }
    // One that goes off too early asks again: cheaper than setting it anew with every byte of output.
    if let alarm {
      guard wanted < alarm.at else { return }
      clock.source.cancel(alarm.alarm)
    }
    let new = ChildAlarm(self, loop)
    alarm = (new, wanted)
    clock.source.schedule(new, at: .init(sinceOrigin: .nanoseconds(wanted)))
  }

  // MARK: Measuring

  private func sample() -> [SupervisionStateMachine.Action] {
    let before = creliability_boot_nanoseconds()
    let look = tree.measure()
    let memoryBefore = meter.memory
    let sample = meter.record(look, at: .now, elapsedSince: before)
    let cost = creliability_boot_nanoseconds() - before
    figures.sampled(memoryChange: meter.memory - memoryBefore)
    timeline.add(.sample, at: sample.at, sample.words)
    tell(.sampled(sample), at: sample.at)
    return machine.sampled(
      memory: meter.memory, cpuPercent: sample.cpuPercent, cost: cost,
      isComplete: look.isComplete, at: clock.now)
  }

  /// Looks at the watched file on a disk thread, because its file system may hang: on one for each child at most.
  private func measureFile() {
    guard let path = configuration.watchedPath, fileLook.begin() else { return }
    DiskExecutor.shared.start {
      let size = unsafe path.withCString { unsafe creliability_file_size($0) }
      self.loop.post { self.lookedAtFile(size < 0 ? nil : size) }
    }
  }

  private func lookedAtFile(_ size: Int64?) {
    let isStale = fileLook.end()
    if isStale, machine.phase != .finished { measureFile() }
    // A look from before the end says nothing of what the child left.
    if isStale, case .checkingFile = machine.phase { return }
    apply { $0.fileMeasured(size, at: $1) }
  }

  func tell(_ kind: ProcessEvent.Kind, at: WallTime? = nil) {
    guard let relay else { return }
    relay.send(ProcessEvent(kind: kind, command: command, processID: pid, at: at ?? .now))
  }
}
