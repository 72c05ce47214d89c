import ReliabilityCore
import ReliabilityTestSupport
import Testing

@testable import TimeoutManager

/// A second in nanoseconds.
private let second: Int64 = 1_000_000_000

extension ProgressStateMachine {
  /// Ten seconds, at most a hundred, five without progress, three until the first.
  static func plain(
    heartbeats: PhiAccrualDetector? = nil, _ change: (inout Rules) -> Void = { _ in }
  ) -> Self {
    var rules = Rules(
      base: 10 * second, maximum: 100 * second, stall: 5 * second, network: 3 * second,
      isAdaptive: true, margin: 1.5, minimumSpeed: 0, fastTimeConstant: 5, slowTimeConstant: 60)
    change(&rules)
    return Self(rules, heartbeats: heartbeats, start: 0)
  }

  /// Reports so many bytes a second, every second.
  mutating func progress(_ speed: Double, from start: Int64, to end: Int64, of total: Double?) {
    let already = completed ?? 0
    for time in stride(from: start + 1, through: end, by: 1) {
      _ = report(
        completed: already + speed * Double(time - start), of: total, .bytes, at: time * second)
    }
  }
}

@Suite struct AdaptiveMachineTests {
  var machine = ProgressStateMachine.plain()

  @Test mutating func limitIsTheBaseUntilSomethingIsKnown() {
    #expect(machine.limit == 10 * second)
    #expect(machine.reason == .base)
    machine.progress(100, from: 0, to: 4, of: nil)
    #expect(machine.limit == 10 * second, "without a total nobody knows what is left")
    #expect(machine.reason == .base)
  }

  @Test mutating func limitIsElapsedPlusRemainingBySpeedTimesMargin() {
    machine.progress(100, from: 0, to: 4, of: 2_000)
    // 4 s elapsed, 1600 bytes left at 100 a second.
    #expect(machine.remaining == 16)
    #expect(machine.limit == (4 + 24) * second)
    #expect(machine.reason == .estimate)
  }

  @Test mutating func estimateNeitherShortensTheBaseNorPassesTheMaximum() {
    machine.progress(1_000, from: 0, to: 1, of: 2_000)
    #expect(machine.limit == 10 * second)
    #expect(machine.reason == .base)
    machine = .plain()
    machine.progress(1, from: 0, to: 4, of: 1e12)
    #expect(machine.limit == 100 * second)
    #expect(machine.reason == .maximum)
  }

  @Test mutating func allBytesAreNotTheEndOfTheWork() {
    machine.progress(100, from: 0, to: 40, of: 4_000)
    #expect(machine.remaining == 0)
    #expect(machine.passed == nil)
    #expect(machine.limit == 45 * second, "the patience of a stall is left")
  }

  @Test mutating func workThatHasJustSlowedDownGetsMoreTime() {
    machine.progress(100, from: 0, to: 10, of: 3_000)
    let before = machine.limit
    machine.progress(20, from: 10, to: 14, of: 3_000)
    #expect(machine.fast.value! < machine.slow.value!)
    #expect(machine.limit > before)
  }

  @Test mutating func workThatGetsFasterGivesTimeBackButNeverWhatHasPassed() {
    machine.progress(10, from: 0, to: 20, of: 2_000)
    #expect(machine.limit == 100 * second)
    machine.progress(1_000, from: 20, to: 21, of: 2_000)
    machine.progress(700, from: 21, to: 22, of: 2_000)
    #expect(machine.limit < 100 * second)
    #expect(machine.limit >= machine.elapsed)
  }

  @Test mutating func speedDependsOnTimeNotOnTheNumberOfReports() throws {
    var often = ProgressStateMachine.plain()
    for step in 1...(20 * 50) {
      _ = often.report(
        completed: Double(step) * 2, of: nil, .bytes, at: Int64(step) * second / 50)
    }
    machine.progress(100, from: 0, to: 20, of: nil)
    #expect(try (#require(often.fast.value) - 100).magnitude < 1e-6)
    #expect(try (#require(machine.fast.value) - 100).magnitude < 1e-6)
    // From 100 a second to 50, looked at after five seconds: 1 - 1/e of the way, however often.
    for step in 1...250 {
      _ = often.report(
        completed: 2_000 + Double(step), of: nil, .bytes, at: (20 * 50 + Int64(step)) * second / 50)
    }
    machine.progress(50, from: 20, to: 25, of: nil)
    let expected = 100 - 50 * (1 - exponential(-1))
    #expect(try (#require(often.fast.value) - expected).magnitude < 0.5)
    #expect(try (#require(machine.fast.value) - expected).magnitude < 1e-6)
  }

