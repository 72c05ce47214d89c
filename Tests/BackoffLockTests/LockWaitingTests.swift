import ReliabilityIO
import ReliabilityTestSupport
import ReliabilityTesting
import Synchronization
import Testing

@testable import BackoffLock

/// Waiting by a clock that only moves when told to: limits, retries, blame, and locks kept while idle.
@Suite(.offThePool) struct LockWaitingTests {
  @Test func aPollingWaitTellsEveryTenthRetryAndEndsWithTheLast() async throws {
    let scratch = LockScratch()
    let clock = ManualClock()
    let events = Events()
    let plan = LockPolling(backoff: .constant(.milliseconds(10), jitter: .none), maxRetries: 25)
    let holder = scratch.lock(in: LockRegistry()) { $0.label = "nightly" }
    let lock = scratch.lock(clock: clock) {
      $0.strategy = .polling(plan)
      $0.observer = events.observer
    }
    let held = try await holder.tryLock()
    let waiter = Task { try await lock.withLock { _ in } }
    for _ in 0..<25 {
      // The end of the wait and the next retry.
      await clock.scheduled(atLeast: 2)
      clock.advance(by: .milliseconds(10))
    }
    let error = await #expect(throws: LockTimeoutError.self) { try await waiter.value }
    #expect(error?.retries == 25)
    #expect(error?.waited == .milliseconds(250))
    #expect(events.kinds == [.waiting(retries: 10), .waiting(retries: 20), .timeout])
    #expect(events.last?.cause?.contains("nightly") == true)
    held?.release()
    try await lock.withLock { _ in }
  }

