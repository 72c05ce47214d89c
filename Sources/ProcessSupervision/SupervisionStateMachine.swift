/// Decides what happens to a child process; knows of no system calls, threads or clocks.
///
/// | phase | event | next phase | actions |
/// |---|---|---|---|
/// | running | a limit passes, stop | ending | TERM to the tree |
/// | ending | grace passes, memory goes on growing | killed | KILL to the tree |
/// | killed | it does not end | finished | abandon |
/// | running, ending, killed | exit seen | the same | reap |
/// | running, ending, killed | exited, group alive | leftovers | look at the group again and again |
/// | leftovers | grace passes | leftovers | KILL to the tree |
/// | leftovers | group gone, or it does not end | draining | |
/// | running, ending, killed | exited, group gone | draining | |
/// | draining | pipes closed, or drain time passes | checking the file, finished | close the pipes |
/// | checking the file | measured, or time passes | finished | |
///
/// All instants are nanoseconds on one scale.
struct SupervisionStateMachine {
  enum Phase: Equatable {
    case running
    case ending(killAt: Int64)
    case killed(giveUpAt: Int64)
    case leftovers(killAt: Int64, giveUpAt: Int64)
    case draining(until: Int64)
    case checkingFile(until: Int64)
    case finished
  }

  enum Signal { case terminate, kill }

  enum Action: Equatable {
    /// To every process of the tree.
    case signal(Signal)
    /// The reason was decided upon.
    case stopping(ProcessStopReason)
    case sample
    case measureFile
    /// Await the child, which has ended; before that, while its number is surely its own, TERM to its group if asked.
    case reap(endingGroup: Bool)
    case lookAtGroup
    case closePipes
    /// Nobody waits any longer for a child that does not end.
    case abandon
    case alert(ProcessAlert)
    case firstOutput
    case finish
  }

  let rules: SupervisionRules
  private let start: Int64
  /// How long the child may run; moved while it does.
  private var total: Int64
  private(set) var phase = Phase.running
  private(set) var stopReason: ProcessStopReason?
  private(set) var hadLeftovers = false
  private(set) var outputWasCutOff = false
  private(set) var fileSize: Int64?
  /// The size that growth is told by: at first that of a file which was there before the child.
  private var knownFileSize: Int64

  private var outputBytes: Int64 = 0
  private var hasActivity = false
  private var hasOutput = false
  private var lastActivity: Int64
  private var isPaused = false
  private var arePipesOpen = true
  private var fileWaitUntil: Int64?
  private var hasAlertedTime = false
  private var lookDelay: Int64 = 1_000_000
  private var nextLook = Int64.max
  var sampling: SamplingSchedule

  /// - Parameter fileSize: The size of the watched file before the child was started.
  init(rules: SupervisionRules, start: Int64, fileSize: Int64 = 0) {
    self.rules = rules
    self.start = start
    total = rules.total
    knownFileSize = fileSize
    lastActivity = start
    sampling = SamplingSchedule(rules: rules, start: start)
  }

  /// When to call ``alarm(at:)`` at the latest, `Int64.max` for never.
  var nextAlarm: Int64 {
    switch phase {
    case .running:
      min(timeLimitAt, startupAt, stallAt, timeAlertAt, sampling.next, fileWaitUntil ?? .max)
    case .ending(let killAt): min(killAt, sampling.next)
    case .killed(let giveUpAt): giveUpAt
    case .leftovers(let killAt, let giveUpAt): min(killAt, giveUpAt, nextLook)
    case .draining(let until), .checkingFile(let until): until
    case .finished: .max
    }
  }

  private var timeLimitAt: Int64 { min(start.plus(total), rules.deadline) }
  private var startupAt: Int64 {
    hasActivity || fileWaitUntil != nil ? .max : start.plus(rules.startup)
  }