  @Test mutating func networkLimitHoldsUntilTheFirstProgressAndTheStallLimitAfterIt() {
    #expect(machine.next == (.network, 3 * second))
    _ = machine.report(completed: 0, of: 10, .bytes, at: second)
    #expect(machine.next == (.network, 3 * second), "zero bytes are no progress")
    _ = machine.report(completed: 1, of: nil, .bytes, at: 2 * second)
    #expect(machine.next == (.stall, 7 * second))
    _ = machine.report(completed: 1, of: nil, .bytes, at: 6 * second)
    machine.advance(to: 7 * second)
    #expect(machine.passed == .stall, "the same number again is no progress")
  }

  @Test mutating func withoutANetworkLimitTheStallLimitHoldsFromTheStart() {
    machine = .plain { $0.network = nil }
    #expect(machine.next == (.stall, 5 * second))
    machine = .plain {
      $0.network = nil
      $0.stall = nil
    }
    #expect(machine.next == (.total, 10 * second))
  }

  @Test mutating func stepBackwardsIsANewBeginningAndNoProgress() {
    machine.progress(100, from: 0, to: 2, of: 1_000)
    let speed = machine.fast
    _ = machine.report(completed: 0, of: nil, .bytes, at: 4 * second)
    #expect(machine.next.at == 7 * second)
    #expect(machine.fast == speed)
    _ = machine.report(completed: 10, of: nil, .bytes, at: 5 * second)
    #expect(machine.next.at == 10 * second)
    #expect(machine.completed == 10)
  }

  @Test mutating func trickleIsAStallInTheSlidingWindowAlsoLateInABigFile() {
    machine = .plain {
      $0.minimumSpeed = 100
      $0.stall = 16 * second
      $0.base = 90 * second
    }
    machine.progress(1_000, from: 0, to: 60, of: nil)
    #expect(machine.passed == nil)
    machine.progress(10, from: 60, to: 75, of: nil)
    // An average since the start would still be above 800.
    #expect(machine.passed == nil)
    machine.progress(10, from: 75, to: 76, of: nil)
    #expect(machine.passed == .stall)
  }

  @Test mutating func oneReadingAboveTheSpeedDoesNotResetTheWindow() {
    machine = .plain {
      $0.minimumSpeed = 100
      $0.stall = 16 * second
      $0.base = 90 * second
    }
    var done = 0.0
    for time in 1...40 {
      done += time % 8 == 0 ? 150 : 1
      _ = machine.report(completed: done, of: nil, .bytes, at: Int64(time) * second)
      if machine.passed != nil { break }
    }
    #expect(machine.passed == .stall)
    #expect(machine.now <= 18 * second)
  }

  @Test mutating func pressureStretchesUpToTwiceAndNeverPastTheMaximum() {
    machine.setPressure(0.5, at: 0)
    #expect(machine.limit == 15 * second)
    #expect(machine.reason == .pressure)
    #expect(machine.next == (.network, 4_500_000_000))
    machine.setPressure(1, at: 0)
    #expect(machine.limit == 20 * second)
    machine.setPressure(0, at: 0)
    #expect(machine.limit == 20 * second, "what was granted is not taken back")
    #expect(machine.next == (.network, 3 * second))
    machine = .plain { $0.base = 80 * second }
    machine.setPressure(7, at: 0)
    #expect(machine.pressure == 1)
    #expect(machine.limit == 100 * second)
    machine.setPressure(.nan, at: 0)
    #expect(machine.pressure == 0)
  }

  @Test mutating func heartbeatsThatStopAreFoundOutByTheirRhythm() {
    machine = .plain(
      heartbeats: PhiAccrualDetector(acceptablePause: .zero, minimumDeviation: .milliseconds(10))
    ) {
      $0.network = nil
      $0.stall = nil
      $0.base = 90 * second
    }
    #expect(machine.next.limit == .total, "before the first heartbeat nobody expects one")
    for beat in 1...30 { machine.heartbeat(at: Int64(beat) * second / 2) }
    #expect(machine.next.limit == .heartbeats)
    #expect(machine.next.at < 18 * second)
    machine.advance(to: machine.next.at)
    #expect(machine.passed == .heartbeats)
  }