  @Test func theNextInLineBeginsItsRetriesAnewWhenTheFirstIsSpent() async throws {
    let scratch = LockScratch()
    let clock = ManualClock()
    let plan = LockPolling(backoff: .constant(.milliseconds(10), jitter: .none), maxRetries: 3)
    let holder = scratch.lock(in: LockRegistry())
    let lock = scratch.lock(clock: clock) { $0.strategy = .polling(plan) }
    let held = try await holder.tryLock()
    let first = Task { try await lock.withLock { _ in } }
    try await until { lock.statistics.waiting == 1 }
    let second = Task { try await lock.withLock { _ in } }
    try await until { lock.statistics.waiting == 2 }
    await clock.scheduled(atLeast: 3)
    for _ in 0..<3 {
      clock.advance(by: .milliseconds(10))
      if lock.statistics.waiting == 2 { try await until { clock.scheduledCount >= 2 } }
    }
    let error = await #expect(throws: LockTimeoutError.self) {
      while lock.statistics.waiting == 2 { try await drive(clock) }
      try await first.value
    }
    #expect(error?.retries == 3)
    held?.release()
    while lock.statistics.waiting == 1 { try await drive(clock) }
    try await second.value
    #expect(lock.statistics.timeouts == 1)
  }

  @Test func aLongWaitNamesTheHoldOfThisProcessThatCausedIt() async throws {
    let scratch = LockScratch()
    let clock = ManualClock()
    let events = Events()
    let slow = scratch.lock(clock: clock) { $0.label = "slow" }
    let lock = scratch.lock(clock: clock) { $0.observer = events.observer }
    let hold = try await slow.acquire()
    let waiter = Task { try await lock.withLock { _ in } }
    try await until { lock.statistics.waiting == 1 }
    clock.advance(by: .seconds(2))
    slow.release(hold)
    try await waiter.value
    #expect(events.kinds == [.longWait])
    #expect(events.last?.waited == .seconds(2))
    #expect(events.last?.cause == "held for 2.0 seconds by this process (\"slow\")")
  }

  @Test func aLongWaitNamesTheProcessThatHadTheLock() async throws {
    let scratch = LockScratch()
    let clock = ManualClock()
    let events = Events()
    let other = scratch.lock(in: LockRegistry()) { $0.label = "elsewhere" }
    let lock = scratch.lock(clock: clock) { $0.observer = events.observer }
    let hold = try await other.acquire()
    let waiter = Task { try await lock.withLock { _ in } }
    try await until { lock.statistics.waiting == 1 }
    clock.advance(by: .seconds(2))
    other.release(hold)
    try await waiter.value
    #expect(events.kinds == [.longWait])
    #expect(events.last?.cause?.hasPrefix("held by pid ") == true)
    #expect(events.last?.cause?.contains("elsewhere") == true)
  }

  @Test func aWaitEndsAtTheCurrentDeadlineWhenThatComesFirst() async throws {
    let scratch = LockScratch()
    let clock = ManualClock()
    let lock = scratch.lock(clock: clock)
    let hold = try await lock.acquire()
    let end = clock.now.advanced(by: .seconds(5))
    let waiter = Task {
      try await Deadline.$scope.withValue(DeadlineScope(until: end)) {
        try await lock.withLock(timeout: .seconds(20)) { _ in }
      }
    }
    await clock.scheduled(atLeast: 1)
    clock.advance(by: .seconds(5) - .nanoseconds(1))
    #expect(lock.statistics.waiting == 1)
    clock.advance(by: .nanoseconds(1))
    try await until { lock.statistics.waiting == 0 }
    let error = await #expect(throws: LockTimeoutError.self) { try await waiter.value }
    #expect(error?.waited == .seconds(5))
    lock.release(hold)
  }

  /// Times count from an instant that the process takes at some time, so its first ones may lie before.
  @Test func timesBeforeTheOriginOfInstantsCountLikeOthers() async throws {
    let scratch = LockScratch()
    let clock = ManualClock(now: ContinuousClock.now.advanced(by: .seconds(-3600)))
    let other = scratch.lock(in: LockRegistry())
    let lock = scratch.lock(clock: clock) { $0.idleHold = .milliseconds(2) }
    let hold = try await other.acquire()
    #expect(try await !isFree(lock))
    let waiter = Task { try await lock.withLock(timeout: .seconds(5)) { _ in } }
    await clock.scheduled(atLeast: 1)
    clock.advance(by: .seconds(5))
    try await until { lock.statistics.waiting == 0 }
    let error = await #expect(throws: LockTimeoutError.self) { try await waiter.value }
    #expect(error?.waited == .seconds(5))
    other.release(hold)
    try await until { lock.statistics.abandonedWaits == 1 }
    try await lock.withLock { _ in }
    clock.advance(by: .milliseconds(2))
    #expect(try await isFree(other))
  }

  @Test func aDeadlineThatHasPassedThrowsBeforeAnythingIsAsked() async throws {
    let scratch = LockScratch()
    let clock = ManualClock()
    let lock = scratch.lock(clock: clock)
    let past = clock.now.advanced(by: .seconds(-1))
    await #expect(throws: LockTimeoutError.self) {
      try await Deadline.$scope.withValue(DeadlineScope(until: past)) {
        try await lock.withLock { _ in }
      }
    }
    await #expect(throws: LockTimeoutError.self) {
      try await lock.withLock(deadline: Deadline(past)) { _ in }
    }
    #expect(lock.statistics.timeouts == 2)
    #expect(scratch.bytes.isEmpty)
  }

  @Test(arguments: [false, true])
  func anIdleHoldKeepsOthersOutUntilItsTimeIsUp(usesWholeFiles: Bool) async throws {
    let scratch = LockScratch()
    let clock = ManualClock()
    let lock = scratch.lock(usesWholeFiles: usesWholeFiles, clock: clock) {
      $0.idleHold = .milliseconds(2)
    }
    let other = scratch.lock(in: LockRegistry(), usesWholeFiles: usesWholeFiles)
    for _ in 0..<5 { try await lock.withLock { _ in } }
    #expect(lock.statistics.systemAcquisitions == 1)
    clock.advance(by: .milliseconds(2) - .nanoseconds(1))
    #expect(try await !isFree(other))
    clock.advance(by: .nanoseconds(1))
    #expect(try await isFree(other))
  }

  @Test(arguments: [false, true])
  func aLockIsNotKeptIdleWhenAnotherProcessWaits(usesWholeFiles: Bool) async throws {
    let scratch = LockScratch()
    // It never moves: what is kept would be kept for ever.
    let clock = ManualClock()
    let lock = scratch.lock(usesWholeFiles: usesWholeFiles, clock: clock) {
      $0.idleHold = .milliseconds(2)
    }
    let other = scratch.lock(in: LockRegistry(), usesWholeFiles: usesWholeFiles)
    let hold = try await lock.acquire()
    let waiter = Task { try await other.withLock { _ in } }
    try await until { (try? hold.core.file?.isAwaited()) == true }
    lock.release(hold)
    try await waiter.value
  }

  @Test func tokensFollowAcrossIdleHoldsUntilAnotherProcessHadTheLock() async throws {
    let scratch = LockScratch()
    let clock = ManualClock()
    let lock = scratch.lock(clock: clock) { $0.idleHold = .milliseconds(2) }
    let other = scratch.lock(in: LockRegistry())
    let first = try await lock.withLock { $0 }
    let second = try await lock.withLock { $0 }
    #expect(second.directlyFollows(first))
    clock.advance(by: .milliseconds(2))
    // Given up and taken again, and nobody came between.
    let third = try await lock.withLock { $0 }
    #expect(lock.statistics.systemAcquisitions == 2)
    #expect(third.directlyFollows(second))
    clock.advance(by: .milliseconds(2))
    // As many as the places that went before, so that a turn continued by mistake would give the next one.
    for _ in 0..<2 { try await other.withLock { _ in } }
    let between = try await other.withLock { $0 }
    let fourth = try await lock.withLock { $0 }
    #expect(third < between && between < fourth)
    #expect(!between.directlyFollows(third))
    #expect(!fourth.directlyFollows(third))
    #expect(!fourth.directlyFollows(between))
  }

  private func drive(_ clock: ManualClock) async throws {
    clock.advance(by: .milliseconds(10))
    try await ContinuousClock().wait(for: .microseconds(200))
  }
}

func isFree(
  _ lock: BackoffLock, _ mode: BackoffLock.Mode = .exclusive
) async throws -> Bool {
  switch try await lock.tryLock(mode) {
  case .some: true
  case .none: false
  }
}

/// What an observer was told.
private final class Events: Sendable {
  private let events = Lock<[BackoffLock.Event]>([])
  var kinds: [BackoffLock.Event.Kind] { events.withLock { $0.map(\.kind) } }
  var last: BackoffLock.Event? { events.withLock { $0.last } }
  var observer: @Sendable (BackoffLock.Event) -> Void {
    { [self] event in events.withLock { $0.append(event) } }
  }
}