  /// Which limit of silence has passed.
  private func silence(at now: Int64) -> ProcessStopReason? {
    if now >= startupAt { return .startupLimit }
    return now >= stallAt ? .stalled : nil
  }
  private var stallAt: Int64 {
    isPaused || fileWaitUntil != nil ? .max : lastActivity.plus(rules.stall)
  }
  private var timeAlertAt: Int64 {
    guard !hasAlertedTime, total != .max else { return .max }
    let part = Double(total) * rules.alerts.time
    return part < Double(total) ? start.plus(Int64(part)) : .max
  }

  // MARK: Signs of life

  mutating func output(_ bytes: Int, at now: Int64) -> [Action] {
    outputBytes = outputBytes.plus(Int64(bytes))
    active(at: now)
    var actions: [Action] = []
    if !hasOutput {
      hasOutput = true
      actions.append(.firstOutput)
    }
    if outputBytes > rules.output { actions += stop(.outputLimit, at: now) }
    return actions
  }

  /// A mark of progress.
  mutating func progress(at now: Int64) { active(at: now) }

  /// The whole run may take this long, from its start.
  mutating func limitTotal(to limit: Int64, at now: Int64) -> [Action] {
    total = max(1, limit)
    guard phase == .running, now >= timeLimitAt else { return [] }
    return stop(now >= start.plus(total) ? .totalLimit : .deadline, at: now)
  }

  /// The watched file has this size, `nil` when it is missing.
  ///
  /// One that has become smaller, and is not empty, was written anew.
  mutating func fileMeasured(_ size: Int64?, at now: Int64) -> [Action] {
    if let size, size > 0, size != knownFileSize { active(at: now) }
    fileSize = size
    knownFileSize = size ?? 0
    let wasAwaited = fileWaitUntil != nil
    fileWaitUntil = nil
    if case .checkingFile = phase { return finish() }
    guard wasAwaited, phase == .running, let reason = silence(at: now) else { return [] }
    return stop(reason, at: now)
  }

  /// Reading was stopped because nobody takes what was read, or goes on.
  mutating func readingPaused(_ paused: Bool, at now: Int64) {
    isPaused = paused
    lastActivity = now
  }

  private mutating func active(at now: Int64) {
    hasActivity = true
    lastActivity = max(lastActivity, now)
  }

  // MARK: Time

  mutating func alarm(at now: Int64) -> [Action] {
    switch phase {
    case .running: return runningAlarm(at: now)
    case .ending(let killAt):
      if now >= killAt { return kill(at: now) }
      return sampleIfDue(at: now)
    case .killed(let giveUpAt):
      guard now >= giveUpAt else { return [] }
      phase = .finished
      return [.closePipes, .abandon, .finish]
    case .leftovers(let killAt, let giveUpAt):
      if now >= giveUpAt { return drain(at: now) }
      if now >= killAt {
        // Again every second: one may have been forked between the look and the signal.
        phase = .leftovers(killAt: now.plus(1_000_000_000), giveUpAt: giveUpAt)
        nextLook = now.plus(lookDelay)
        return [.signal(.kill)]
      }
      guard now >= nextLook else { return [] }
      nextLook = .max
      return [.lookAtGroup]
    case .draining(let until):
      guard now >= until else { return [] }
      outputWasCutOff = arePipesOpen
      // What holds the pipe has left the group; with a session or a parent in the tree it is known all the same.
      let actions: [Action] = rules.endsLeftovers ? [.signal(.kill), .closePipes] : [.closePipes]
      return actions + pipesClosed(at: now)
    case .checkingFile(let until):
      return now >= until ? finish() : []
    case .finished: return []
    }
  }

  private mutating func runningAlarm(at now: Int64) -> [Action] {
    if now >= timeLimitAt {
      return stop(now >= start.plus(total) ? .totalLimit : .deadline, at: now)
    }
    if let reason = silence(at: now) {
      guard rules.watchesFile else { return stop(reason, at: now) }
      fileWaitUntil = now.plus(SupervisionRules.fileWait)
      return [.measureFile] + sampleIfDue(at: now)
    }
    if let until = fileWaitUntil, now >= until {
      fileWaitUntil = nil
      if let reason = silence(at: now) { return stop(reason, at: now) }
    }
    var actions: [Action] = []
    if now >= timeAlertAt {
      hasAlertedTime = true
      actions.append(
        .alert(
          ProcessAlert(
            kind: .time, isRaised: true, value: Double(now - start) / Double(total),
            threshold: rules.alerts.time)))
    }
    return actions + sampleIfDue(at: now)
  }