  @Test mutating func fractionsAreAnotherUnitThanBytes() {
    machine.progress(100, from: 0, to: 2, of: 1_000)
    _ = machine.report(completed: 0.5, of: 1, .fraction, at: 3 * second)
    #expect(machine.fast.value == nil)
    #expect(machine.total == 1)
    _ = machine.report(completed: 1, of: 1, .fraction, at: 4 * second)
    #expect(machine.fast.value == 0.5)
    #expect(machine.remaining == 0)
  }

  @Test mutating func clockThatStandsStillOrRunsBackwardsGivesNoSpeed() {
    for value in 1...1_000 {
      _ = machine.report(completed: Double(value), of: 2_000, .bytes, at: 0)
    }
    #expect(machine.fast.value == nil)
    #expect(machine.limit == 10 * second)
    _ = machine.report(completed: 1_500, of: nil, .bytes, at: 2 * second)
    _ = machine.report(completed: 1_600, of: nil, .bytes, at: .min)
    #expect(machine.now == 2 * second)
  }

  @Test("Hostile values never trap and keep the bounds", arguments: 0..<8)
  func hostileValues(run: Int) {
    let seed = UInt64(0xD00D + run)
    var generator = SeededGenerator(seed: seed)
    let values: [Double] = [
      .nan, -.nan, .infinity, -.infinity, 0, -0.0, -1, 1, 0.5, .leastNonzeroMagnitude, 1e300,
      -1e300,
      .greatestFiniteMagnitude, 0x1p63, -0x1p63, 0x1p64, 12_345,
    ]
    let durations: [Int64] = [1, 2, second, 5 * second, 60 * second, .max / 2, .max]
    for _ in 0..<60 {
      let maximum = durations.randomElement(using: &generator)!
      let base = min(maximum, durations.randomElement(using: &generator)!)
      var machine = ProgressStateMachine.plain(
        heartbeats: Bool.random(using: &generator) ? PhiAccrualDetector() : nil
      ) {
        $0.base = base
        $0.maximum = maximum
        $0.stall = Bool.random(using: &generator) ? durations.randomElement(using: &generator) : nil
        $0.network =
          Bool.random(using: &generator) ? durations.randomElement(using: &generator) : nil
        $0.minimumSpeed = [0, 1, 1e6, 1e300].randomElement(using: &generator)!
        $0.margin = [1, 1.5, 1e300].randomElement(using: &generator)!
        $0.isAdaptive = Bool.random(using: &generator)
      }
      var now: Int64 = 0
      for step in 0..<300 {
        let before = machine
        let context = "seed \(seed), step \(step)"
        switch Int.random(in: 0..<10, using: &generator) {
        case 0: now = durations.randomElement(using: &generator)!
        case 1: now = Int64.random(in: .min ... .max, using: &generator)
        case 2: machine.setPressure(values.randomElement(using: &generator)!, at: now)
        case 3: machine.heartbeat(at: now)
        case 4:
          _ = machine.advance(by: values.randomElement(using: &generator)!, .bytes, at: now)
        default:
          let (sum, overflow) = now.addingReportingOverflow(
            Int64.random(in: 0..<(3 * second), using: &generator))
          now = overflow ? .max : sum
          let mayBeNearer = machine.report(
            completed: values.randomElement(using: &generator)!,
            of: Bool.random(using: &generator) ? values.randomElement(using: &generator)! : nil,
            Bool.random(using: &generator) ? .bytes : .fraction, at: now)
          if !mayBeNearer, machine.heartbeats == nil, before.lastProgress != nil {
            #expect(machine.next.at >= before.next.at, "\(context): nearer, and nobody was told")
          }
        }
        #expect(machine.limit >= base && machine.limit <= maximum, "\(context)")
        #expect(machine.now >= before.now, "\(context)")
        #expect(
          machine.next.at <= maximum, "\(context): past the maximum")
        #expect(
          machine.fast.value?.isNaN != true && machine.slow.value?.isNaN != true, "\(context)")
        if machine.lastProgress == before.lastProgress && machine.pressure <= before.pressure {
          #expect(machine.limit == before.limit, "\(context): moved without progress")
        }
        let decision = TimeoutDecision(machine, passed: machine.passed)
        #expect(decision.phi?.isFinite != false, "\(context)")
        #expect(!decision.description.isEmpty)
      }
    }
  }
}
