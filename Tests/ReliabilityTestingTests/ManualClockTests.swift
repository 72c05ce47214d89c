import ReliabilityTesting
import Synchronization
import Testing

@Suite struct ManualClockTests {
  let clock = ManualClock()

  @Test func timeStandsStillUntilItIsMoved() {
    let start = clock.now
    #expect(clock.now == start)
    clock.advance(by: .seconds(5))
    #expect(clock.now == start + .seconds(5))
    clock.advance(by: .seconds(-5))
    #expect(clock.now == start + .seconds(5))
  }

  @Test func sleeperWakesAtItsInstantAndNotBefore() async throws {
    let woken = Atomic(false)
    async let sleeper: Void = {
      try await clock.wait(for: .seconds(10))
      woken.store(true, ordering: .relaxed)
    }()
    #expect(await clock.nextScheduled() == clock.now + .seconds(10))
    clock.advance(by: .milliseconds(9999))
    #expect(clock.scheduledCount == 1)
    let isEarly = woken.load(ordering: .relaxed)
    #expect(!isEarly)
    clock.advance(by: .milliseconds(1))
    try await sleeper
    let isWoken = woken.load(ordering: .relaxed)
    #expect(isWoken)
  }

  @Test func cancelledSleeperLeavesNothingBehind() async throws {
    let sleeper = Task { try await clock.sleep(until: clock.now + .seconds(10), tolerance: nil) }
    await clock.nextScheduled()
    sleeper.cancel()
    await #expect(throws: CancellationError.self) { try await sleeper.value }
    #expect(clock.scheduledCount == 0)
  }

  @Test func alarmsFireInOrderAndSeeTheirOwnInstant() {
    let start = clock.now
    let log = Log()
    for seconds in [3, 1, 2, 1] {
      clock.schedule(Note(clock: clock, log: log), at: start + .seconds(seconds))
    }
    clock.advance(by: .seconds(5))
    #expect(log.instants == [1, 1, 2, 3].map { start + .seconds($0) })
    #expect(clock.now == start + .seconds(5))
  }

  @Test func waitForAScheduleEndsWhenItsTaskIsCancelled() async {
    let waiter = Task { await clock.nextScheduled() }
    waiter.cancel()
    #expect(await waiter.value == clock.now)
  }

  @Test func advanceToNextWaitsForTheAlarmAndMovesThere() async throws {
    let start = clock.now
    async let sleeper: Void = clock.wait(for: .seconds(7))
    await clock.advanceToNext()
    try await sleeper
    #expect(clock.now == start + .seconds(7))
  }

  // What passes a test must not trap on the real clock.
  @Test func alarmThatIsScheduledTwiceTrapsAsOnTheRealClock() async {
    await #expect(processExitsWith: .failure) {
      let (clock, alarm) = (ManualClock(), Alarm())
      clock.schedule(alarm, at: clock.now)
      clock.cancel(alarm)
      clock.schedule(alarm, at: clock.now)
    }
  }

  final class Log: Sendable {
    private let state = Lock<[ContinuousClock.Instant]>([])
    var instants: [ContinuousClock.Instant] { state.withLock { $0 } }
    func append(_ instant: ContinuousClock.Instant) { state.withLock { $0.append(instant) } }
  }

  final class Note: Alarm, @unchecked Sendable {
    let clock: ManualClock
    let log: Log
    init(clock: ManualClock, log: Log) {
      self.clock = clock
      self.log = log
    }
    override func fire() { log.append(clock.now) }
  }
}
