import ReliabilityTesting
import Testing

@testable import ProcessSupervision

/// The decisions alone, second by second.
@Suite struct SupervisionStateMachineTests {
  private typealias Machine = SupervisionStateMachine
  private static let second: Int64 = 1_000_000_000

  private func machine(_ change: (inout SupervisionRules) -> Void = { _ in }) -> Machine {
    var rules = SupervisionRules()
    rules.sampling = 1000 * Self.second
    change(&rules)
    return Machine(rules: rules, start: 0)
  }

  /// Lets the machine's own alarms go off until an instant.
  private func run(_ machine: inout Machine, to end: Int64) -> [Machine.Action] {
    var actions: [Machine.Action] = []
    var steps = 0
    while machine.nextAlarm <= end, steps < 1000 {
      steps += 1
      actions += machine.alarm(at: machine.nextAlarm)
    }
    #expect(steps < 1000, "the machine goes round in circles")
    return actions
  }

  @Test func totalLimitMeansTermGraceAndKill() {
    var machine = machine {
      $0.total = 10 * Self.second
      $0.alerts.time = 0.8
    }
    #expect(machine.nextAlarm == 8 * Self.second)
    let alerts = run(&machine, to: 9 * Self.second)
    #expect(
      alerts == [
        .alert(ProcessAlert(kind: .time, isRaised: true, value: 0.8, threshold: 0.8))
      ])
    #expect(
      run(&machine, to: 10 * Self.second) == [.stopping(.totalLimit), .signal(.terminate)])
    #expect(machine.nextAlarm == 20 * Self.second)
    #expect(run(&machine, to: 20 * Self.second) == [.signal(.kill)])
    #expect(machine.exitSeen() == [.reap(endingGroup: true)])
    #expect(machine.exited(hasLeftovers: false, code: nil, at: 21 * Self.second).isEmpty)
    #expect(machine.pipesClosed(at: 21 * Self.second) == [.finish])
    #expect(machine.nextAlarm == .max)
    #expect(machine.stopReason == .totalLimit)
  }

  @Test func deadlineIsToldFromTheTotalLimit() {
    var machine = machine {
      $0.total = 10 * Self.second
      $0.deadline = 5 * Self.second
    }
    _ = run(&machine, to: 5 * Self.second)
    #expect(machine.stopReason == .deadline)
  }

  @Test func outputPutsTheStallOff() {
    var machine = machine { $0.stall = 5 * Self.second }
    for second in 1...20 {
      #expect(run(&machine, to: Int64(second) * Self.second).isEmpty)
      _ = machine.output(1, at: Int64(second) * Self.second)
    }
    #expect(run(&machine, to: 24 * Self.second).isEmpty)
    #expect(run(&machine, to: 25 * Self.second).contains(.stopping(.stalled)))
  }

  @Test func progressMarkPutsTheStallOff() {
    var machine = machine { $0.stall = 5 * Self.second }
    machine.progress(at: 4 * Self.second)
    #expect(run(&machine, to: 8 * Self.second).isEmpty)
    #expect(run(&machine, to: 9 * Self.second).contains(.stopping(.stalled)))
  }

  @Test func pausedReadingIsNoStall() {
    var machine = machine { $0.stall = 5 * Self.second }
    machine.readingPaused(true, at: Self.second)
    #expect(run(&machine, to: 100 * Self.second).isEmpty)
    machine.readingPaused(false, at: 100 * Self.second)
    #expect(run(&machine, to: 104 * Self.second).isEmpty)
    #expect(run(&machine, to: 105 * Self.second).contains(.stopping(.stalled)))
  }

  @Test func fileIsLookedAtBeforeTheStallIsBelieved() {
    var machine = machine {
      $0.stall = 5 * Self.second
      $0.watchesFile = true
    }
    #expect(run(&machine, to: 5 * Self.second) == [.measureFile])
    #expect(machine.fileMeasured(100, at: 5 * Self.second).isEmpty)
    #expect(run(&machine, to: 10 * Self.second) == [.measureFile])
    #expect(
      machine.fileMeasured(100, at: 10 * Self.second) == [
        .stopping(.stalled), .signal(.terminate),
      ])
  }

  @Test func fileOnAHungFileSystemDoesNotPutTheStallOffForEver() {
    var machine = machine {
      $0.stall = 5 * Self.second
      $0.watchesFile = true
    }
    let actions = run(&machine, to: 5 * Self.second + SupervisionRules.fileWait)
    #expect(actions == [.measureFile, .stopping(.stalled), .signal(.terminate)])
  }

  @Test func firstOutputEndsTheStartupLimit() {
    var late = machine { $0.startup = 5 * Self.second }
    #expect(late.output(1, at: 4 * Self.second) == [.firstOutput])
    #expect(run(&late, to: 100 * Self.second).isEmpty)
    var never = machine { $0.startup = 5 * Self.second }
    #expect(run(&never, to: 5 * Self.second).contains(.stopping(.startupLimit)))
  }

  @Test func whatTheFileHadBeforeTheStartIsNoOutput() {
    var rules = SupervisionRules()
    rules.sampling = 1000 * Self.second
    rules.startup = 2 * Self.second
    rules.watchesFile = true
    var old = Machine(rules: rules, start: 0, fileSize: 100)
    #expect(run(&old, to: 2 * Self.second) == [.measureFile])
    #expect(old.fileMeasured(100, at: 2 * Self.second + 1).first == .stopping(.startupLimit))
    for size: Int64 in [101, 40] {
      // Grown, or written anew.
      var written = Machine(rules: rules, start: 0, fileSize: 100)
      #expect(run(&written, to: 2 * Self.second) == [.measureFile])
      #expect(written.fileMeasured(size, at: 2 * Self.second + 1).isEmpty)
    }
    var emptied = Machine(rules: rules, start: 0, fileSize: 100)
    #expect(run(&emptied, to: 2 * Self.second) == [.measureFile])
    #expect(emptied.fileMeasured(0, at: 2 * Self.second + 1).first == .stopping(.startupLimit))
  }

  @Test func theTotalLimitMovesWhileTheChildRuns() {
    var machine = machine {
      $0.total = 10 * Self.second
      $0.alerts.time = 1
    }
    #expect(machine.limitTotal(to: 30 * Self.second, at: 5 * Self.second).isEmpty)
    #expect(run(&machine, to: 29 * Self.second).isEmpty)
    #expect(machine.limitTotal(to: 40 * Self.second, at: 29 * Self.second).isEmpty)
    #expect(machine.limitTotal(to: 35 * Self.second, at: 29 * Self.second).isEmpty)
    #expect(run(&machine, to: 34 * Self.second).isEmpty)
    #expect(run(&machine, to: 35 * Self.second).contains(.stopping(.totalLimit)))
    // One that is ending already is not ended again, and gets no time back.
    #expect(machine.limitTotal(to: 1, at: 36 * Self.second).isEmpty)
    #expect(machine.limitTotal(to: .max, at: 36 * Self.second).isEmpty)
    #expect(machine.nextAlarm == 45 * Self.second)
  }

  @Test(arguments: [Int64.min, -1, 0, 1])
  func aTotalLimitThatHasPassedEndsTheChild(limit: Int64) {
    var machine = machine()
    #expect(
      machine.limitTotal(to: limit, at: Self.second) == [
        .stopping(.totalLimit), .signal(.terminate),
      ])
  }

  @Test func theDeadlineHoldsWhateverTheTotalLimitIsMovedTo() {
    var machine = machine { $0.deadline = 5 * Self.second }
    #expect(machine.limitTotal(to: .max, at: 0).isEmpty)
    _ = run(&machine, to: 5 * Self.second)
    #expect(machine.stopReason == .deadline)
  }

  @Test func leftoversAreKilledAgainEverySecond() {
    var machine = machine { $0.grace = Self.second }
    _ = machine.exited(hasLeftovers: true, code: 0, at: 0)
    var kills: [Int64] = []
    var steps = 0
    while case .leftovers = machine.phase, steps < 1000 {
      steps += 1
      let now = machine.nextAlarm
      for action in machine.alarm(at: now) {
        switch action {
        case .signal(.kill): kills.append(now)
        // Always there is one more, forked between the look and the signal.
        case .lookAtGroup: _ = machine.groupLooked(exists: true, at: now)
        default: break
        }
      }
    }
    #expect(kills.count >= 9, "\(kills)")
    #expect(kills.first == Self.second)
    #expect(zip(kills, kills.dropFirst()).allSatisfy { $1 - $0 <= Self.second + 100_000_000 })
  }

  @Test func growthOfTheFileEndsTheStartupLimitAsWell() {
    var growing = machine {
      $0.startup = 2 * Self.second
      $0.watchesFile = true
    }
    #expect(run(&growing, to: 2 * Self.second).last == .measureFile)
    #expect(growing.fileMeasured(10, at: 2 * Self.second + 1).isEmpty)
    #expect(!run(&growing, to: 100 * Self.second).contains(.stopping(.startupLimit)))
    var empty = machine {
      $0.startup = 2 * Self.second
      $0.watchesFile = true
    }
    _ = run(&empty, to: 2 * Self.second)
    #expect(
      empty.fileMeasured(nil, at: 2 * Self.second + 1).first == .stopping(.startupLimit))
  }

  @Test func outputBeyondItsLimitEndsTheProcess() {
    var machine = machine { $0.output = 10 }
    #expect(machine.output(10, at: 1) == [.firstOutput])
    #expect(machine.output(1, at: 2) == [.stopping(.outputLimit), .signal(.terminate)])
    #expect(machine.output(1, at: 3).isEmpty)
  }

  @Test func memoryAtItsLimitEndsAndFurtherGrowthKills() {
    var machine = machine {
      $0.memory = 1000
      $0.sampling = Self.second
    }
    func sample(_ bytes: Int64, _ second: Int64) -> [Machine.Action] {
      machine.sampled(memory: bytes, cpuPercent: nil, cost: 0, at: second * Self.second)
        .filter { if case .alert = $0 { false } else { true } }
    }
    #expect(sample(999, 1).isEmpty)
    #expect(sample(1000, 2) == [.stopping(.memoryLimit), .signal(.terminate)])
    #expect(sample(1050, 3).isEmpty)
    #expect(sample(1100, 4) == [.signal(.kill)])
    #expect(sample(2000, 5).isEmpty)
  }

  @Test func onlyTheFirstReasonCounts() {
    var machine = machine()
    #expect(machine.stop(.cancelled, at: 1) == [.stopping(.cancelled), .signal(.terminate)])
    #expect(machine.stop(.requested, at: 2).isEmpty)
    #expect(machine.stopReason == .cancelled)
  }

  @Test func leftoversGetTermAtTheReapAndKillAfterTheGrace() {
    var machine = machine()
    #expect(machine.exitSeen() == [.reap(endingGroup: true)])
    #expect(machine.exited(hasLeftovers: true, code: 0, at: 0).isEmpty)
    _ = machine.pipesClosed(at: 0)
    var looks = 0
    while machine.nextAlarm < 10 * Self.second {
      let now = machine.nextAlarm
      #expect(machine.alarm(at: now) == [.lookAtGroup])
      #expect(machine.groupLooked(exists: true, at: now).isEmpty)
      looks += 1
    }
    #expect((20...200).contains(looks), "\(looks)")
    #expect(machine.alarm(at: 10 * Self.second) == [.signal(.kill)])
    let now = machine.nextAlarm
    #expect(machine.alarm(at: now) == [.lookAtGroup])
    #expect(machine.groupLooked(exists: false, at: now) == [.finish])
    #expect(machine.hadLeftovers)
  }

  @Test func leftoversThatCannotBeKilledAreGivenUp() {
    var machine = machine()
    _ = machine.exitSeen()
    _ = machine.exited(hasLeftovers: true, code: 0, at: 0)
    _ = machine.pipesClosed(at: 0)
    var steps = 0
    while machine.phase != .finished, steps < 1000 {
      steps += 1
      let now = machine.nextAlarm
      if machine.alarm(at: now) == [.lookAtGroup] {
        _ = machine.groupLooked(exists: true, at: now)
      }
    }
    #expect(machine.phase == .finished)
  }

  @Test func leftoversMayBeLeft() {
    var machine = machine { $0.endsLeftovers = false }
    #expect(machine.exitSeen() == [.reap(endingGroup: false)])
    #expect(machine.exited(hasLeftovers: true, code: 0, at: 0).isEmpty)
    #expect(run(&machine, to: Self.second) == [.closePipes, .finish])
    #expect(machine.outputWasCutOff)
  }

  @Test func childThatIsNotKilledIsGivenUp() {
    var machine = machine()
    _ = machine.stop(.requested, at: 0)
    _ = run(&machine, to: 10 * Self.second)
    #expect(
      run(&machine, to: 10 * Self.second + SupervisionRules.killWait) == [
        .closePipes, .abandon, .finish,
      ])
    #expect(machine.exitSeen().isEmpty)
  }

  @Test func emptyFileIsLookedForAfterASuccessOnly() {
    var success = machine { $0.needsFile = true }
    _ = success.exited(hasLeftovers: false, code: 0, at: 0)
    #expect(success.pipesClosed(at: 0) == [.measureFile])
    #expect(success.fileMeasured(0, at: 0) == [.finish])
    var failure = machine { $0.needsFile = true }
    _ = failure.exited(hasLeftovers: false, code: 1, at: 0)
    #expect(failure.pipesClosed(at: 0) == [.finish])
    var hung = machine { $0.needsFile = true }
    _ = hung.exited(hasLeftovers: false, code: 0, at: 0)
    _ = hung.pipesClosed(at: 0)
    #expect(run(&hung, to: SupervisionRules.fileWait) == [.finish])
  }

  @Test(arguments: 0..<200 as Range<UInt64>)
  func whateverHappensEveryChildComesToAnEndOnce(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var machine = machine { rules in
      if Bool.random(using: &random) { rules.total = Int64.random(in: 1...100, using: &random) }
      if Bool.random(using: &random) { rules.stall = Int64.random(in: 1...100, using: &random) }
      if Bool.random(using: &random) { rules.startup = Int64.random(in: 1...100, using: &random) }
      if Bool.random(using: &random) { rules.memory = 1000 }
      if Bool.random(using: &random) { rules.output = 1000 }
      rules.watchesFile = Bool.random(using: &random)
      rules.needsFile = rules.watchesFile && Bool.random(using: &random)
      rules.endsLeftovers = Bool.random(using: &random)
      rules.grace = Int64.random(in: 0...50, using: &random)
      rules.drain = Int64.random(in: 0...50, using: &random)
    }
    var now: Int64 = 0
    var finishes = 0
    var hasEnded = false
    var isAwaited = false
    var groupLives = Bool.random(using: &random)
    func perform(_ actions: [Machine.Action]) {
      var actions = actions
      var next = 0
      while next < actions.count {
        switch actions[next] {
        case .finish: finishes += 1
        case .signal(.kill):
          hasEnded = true
          groupLives = groupLives && Int.random(in: 0..<4, using: &random) == 0
        case .signal(.terminate): hasEnded = Bool.random(using: &random)
        case .sample:
          actions += machine.sampled(
            memory: Int64.random(in: 0...1200, using: &random), cpuPercent: 50, cost: 1, at: now)
        case .measureFile:
          if Bool.random(using: &random) {
            actions += machine.fileMeasured(Int64.random(in: 0...5, using: &random), at: now)
          }
        case .reap:
          #expect(!isAwaited, "seed \(seed)")
          isAwaited = true
          actions += machine.exited(hasLeftovers: groupLives, code: 0, at: now)
        case .lookAtGroup: actions += machine.groupLooked(exists: groupLives, at: now)
        default: break
        }
        next += 1
      }
    }
    for _ in 0..<300 where machine.phase != .finished {
      now += Int64.random(in: 0...10, using: &random)
      switch Int.random(in: 0..<10, using: &random) {
      case 0: perform(machine.output(Int.random(in: 1...100, using: &random), at: now))
      case 1: machine.progress(at: now)
      case 2: machine.readingPaused(Bool.random(using: &random), at: now)
      case 3: hasEnded = hasEnded || Int.random(in: 0..<5, using: &random) == 0
      case 4:
        if Int.random(in: 0..<20, using: &random) == 0 {
          perform(machine.stop(.cancelled, at: now))
        }
      case 5: if isAwaited { perform(machine.pipesClosed(at: now)) }
      default: if machine.nextAlarm <= now { perform(machine.alarm(at: now)) }
      }
      if hasEnded, !isAwaited { perform(machine.exitSeen()) }
    }
    // Then the caller gives up, and only alarms go off.
    perform(machine.stop(.cancelled, at: now))
    var steps = 0
    while machine.phase != .finished, steps < 10_000 {
      steps += 1
      #expect(machine.nextAlarm != .max, "nothing would happen any more, seed \(seed)")
      now = max(now, machine.nextAlarm)
      perform(machine.alarm(at: now))
      if hasEnded, !isAwaited, machine.phase != .finished { perform(machine.exitSeen()) }
    }
    #expect(finishes == 1, "seed \(seed)")
    #expect(machine.alarm(at: now + 1).isEmpty)
    #expect(machine.stop(.requested, at: now + 1).isEmpty)
  }
}
