import ReliabilityCore
import ReliabilityMetrics
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import RateLimiting

@Suite(.offThePool) struct ConcurrencyLimiterTests {
  let clock = ManualClock()

  func limiter(
    _ limit: Int, maximumWaiters: Int = 100,
    judge: (@Sendable (any Error) -> ConcurrencyLimiter.Outcome?)? = nil,
    observer: (@Sendable (ConcurrencyLimiter.Event) -> Void)? = nil
  ) -> ConcurrencyLimiter {
    ConcurrencyLimiter(
      .fixed(limit), name: "test", maximumWaiters: maximumWaiters, judge: judge, observer: observer,
      clock: clock)
  }

  func held(_ limiter: ConcurrencyLimiter) -> Held {
    guard let permit = limiter.tryAcquire() else { fatalError("no permit") }
    return Held(permit)
  }

  func isFree(_ limiter: ConcurrencyLimiter) -> Bool {
    if let permit = limiter.tryAcquire() {
      permit.settle(.ignored)
      return true
    }
    return false
  }

  @Test("P9: a permit is given back exactly once on every way out")
  func everyWayOut() async throws {
    let limiter = limiter(1)
    #expect(try await limiter.run { 7 } == 7)
    _ = await failure { try await limiter.run { throw Trouble(category: .timeout) } }
    _ = await failure { try await limiter.run { throw CancellationError() } }
    _ = await failure { try await limiter.run { throw Trouble(category: .validation) } }
    if let permit = limiter.tryAcquire() { permit.succeed() }
    if let permit = limiter.tryAcquire() { permit.settle(.dropped) }
    if let permit = limiter.tryAcquire() {
      permit.settle(throwing: Trouble(category: .overload))
    }
    do { _ = limiter.tryAcquire() }
    do { _ = try await limiter.acquire() }
    let statistics = limiter.statistics
    #expect(statistics.inFlight == 0 && statistics.admitted == 9)
    #expect((statistics.succeeded, statistics.dropped, statistics.ignored) == (2, 3, 4))
    let first = held(limiter)
    #expect(!isFree(limiter))
    first.take().succeed()
    #expect(isFree(limiter))
  }

  @Test(
    "P10: a permit is held until its call has really ended, though nobody waits for it")
  func heldToTheEnd() async throws {
    let limiter = limiter(1)
    let (begun, door) = (Door(), Door())
    let call = Task {
      try await limiter.run {
        begun.open()
        // Does not listen to its cancellation.
        await door.pass()
      }
    }
    await begun.pass()
    call.cancel()
    for _ in 0..<100 { await Task.yield() }
    #expect(limiter.inFlight == 1 && !isFree(limiter))
    door.open()
    _ = await failure { try await call.value }
    #expect(limiter.inFlight == 0)
  }

  @Test("P37: waiters are served in their order")
  func order() async throws {
    let limiter = limiter(1)
    let order = Shared([Int]())
    let first = held(limiter)
    try await withThrowingTaskGroup { group in
      for id in 0..<10 {
        group.addTask {
          try await limiter.run { order.withLock { $0.append(id) } }
        }
        while limiter.waiting <= id { await Task.yield() }
      }
      #expect(!isFree(limiter))
      first.take().succeed()
      try await group.waitForAll()
    }
    #expect(order.withLock { $0 } == Array(0..<10))
    #expect(limiter.statistics.longestLine == 10 && limiter.statistics.wait.count == 10)
  }

  @Test("A cancelled waiter leaves with nothing and moves the others up")
  func cancellation() async throws {
    let limiter = limiter(1)
    let first = held(limiter)
    let leaver = Task { try await limiter.run { Issue.record("was cancelled") } }
    while limiter.waiting < 1 { await Task.yield() }
    let other = Task { try await limiter.run { 2 } }
    while limiter.waiting < 2 { await Task.yield() }
    leaver.cancel()
    #expect(await failure { try await leaver.value } is CancellationError)
    #expect(limiter.waiting == 1)
    first.take().succeed()
    #expect(try await other.value == 2)
    let statistics = limiter.statistics
    #expect(statistics.cancelledWaits == 1 && statistics.ignored == 0)
    #expect(clock.scheduledCount == 0)
    let early = Task {
      while !Task.isCancelled { await Task.yield() }
      let all = self.held(limiter)
      defer { all.take().settle(.ignored) }
      return await failure { try await limiter.acquire().succeed() }
    }
    early.cancel()
    #expect(await early.value is CancellationError)
  }

