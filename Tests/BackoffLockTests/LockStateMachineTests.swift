import ReliabilityCore
import ReliabilityTestSupport
import Testing

@testable import BackoffLock

/// The queue alone, without a file: every short story, and long ones at random against what must always hold.
@Suite(.offThePool) struct LockStateMachineTests {
  /// Plays the shell: does what actions ask for, and checks the rules after each.
  struct Stage {
    typealias Machine = LockStateMachine<Int>

    var machine = Machine()
    var now = Duration.zero
    var modes: [Int: BackoffLock.Mode] = [:]
    var waiting: [Int] = []
    var holding: Set<Int> = []
    var pending: [Machine.Next] = []
    var lastToken: FencingToken?
    var turn: UInt64 = 0
    var ownTurn: UInt64?
    var othersTookIt = false
    var idleHold = Duration.zero
    var nextRequester = 0
    var problem: String?

    mutating func apply(_ action: Machine.Action?) {
      guard let action else { return }
      action.forEachGranted { requester, token in
        let mode = modes[requester] ?? .exclusive
        // First in, first out.
        if waiting.first != requester { problem = "\(requester) overtook \(waiting)" }
        waiting.removeAll { $0 == requester }
        let isAlone = holding.isEmpty
        let areReaders = holding.allSatisfy { modes[$0] == .shared }
        if mode == .exclusive ? !isAlone : !areReaders { problem = "\(requester) is not alone" }
        if mode == .exclusive, let lastToken, token <= lastToken {
          problem = "\(token) did not grow"
        }
        if let lastToken, token < lastToken { problem = "\(token) fell" }
        if mode == .exclusive { lastToken = token }
        holding.insert(requester)
      }
      switch action.next {
      case .nothing: break
      case .keepIdle, .acquire, .probe, .giveUp: pending.append(action.next)
      }
    }

    mutating func request(_ mode: BackoffLock.Mode) {
      let requester = nextRequester
      nextRequester += 1
      modes[requester] = mode
      waiting.append(requester)
      apply(machine.request(requester, mode, now: now))
    }

    mutating func leave(_ requester: Int) {
      guard let action = machine.leave(requester, now: now) else {
        problem = "\(requester) waits and could not leave"
        return
      }
      waiting.removeAll { $0 == requester }
      apply(action)
    }

    mutating func release(_ requester: Int) {
      holding.remove(requester)
      apply(machine.release(modes[requester] ?? .exclusive, idleHold: idleHold, now: now))
    }

    /// Carries out the oldest thing that was asked for.
    mutating func work(fails: Bool, othersWait: Bool) {
      guard !pending.isEmpty else { return }
      switch pending.removeFirst() {
      case .nothing: break
      case .acquire(let mode, let continuing):
        if fails {
          let (head, action) = machine.failed(now: now)
          if let head { waiting.removeAll { $0 == head } }
          return apply(action)
        }
        if othersTookIt { turn += 1 }
        othersTookIt = false
        let continues = ownTurn == turn && (continuing || mode == .shared)
        if !continues && mode == .exclusive {
          turn += 1
          ownTurn = turn
        }
        apply(
          machine.acquired(
            mode, .init(epoch: 1, number: turn, continues: continues), now: now))
      case .probe: apply(machine.probed(othersWait: othersWait, now: now))
      case .giveUp:
        if !holding.isEmpty { problem = "given up while held" }
        othersTookIt = othersWait
        apply(machine.gaveUp(now: now))
      case .keepIdle(let end):
        now = max(now, end)
        apply(machine.idleEnded(now: now))
      }
    }

    mutating func check() -> String? {
      if machine.waiting != waiting.count { return "\(machine.waiting) wait, not \(waiting.count)" }
      if machine.holders != holding.count { return "\(machine.holders) hold, not \(holding.count)" }
      if !holding.isEmpty && !machine.isHeld { return "held without the system's lock" }
      // Whoever waits is waited for: by a holder, or by a call that is under way.
      if !waiting.isEmpty && holding.isEmpty && pending.isEmpty { return "a waiter was lost" }
      return problem
    }

