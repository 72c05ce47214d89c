import ReliabilityCore
import Testing

@testable import HealthMonitoring

/// A second in nanoseconds.
private let second: Int64 = 1_000_000_000

extension HealthStateMachine {
  /// One that asks every 10 seconds with a limit of 2; stale after 3 intervals.
  static func plain(_ count: Int = 1) -> Self {
    Self(
      Array(
        repeating: Rules(interval: 10 * second, timeout: 2 * second, lifetime: 32 * second),
        count: count))
  }

  mutating func end(_ begin: Begin, _ reading: HealthReading = .pass, at now: Int64) -> Change? {
    ended(begin.run, .reading(reading), at: now, wallTime: WallTime(secondsSince1970: 0))
  }

  mutating func expire(_ begin: Begin, at now: Int64) -> Change? {
    expired(begin.run, at: now, wallTime: WallTime(secondsSince1970: 0))
  }
}

@Suite struct HealthStateMachineTests {
  var machine = HealthStateMachine.plain()

  @Test mutating func nothingIsDueBeforeSomebodyKeepsTheSchedule() {
    #expect(machine.nextDue == nil)
    #expect(machine.tick(at: 0).isEmpty)
    machine.start()
    #expect(machine.tick(at: 0).count == 1)
  }

  @Test mutating func checkStartsAgainAnIntervalAfterItsStartNotItsEnd() throws {
    machine.start()
    let begun = machine.tick(at: 5 * second)
    let begin = try #require(begun.first)
    #expect(begin.end == 7 * second)
    #expect(machine.nextDue == nil, "what runs is not due")
    #expect(machine.end(begin, at: 6 * second)?.hasAnswer == true)
    #expect(machine.nextDue == 15 * second)
    #expect(machine.tick(at: 15 * second - 1).isEmpty)
    #expect(machine.tick(at: 15 * second).count == 1)
  }

  @Test mutating func missedBeatsAreSkippedNotCaughtUp() throws {
    machine.start()
    let begun = machine.tick(at: 0)
    let begin = try #require(begun.first)
    _ = machine.expire(begin, at: 2 * second)
    #expect(machine.end(begin, at: 34 * second)?.endedLate == true)
    #expect(machine.nextDue == 40 * second)
  }

  @Test mutating func overdueRunIsNotStartedTwiceAndItsLateAnswerCountsForNothing() throws {
    machine.start()
    let begun = machine.tick(at: 0)
    let begin = try #require(begun.first)
    let settled = machine.expire(begin, at: 2 * second)
    let change = try #require(settled)
    #expect(change.becameOverdue)
    #expect(change.after == .fail)
    #expect(machine.tick(at: 10 * second).isEmpty)
    #expect(machine.startAll(at: 10 * second).begin.isEmpty)
    #expect(machine.startAll(at: 10 * second).awaited.isEmpty)
    _ = machine.end(begin, .pass, at: 20 * second)
    #expect(machine.components[0].status(at: 20 * second) == .fail)
    #expect(machine.components[0].counts.total == 1)
  }

  @Test mutating func secondEndOfARunAndTheEndOfAnotherAreIgnored() throws {
    machine.start()
    let begun = machine.tick(at: 0)
    let begin = try #require(begun.first)
    #expect(machine.end(begin, at: second) != nil)
    #expect(machine.end(begin, .fail("again"), at: second) == nil)
    #expect(machine.expire(begin, at: 2 * second) == nil)
    var other = begin
    other.run.number += 1
    #expect(machine.end(other, .fail("other"), at: second) == nil)
    #expect(machine.components[0].status(at: second) == .pass)
  }

  @Test mutating func goodAnswerGrowsStaleAndABadOneStaysBad() throws {
    let (begun, _) = machine.startAll(at: 0)
    _ = machine.end(begun[0], at: second)
    #expect(machine.components[0].status(at: 33 * second) == .pass)
    #expect(machine.components[0].status(at: 33 * second + 1) == .stale)
    let (again, _) = machine.startAll(at: 40 * second)
    _ = machine.end(again[0], .fail("ill"), at: 41 * second)
    #expect(machine.components[0].status(at: .max) == .fail)
  }

  @Test mutating func stopCancelsWhatOnlyTheScheduleWantedAndItsAnswerCountsForNothing() throws {
    machine = .plain(2)
    machine.start()
    let begun = machine.tick(at: 0)
    #expect(machine.stop(awaited: [begun[1].run]) == [begun[0].run])
    #expect(machine.end(begun[0], .fail("cancelled"), at: second)?.hasAnswer == false)
    #expect(machine.end(begun[1], at: second)?.hasAnswer == true)
    #expect(machine.components[0].status(at: second) == .unknown)
    #expect(machine.nextDue == nil)
  }

  @Test mutating func hugeValuesNeverTrap() {
    machine = HealthStateMachine([.init(interval: .max, timeout: .max, lifetime: .max)])
    machine.start()
    let begun = machine.tick(at: .max - 1)
    #expect(begun[0].end == .max)
    _ = machine.end(begun[0], at: .max)
    #expect(machine.nextDue == .max)
    machine = HealthStateMachine([.init(interval: 1, timeout: 1, lifetime: 1)])
    machine.start()
    let tiny = machine.tick(at: .min)
    _ = machine.end(tiny[0], at: .max)
    #expect(machine.components[0].status(at: .max) == .pass)
  }
}

