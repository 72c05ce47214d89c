import RateLimiting
import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

/// What happened, in order.
private final class Record: Sendable {
  private let entries = Lock<[Int]>([])
  var all: [Int] { entries.withLock { $0 } }
  func append(_ entry: Int) { entries.withLock { $0.append(entry) } }
}

@Suite(.offThePool) struct RateLimiterTests {
  let clock = ManualClock()

  private func limiter(
    _ permits: Int, burst: Int = 1, maximumWaiters: Int = 100
  ) -> RateLimiter {
    RateLimiter(
      RateLimit(permits, per: .seconds(1), burst: burst), name: "test",
      maximumWaiters: maximumWaiters, clock: clock)
  }

  @Test func waitersAreServedInTheirOrderAtTheirTimes() async throws {
    let limiter = limiter(1)
    let order = Record()
    try await limiter.acquire()
    try await withThrowingTaskGroup { group in
      for id in 0..<5 {
        group.addTask {
          try await limiter.acquire()
          order.append(id)
        }
        while limiter.waiting <= id { await Task.yield() }
      }
      for served in 1...5 {
        await clock.advanceToNext()
        while order.all.count < served { await Task.yield() }
      }
      try await group.waitForAll()
    }
    #expect(order.all == [0, 1, 2, 3, 4])
    #expect(limiter.waiting == 0)
  }

  @Test("P34: a cancelled wait has taken nothing and moves the others up")
  func cancellation() async throws {
    let limiter = limiter(1)
    try await limiter.acquire()
    let first = Task { try await limiter.acquire() }
    while limiter.waiting < 1 { await Task.yield() }
    let second = Task { try await limiter.acquire() }
    while limiter.waiting < 2 { await Task.yield() }
    first.cancel()
    await #expect(throws: CancellationError.self) { try await first.value }
    #expect(limiter.waiting == 1)
    clock.advance(by: .seconds(1))
    try await second.value
    #expect(limiter.tryAcquire().retryAfter == .seconds(1))
  }

  @Test func aCancelledTaskTakesNothing() async throws {
    let limiter = limiter(1)
    let task = Task {
      while !Task.isCancelled { await Task.yield() }
      try await limiter.acquire()
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(limiter.tryAcquire().isAllowed)
  }

  @Test("P33: a wait beyond the timeout or the deadline is refused at once, with the time")
  func refusals() async throws {
    let limiter = limiter(1, maximumWaiters: 1)
    try await limiter.acquire()
    let early = await #expect(throws: RateLimitedError.self) {
      try await limiter.acquire(timeout: .milliseconds(999))
    }
    #expect(early?.code == .deadline && early?.retryAfter == .seconds(1))
    #expect(early?.retryability == .retryable(after: .seconds(1)))
    #expect(early?.category == .overload)
    let scope = DeadlineScope(until: clock.now.advanced(by: .milliseconds(500)))
    await Deadline.$scope.withValue(scope) {
      let late = await #expect(throws: RateLimitedError.self) { try await limiter.acquire() }
      #expect(late?.code == .deadline)
    }
    let waiting = Task { try await limiter.acquire() }
    while limiter.waiting < 1 { await Task.yield() }
    let full = await #expect(throws: RateLimitedError.self) { try await limiter.acquire() }
    #expect(full?.code == .queueFull && full?.retryAfter == .seconds(2))
    let never = await #expect(throws: RateLimitedError.self) { try await limiter.acquire(2) }
    #expect(never?.code == .exceedsBurst && never?.retryability == .notRetryable)
    #expect("\(full?.description ?? "")" == "rate limit test: queueFull, retry after 2.0 seconds")
    clock.advance(by: .seconds(1))
    try await waiting.value
  }

  @Test func permitsGivenBackServeTheLine() async throws {
    let limiter = limiter(1)
    try await limiter.acquire()
    let waiting = Task { try await limiter.acquire() }
    while limiter.waiting < 1 { await Task.yield() }
    limiter.giveBack()
    try await waiting.value
    #expect(!limiter.tryAcquire().isAllowed)
  }

  @Test func figuresCountDecisions() async throws {
    let limiter = limiter(1)
    try await limiter.acquire()
    _ = limiter.tryAcquire()
    let samples = limiter.samples()
    #expect(samples.map(\.value) == [1, 1, 0])
    #expect(samples.allSatisfy { $0.labels.first?.value == "test" })
  }