  @Test(
    "P33: a full line and a deadline that has passed refuse at once; else the deadline does")
  func refusals() async throws {
    let told = Shared([String]())
    let limiter = limiter(
      1, maximumWaiters: 1, observer: { event in told.withLock { $0.append("\(event)") } })
    let first = held(limiter)
    let none = await failure { try await limiter.run(timeout: .zero) {} }
    #expect((none as? ConcurrencyLimitedError)?.code == .deadline)
    let negative = await failure { try await limiter.run(timeout: .seconds(-5)) {} }
    #expect((negative as? ConcurrencyLimitedError)?.code == .deadline)
    await Deadline.$scope.withValue(DeadlineScope(until: clock.now)) {
      let late = await failure { try await limiter.acquire(timeout: .seconds(9)).succeed() }
      #expect((late as? ConcurrencyLimitedError)?.code == .deadline)
    }
    let waiting = Task { try await limiter.acquire(timeout: .seconds(2)).succeed() }
    await clock.scheduled(atLeast: 1)
    let full = await failure { try await limiter.run {} } as? ConcurrencyLimitedError
    #expect(full?.code == .queueFull && full?.retryAfter == nil && full?.limit == 1)
    #expect(full?.category == .overload && full?.retryability == .retryable())
    clock.advance(by: .milliseconds(1_999))
    #expect(limiter.waiting == 1)
    clock.advance(by: .milliseconds(1))
    let timedOut = await failure { try await waiting.value } as? ConcurrencyLimitedError
    #expect(timedOut?.code == .timedOut)
    #expect("\(timedOut!)" == "concurrency limit test (1): timedOut")
    #expect(limiter.waiting == 0)
    let statistics = limiter.statistics
    #expect(statistics.refusedByDeadline == 3 && statistics.refusedByQueue == 1)
    #expect(statistics.timedOut == 1)
    #expect(told.withLock { $0.count } == 5)
    first.take().succeed()
    try await limiter.acquire(timeout: .seconds(Int64.max)).succeed()
    #expect(clock.scheduledCount == 0)
  }

  @Test(
    "The task's deadline ends a wait; the alarm of one that is served is taken back"
  )
  func taskDeadline() async throws {
    let limiter = limiter(1)
    let first = held(limiter)
    let end = DeadlineScope(until: clock.now.advanced(by: .seconds(3)))
    let waiting = Task {
      await Deadline.$scope.withValue(end) {
        await failure { try await limiter.run(timeout: .seconds(60)) {} }
      }
    }
    await clock.scheduled(atLeast: 1)
    let served = Task { try await limiter.run(timeout: .seconds(60)) {} }
    while limiter.waiting < 2 { await Task.yield() }
    clock.advance(by: .seconds(3))
    #expect((await waiting.value as? ConcurrencyLimitedError)?.code == .timedOut)
    first.take().succeed()
    try await served.value
    #expect(clock.scheduledCount == 0)
  }

  @Test("Resizing up serves the line at once; down waits for calls to end; both are told once")
  func resizing() async throws {
    let told = Shared([String]())
    let limiter = limiter(1, observer: { event in told.withLock { $0.append("\(event)") } })
    let first = held(limiter)
    let door = Door()
    let calls = (0..<3).map { _ in Task { try await limiter.run { await door.pass() } } }
    while limiter.waiting < 3 { await Task.yield() }
    limiter.resize(to: 3)
    while limiter.inFlight < 3 { await Task.yield() }
    #expect(limiter.waiting == 1)
    limiter.resize(to: 1)
    limiter.resize(to: 1)
    first.take().succeed()
    #expect(limiter.inFlight == 2 && limiter.waiting == 1 && !isFree(limiter))
    door.open()
    for call in calls { try await call.value }
    #expect(limiter.statistics.mostInFlight == 3)
    #expect(
      told.withLock { $0 } == ["test: limit 1 -> 3 (resized)", "test: limit 3 -> 1 (resized)"])
  }
}
