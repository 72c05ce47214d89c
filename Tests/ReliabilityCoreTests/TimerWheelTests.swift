import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@Suite struct TimerWheelTests {
  /// Writes down when it fires.
  final class Recorder: Alarm, @unchecked Sendable {
    let id: Int
    let fired: (Int) -> Void
    init(_ id: Int, _ fired: @escaping (Int) -> Void) {
      self.id = id
      self.fired = fired
    }
    override func fire() { fired(id) }
  }

  @Test func nothingFiresEarlyAndEverythingDueFiresOnce() {
    var wheel = TimerWheel()
    var fired: [Int] = []
    for tick in [1, 2, 63, 64, 65, 4095, 4096, 4097, 1 << 30] {
      let alarm = Recorder(tick) { fired.append($0) }
      let stands = wheel.insert(alarm, at: UInt64(tick))
      #expect(stands == UInt64(tick))
    }
    wheel.advance(to: 62).fire()
    #expect(fired == [1, 2])
    wheel.advance(to: 64).fire()
    #expect(fired == [1, 2, 63, 64])
    wheel.advance(to: 4096).fire()
    #expect(fired == [1, 2, 63, 64, 65, 4095, 4096])
    wheel.advance(to: 1 << 31).fire()
    #expect(fired == [1, 2, 63, 64, 65, 4095, 4096, 4097, 1 << 30])
    let (count, next) = (wheel.count, wheel.nextTick)
    #expect(count == 0)
    #expect(next == nil)
  }

  @Test func aTickThatHasPassedMeansTheNextOneAndAFarOneTheLast() {
    var wheel = TimerWheel()
    wheel.advance(to: 1000).fire()
    var fired: [Int] = []
    let late = Recorder(1) { fired.append($0) }
    let lateTick = wheel.insert(late, at: 5)
    #expect(lateTick == 1001)
    let far = Recorder(2) { fired.append($0) }
    let farTick = wheel.insert(far, at: .max)
    #expect(farTick == TimerWheel.lastTick)
    wheel.advance(to: TimerWheel.lastTick).fire()
    #expect(fired == [1, 2])
  }

  /// Added from near and far, so that some move down several levels before they are due and some never.
  @Test func alarmsOfOneTickFireInTheOrderInWhichTheyWereAdded() {
    var wheel = TimerWheel()
    var fired: [Int] = []
    var alarms: [Recorder] = []
    for (id, tick) in [0, 5, 70, 200_000, 299_000, 299_900, 299_999].enumerated() {
      wheel.advance(to: UInt64(tick)).fire()
      for twin in [2 * id, 2 * id + 1] {
        alarms.append(Recorder(twin) { fired.append($0) })
        _ = wheel.insert(alarms[twin], at: 300_000)
      }
    }
    // The first, the last and one between.
    for id in [0, 13, 6] {
      let removed = wheel.remove(alarms[id])
      #expect(removed)
      unsafe Unmanaged.passUnretained(alarms[id]).release()
    }
    wheel.advance(to: 300_000).fire()
    #expect(fired == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12])
  }

  @Test func wheelThatIsDroppedGivesUpTheAlarmsThatWait() {
    weak var last: Recorder?
    do {
      var wheel = TimerWheel()
      for tick in 1...200 {
        let alarm = Recorder(tick) { _ in }
        _ = wheel.insert(alarm, at: UInt64(tick * 50))
        last = alarm
      }
      #expect(last != nil)
    }
    #expect(last == nil)
  }

  /// Against a sorted list, with random inserts, removals and steps of every size.
  @Test(arguments: 0..<20)
  func wheelAgreesWithASortedListUnderRandomOperations(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var wheel = TimerWheel()
    var model: [(id: Int, tick: UInt64, alarm: Recorder)] = []
    var fired: [Int] = []
    var now: UInt64 = 0
    for id in 0..<3000 {
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<5:
        let reach = UInt64(1) << UInt64.random(in: 0..<40, using: &random)
        let alarm = Recorder(id) { fired.append($0) }
        let tick = wheel.insert(alarm, at: now + UInt64.random(in: 0...reach, using: &random))
        model.append((id, tick, alarm))
      case 5..<7:
        guard let index = model.indices.randomElement(using: &random) else { continue }
        let entry = model.remove(at: index)
        let removals = (wheel.remove(entry.alarm), wheel.remove(entry.alarm))
        #expect(removals == (true, false))
        unsafe Unmanaged.passUnretained(entry.alarm).release()
      default:
        let (next, earliest) = (wheel.nextTick, model.map(\.tick).min())
        if let earliest { #expect(next! <= earliest, "seed \(seed)") }
        let reach = UInt64(1) << UInt64.random(in: 0..<36, using: &random)
        now += UInt64.random(in: 0...reach, using: &random)
        fired = []
        wheel.advance(to: now).fire()
        let due = model.filter { $0.tick <= now }
        #expect(Set(fired) == Set(due.map(\.id)) && fired.count == due.count, "seed \(seed)")
        let ticks = fired.map { id in due.first { $0.id == id }!.tick }
        #expect(ticks == ticks.sorted(), "seed \(seed)")
        // Of one tick in the order of insertion, which is that of the ids.
        for (a, b) in zip(zip(ticks, fired), zip(ticks, fired).dropFirst()) where a.0 == b.0 {
          #expect(a.1 < b.1, "seed \(seed)")
        }
        model.removeAll { $0.tick <= now }
        let count = wheel.count
        #expect(count == model.count)
      }
    }
  }
}

@Suite(.realTime) struct RealTimeDeadlineSchedulerTests {
  final class Flag: Alarm, @unchecked Sendable {
    let time = Lock<ContinuousClock.Instant?>(nil)
    override func fire() { time.withLock { $0 = .now } }
  }

  @Test(.timeLimit(.minutes(10)))
  func alarmsOfManyThreadsAllFireAndNoneEarly() async throws {
    let clock = ContinuousClock()
    let alarms = (0..<2000).map { _ in Flag() }
    let due = alarms.indices.map { clock.now + .microseconds(100 + $0 * 37 % 60_000) }
    await withTaskGroup { group in
      for lane in 0..<8 {
        group.addTask {
          for index in stride(from: lane, to: alarms.count, by: 8) {
            clock.schedule(alarms[index], at: due[index])
          }
        }
      }
    }
    try await clock.wait(for: .milliseconds(70))
    for (alarm, due) in zip(alarms, due) {
      while alarm.time.withLock({ $0 == nil }) { await Task.yield() }
      #expect(alarm.time.withLock { $0! } >= due)
    }
  }

  @Test(.timeLimit(.minutes(10)))
  func alarmThatIsTakenBackIsGivenUpAtOnce() async {
    weak var weakAlarm: Flag?
    do {
      let alarm = Flag()
      weakAlarm = alarm
      ContinuousClock().schedule(alarm, at: .now + .seconds(3600))
      #expect(ContinuousClock().cancel(alarm))
      #expect(!ContinuousClock().cancel(alarm))
    }
    // Nothing but the scheduler could still hold it. How many alarms there are is no proof: other tests set theirs.
    #expect(weakAlarm == nil)
  }
}