  @Test func badLimitsTrapAndAreNamed() async {
    for (limit, field) in [
      (RateLimit(0, per: .seconds(1)), "permits"), (RateLimit(-1, per: .seconds(1)), "permits"),
      (RateLimit(1, per: .zero), "period"), (RateLimit(1, per: .seconds(1 << 50)), "period"),
      (RateLimit(1, per: .seconds(1), burst: 0), "burst"),
      (RateLimit(Int.max, per: .seconds(1)), "permits"),
      (RateLimit(1, per: .seconds(86_400), burst: 1_000), "burst"),
    ] {
      let error = #expect(throws: ConfigurationError.self) { try limit.validate() }
      #expect(error?.field == field)
    }
    await #expect(processExitsWith: .failure) { _ = RateLimiter() }
    await #expect(processExitsWith: .failure) {
      _ = RateLimiter(RateLimit(0, per: .seconds(1)))
    }
    await #expect(processExitsWith: .failure) {
      _ = RateLimiter(.perClient).tryAcquire(-1)
    }
  }

  /// Many tasks wait, and a third of them gives up: every permit is used once, by someone who got it.
  @Test(.timeLimit(.minutes(10))) func permitsAreNeitherLostNorMadeUp() async throws {
    let limiter = RateLimiter(
      RateLimit(100, per: .seconds(1), burst: 10), maximumWaiters: 1_000, clock: clock)
    let (granted, cancelled) = (Record(), Record())
    try await withThrowingTaskGroup { group in
      for id in 0..<400 {
        let waiting = Task {
          do {
            try await limiter.acquire()
            granted.append(id)
          } catch is CancellationError {
            cancelled.append(id)
          }
        }
        group.addTask {
          if id % 4 == 0 { waiting.cancel() }
          try await waiting.value
        }
      }
      var ticks = 0
      while granted.all.count + cancelled.all.count < 400 {
        // A permit comes back every ten milliseconds.
        clock.advance(by: .milliseconds(10))
        ticks += 1
        #expect(granted.all.count <= 10 + ticks)
        await Task.yield()
      }
      try await group.waitForAll()
    }
    #expect(granted.all.count >= 300)
    #expect(limiter.waiting == 0)
  }
}

@Suite(.offThePool) struct KeyedRateLimiterTests {
  let clock = ManualClock()

  @Test func keysAreIndependent() {
    let limiter = KeyedRateLimiter<String>(
      RateLimit(1, per: .seconds(1), burst: 2), capacity: 10, clock: clock)
    for key in ["a", "b"] {
      #expect(limiter.tryAcquire(for: key).remaining == 1)
      #expect(limiter.tryAcquire(for: key).isAllowed)
      #expect(limiter.tryAcquire(for: key).retryAfter == .seconds(1))
    }
    clock.advance(by: .seconds(1))
    #expect(limiter.tryAcquire(for: "a").isAllowed)
    #expect(limiter.tryAcquire(for: "a", 3).retryAfter == nil)
  }

  @Test("P29: a million keys leave as many as the capacity")
  func memoryIsBounded() {
    let limiter = KeyedRateLimiter<Int>(
      RateLimit(1, per: .seconds(1)), capacity: 10_000, clock: clock)
    for key in 0..<1_000_000 {
      if key % 5_000 == 0 { clock.advance(by: .seconds(1)) }
      if !limiter.tryAcquire(for: key).isAllowed { Issue.record("\(key)") }
    }
    #expect(limiter.count == 10_000)
    // Every key had its permit back before its slot was needed.
    #expect(limiter.evictions == 0)
  }

  @Test func whenTooManyKeysAreInUseTheNearestToBeingWholeGivesWay() {
    let limiter = KeyedRateLimiter<Int>(
      RateLimit(1, per: .seconds(10), burst: 10), capacity: 4, clock: clock)
    _ = limiter.tryAcquire(for: 0, 9)
    _ = limiter.tryAcquire(for: 1, 2)
    _ = limiter.tryAcquire(for: 2, 8)
    _ = limiter.tryAcquire(for: 3, 7)
    #expect(limiter.tryAcquire(for: 4).isAllowed)
    #expect(limiter.evictions == 1 && limiter.count == 4)
    #expect(limiter.tryAcquire(for: 0).remaining == 0)
    #expect(limiter.tryAcquire(for: 2).remaining == 1)
    #expect(limiter.tryAcquire(for: 3).remaining == 2)
  }

  @Test func keysHaveLinesOfTheirOwnThatKeepTheirSlot() async throws {
    let limiter = KeyedRateLimiter<Int>(
      RateLimit(1, per: .seconds(1)), capacity: 2, name: "keyed", clock: clock)
    try await limiter.acquire(for: 1)
    let waiting = Task { try await limiter.acquire(for: 1) }
    let alsoWaiting = Task { try await limiter.acquire(for: 1) }
    await clock.scheduled(atLeast: 1)
    while limiter.tryAcquire(for: 1).retryAfter != .seconds(3) { await Task.yield() }
    for key in 2..<50 { #expect(limiter.tryAcquire(for: key).isAllowed) }
    #expect(!limiter.tryAcquire(for: 1).isAllowed)
    await #expect(throws: RateLimitedError.self) {
      try await limiter.acquire(for: 1, timeout: .milliseconds(2_900))
    }
    alsoWaiting.cancel()
    _ = try? await alsoWaiting.value
    clock.advance(by: .seconds(1))
    try await waiting.value
    // The line is gone and its state is back in the table.
    #expect(limiter.tryAcquire(for: 1).retryAfter == .seconds(1))
    clock.advance(by: .seconds(1))
    #expect(limiter.tryAcquire(for: 1).isAllowed)
    let allowed = limiter.samples().first { $0.labels.contains { $0.value == "allowed" } }
    #expect(allowed?.value == 51)
  }
}