/// The same rules said in another way: a list of everything that happened, searched from the end.
private struct Reference {
  enum Step { case begun(Int64), answered(HealthStatus, Int64), overdue, over(Int64) }

  var history: [[Step]]
  var isRunning = false

  func isBusy(_ component: Int) -> Bool {
    for step in history[component].reversed() {
      switch step {
      case .begun, .overdue: return true
      case .over: return false
      case .answered: continue
      }
    }
    return false
  }

  func status(_ component: Int, at now: Int64, lifetime: Int64) -> HealthStatus {
    for step in history[component].reversed() {
      if case .answered(let status, let at) = step {
        return status != .fail && now - at > lifetime ? .stale : status
      }
    }
    return .unknown
  }

  func lastEnd(_ component: Int) -> Int64? {
    for step in history[component].reversed() {
      if case .over(let at) = step { return at }
    }
    return nil
  }

  func lastBegin(_ component: Int) -> Int64? {
    for step in history[component].reversed() {
      if case .begun(let at) = step { return at }
    }
    return nil
  }
}

@Suite struct HealthModelTests {
  @Test("Twenty thousand random operations agree with a search in the history", arguments: 0..<5)
  func agreesWithHistory(run: Int) throws {
    let seed = UInt64(0xBEEF + run * 7919)
    var generator = SeededGenerator(seed: seed)
    let rules = (1...4).map {
      HealthStateMachine.Rules(
        interval: Int64($0) * second, timeout: second / 2 * Int64($0), lifetime: 5 * second)
    }
    var machine = HealthStateMachine(rules)
    var reference = Reference(history: Array(repeating: [], count: 4))
    var open: [(begin: HealthStateMachine.Begin, isOverdue: Bool, isCancelled: Bool)] = []
    var now: Int64 = 0
    var begun = 0
    var over = 0
    func note(_ begins: [HealthStateMachine.Begin]) throws {
      for begin in begins {
        let component = begin.run.component
        try #require(!reference.isBusy(component), "seed \(seed): two runs at once")
        reference.history[component].append(.begun(now))
        open.append((begin, false, false))
        begun += 1
      }
    }
    for step in 0..<20_000 {
      switch Int.random(in: 0..<12, using: &generator) {
      case 0 where machine.runners == 0:
        machine.start()
        try note(machine.tick(at: now))
      case 1 where machine.runners > 0 && Int.random(in: 0..<4, using: &generator) == 0:
        for id in machine.stop(awaited: []) {
          let index = try #require(open.firstIndex { $0.begin.run == id })
          try #require(!open[index].isOverdue)
          open[index].isCancelled = true
        }
        try #require(open.allSatisfy { $0.isOverdue || $0.isCancelled }, "seed \(seed)")
      case 2: try note(machine.startAll(at: now).begin)
      case 3, 4, 5:
        guard let index = open.indices.randomElement(using: &generator) else { continue }
        let (begin, isOverdue, isCancelled) = open.remove(at: index)
        let reading: HealthReading = [.pass, .warn("w"), .fail("f")].randomElement(
          using: &generator)!
        let settled = machine.end(begin, reading, at: now)
        let change = try #require(settled)
        let counts = !isOverdue && !isCancelled
        #expect(change.hasAnswer == counts, "seed \(seed), step \(step)")
        if counts {
          reference.history[begin.run.component].append(.answered(reading.status, now))
        }
        reference.history[begin.run.component].append(.over(now))
        over += 1
      default:
        now += Int64.random(in: 0..<second, using: &generator)
        for index in open.indices where !open[index].isOverdue && open[index].begin.end <= now {
          let settled = machine.expire(open[index].begin, at: now)
          let change = try #require(settled)
          #expect(change.hasAnswer == !open[index].isCancelled)
          open[index].isOverdue = true
          let component = open[index].begin.run.component
          if !open[index].isCancelled {
            reference.history[component].append(.answered(.fail, now))
          }
          reference.history[component].append(.overdue)
        }
        try note(machine.tick(at: now))
        if machine.runners > 0 {
          for component in 0..<4 where !reference.isBusy(component) {
            let begun = try #require(reference.lastBegin(component))
            let ended = try #require(reference.lastEnd(component))
            let interval = rules[component].interval
            #expect(
              (now - begun) / interval == (ended - begun) / interval,
              "seed \(seed), step \(step): a beat after the last end was missed")
          }
        }
      }
      for component in 0..<4 {
        let expected = reference.status(component, at: now, lifetime: rules[component].lifetime)
        try #require(
          machine.components[component].status(at: now) == expected, "seed \(seed), step \(step)")
        #expect((machine.components[component].run != nil) == reference.isBusy(component))
      }
      if step % 500 == 0 {
        // What is behind the last run and the last answer is never looked at.
        for component in 0..<4 {
          reference.history[component].removeFirst(
            max(0, reference.history[component].count - 50))
        }
      }
    }
    #expect(begun == over + open.count, "seed \(seed)")
    #expect(begun > 500, "seed \(seed)")
  }
}