  private mutating func sampleIfDue(at now: Int64) -> [Action] {
    guard sampling.take(at: now) else { return [] }
    return rules.watchesFile && phase == .running ? [.sample, .measureFile] : [.sample]
  }

  // MARK: Resources

  /// What a sample found, and how long taking it took.
  ///
  /// - Parameter isComplete: Whether every process of the tree was measured; else `memory` is the least it can be, which may pass a
  ///   limit but never shows that all is well.
  mutating func sampled(
    memory: Int64, cpuPercent: Double?, cost: Int64, isComplete: Bool = true, at now: Int64
  ) -> [Action] {
    var actions = sampling.record(
      memory: memory, cpuPercent: cpuPercent, cost: cost, isComplete: isComplete, at: now
    ).map(Action.alert)
    guard let limit = rules.memory else { return actions }
    switch phase {
    case .running where memory >= limit: actions += stop(.memoryLimit, at: now)
    case .ending where Double(memory) >= Double(limit) * SupervisionRules.memoryOverrun:
      actions += kill(at: now)
    default: break
    }
    return actions
  }

  // MARK: Ending

  /// Ends the child; only the first reason counts.
  mutating func stop(_ reason: ProcessStopReason, at now: Int64) -> [Action] {
    guard phase == .running else { return [] }
    stopReason = reason
    phase = .ending(killAt: now.plus(rules.grace))
    return [.stopping(reason), .signal(.terminate)]
  }

  private mutating func kill(at now: Int64) -> [Action] {
    phase = .killed(giveUpAt: now.plus(SupervisionRules.killWait))
    return [.signal(.kill)]
  }

  /// The child has ended and waits to be awaited.
  func exitSeen() -> [Action] {
    switch phase {
    case .running, .ending, .killed: [.reap(endingGroup: rules.endsLeftovers)]
    default: []
    }
  }

  /// The child was awaited.
  ///
  /// - Parameters:
  ///   - hasLeftovers: Whether its group still exists.
  ///   - code: Its exit code, if it exited by itself.
  mutating func exited(hasLeftovers: Bool, code: Int32?, at now: Int64) -> [Action] {
    exitCode = code
    hadLeftovers = hasLeftovers
    guard hasLeftovers, rules.endsLeftovers else { return drain(at: now) }
    let killAt: Int64
    switch phase {
    case .ending(let at): killAt = at
    case .killed: killAt = now
    default: killAt = now.plus(rules.grace)
    }
    phase = .leftovers(killAt: killAt, giveUpAt: killAt.plus(SupervisionRules.killWait))
    nextLook = now.plus(lookDelay)
    return killAt <= now ? alarm(at: now) : []
  }

  private var exitCode: Int32?

  /// Whether the child's group still exists.
  mutating func groupLooked(exists: Bool, at now: Int64) -> [Action] {
    guard case .leftovers = phase else { return [] }
    guard exists else { return drain(at: now) }
    lookDelay = min(lookDelay * 2, 100_000_000)
    nextLook = now.plus(lookDelay)
    return []
  }

  private mutating func drain(at now: Int64) -> [Action] {
    phase = .draining(until: now.plus(rules.drain))
    return arePipesOpen ? [] : pipesClosed(at: now)
  }

  /// Both outputs ended.
  mutating func pipesClosed(at now: Int64) -> [Action] {
    arePipesOpen = false
    guard case .draining = phase else { return [] }
    guard rules.needsFile, stopReason == nil, let exitCode,
      rules.acceptedExitCodes.contains(exitCode)
    else { return finish() }
    phase = .checkingFile(until: now.plus(SupervisionRules.fileWait))
    fileSize = nil
    return [.measureFile]
  }

  private mutating func finish() -> [Action] {
    phase = .finished
    return [.finish]
  }
}