    /// Ends every hold and every call; nobody may be left.
    mutating func drain() -> String? {
      for _ in 0..<10_000 {
        if let problem = check() { return problem }
        if !pending.isEmpty {
          work(fails: false, othersWait: false)
        } else if let holder = holding.min() {
          release(holder)
        } else {
          break
        }
      }
      return waiting.isEmpty && !machine.isHeld ? check() : "not everybody was served"
    }
  }

  enum Step: CaseIterable {
    case requestAlone, requestShared, leaveFirst, leaveLast, release, work, workWithOthers, fail,
      wait
  }

  static func play(_ step: Step, on stage: inout Stage) {
    switch step {
    case .requestAlone: stage.request(.exclusive)
    case .requestShared: stage.request(.shared)
    case .leaveFirst: if let first = stage.waiting.first { stage.leave(first) }
    case .leaveLast: if let last = stage.waiting.last { stage.leave(last) }
    case .release: if let holder = stage.holding.min() { stage.release(holder) }
    case .work: stage.work(fails: false, othersWait: false)
    case .workWithOthers: stage.work(fails: false, othersWait: true)
    case .fail: stage.work(fails: true, othersWait: false)
    case .wait: stage.now += .milliseconds(6)
    }
  }

  @Test(arguments: [Duration.zero, .milliseconds(2)])
  func everyStoryOfFiveStepsKeepsTheRulesAndServesEverybody(idleHold: Duration) {
    var stories = 0
    func continueStory(_ stage: Stage, _ steps: [Step]) {
      var ended = stage
      if let problem = ended.drain() {
        Issue.record("\(problem) after \(steps)")
        return
      }
      stories += 1
      guard steps.count < 5 else { return }
      for step in Step.allCases {
        var next = stage
        Self.play(step, on: &next)
        if let problem = next.check() {
          Issue.record("\(problem) after \(steps + [step])")
          return
        }
        continueStory(next, steps + [step])
      }
    }
    var stage = Stage()
    stage.idleHold = idleHold
    continueStory(stage, [])
    #expect(stories > 60_000)
  }

  @Test(arguments: 0..<40)
  func longStoriesAtRandomKeepTheRulesAndServeEverybody(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var stage = Stage()
    stage.idleHold = Bool.random(using: &generator) ? .zero : .milliseconds(2)
    for number in 0..<2000 {
      guard let step = Step.allCases.randomElement(using: &generator) else { return }
      Self.play(step, on: &stage)
      if let problem = stage.check() {
        Issue.record("\(problem) at step \(number), seed \(seed)")
        return
      }
    }
    #expect(stage.drain() == nil, "seed \(seed)")
  }

  @Test func aBatchEndsAfterEightHoldersWhenAnotherProcessWaits() {
    var stage = Stage()
    for _ in 0..<12 { stage.request(.exclusive) }
    stage.work(fails: false, othersWait: false)
    for _ in 0..<8 { stage.holding.min().map { stage.release($0) } }
    #expect(stage.pending == [.probe])
    stage.work(fails: false, othersWait: true)
    #expect(stage.pending == [.giveUp])
    #expect(stage.waiting.count == 4)
  }

  @Test func aBatchGoesOnWhenNobodyElseWaits() {
    var stage = Stage()
    for _ in 0..<12 { stage.request(.exclusive) }
    stage.work(fails: false, othersWait: false)
    for _ in 0..<8 { stage.holding.min().map { stage.release($0) } }
    stage.work(fails: false, othersWait: false)
    #expect(stage.holding.count == 1)
    #expect(stage.waiting.count == 3)
  }

  @Test func aBatchEndsAfterTenMilliseconds() {
    var stage = Stage()
    for _ in 0..<3 { stage.request(.exclusive) }
    stage.work(fails: false, othersWait: false)
    stage.now += .milliseconds(10)
    stage.release(0)
    #expect(stage.pending == [.probe])
  }

  @Test func anIdleHoldServesTheNextWithoutTheSystemAndEndsByItself() {
    var stage = Stage()
    stage.idleHold = .milliseconds(2)
    stage.request(.exclusive)
    stage.work(fails: false, othersWait: false)
    stage.release(0)
    stage.work(fails: false, othersWait: false)
    #expect(stage.pending == [.keepIdle(until: .milliseconds(2))])
    stage.request(.exclusive)
    #expect(stage.holding == [1])
    stage.release(1)
    #expect(stage.machine.acquisitions == 1)
    #expect(stage.drain() == nil)
  }
}
