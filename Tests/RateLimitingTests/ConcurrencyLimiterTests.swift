import ReliabilityCore
import ReliabilityMetrics
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import RateLimiting

private struct Trouble: ClassifiedError {
  var category: ErrorCategory
  var retryability = Retryability.notRetryable
}

/// Holds a permit where only copyable things can be held.
private final class Held {
  private var permit: ConcurrencyLimiter.Permit?
  init(_ permit: consuming ConcurrencyLimiter.Permit) { self.permit = consume permit }
  func take() -> ConcurrencyLimiter.Permit { permit.take()! }
}

/// A door that tasks wait at until a test opens it.
private final class Door: Sendable {
  private let state = Lock((isOpen: false, waiting: [CheckedContinuation<Void, Never>]()))

  func pass() async {
    await withCheckedContinuation { continuation in
      let isOpen = state.withLock { state in
        if !state.isOpen { state.waiting.append(continuation) }
        return state.isOpen
      }
      if isOpen { continuation.resume() }
    }
  }

  func open() {
    let waiting = state.withLock { state in
      state.isOpen = true
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }
}

private func failure<R>(_ body: () async throws -> R) async -> (any Error)? {
  do {
    _ = try await body()
    return nil
  } catch {
    return error
  }
}

@Suite(.offThePool) struct ConcurrencyLimiterTests {
  let clock = ManualClock()

  private func limiter(
    _ limit: Int, maximumWaiters: Int = 100,
    judge: (@Sendable (any Error) -> ConcurrencyLimiter.Outcome?)? = nil,
    observer: (@Sendable (ConcurrencyLimiter.Event) -> Void)? = nil
  ) -> ConcurrencyLimiter {
    ConcurrencyLimiter(
      .fixed(limit), name: "test", maximumWaiters: maximumWaiters, judge: judge, observer: observer,
      clock: clock)
  }

  private func held(_ limiter: ConcurrencyLimiter) -> Held {
    guard let permit = limiter.tryAcquire() else { fatalError("no permit") }
    return Held(permit)
  }

  private func isFree(_ limiter: ConcurrencyLimiter) -> Bool {
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

  @Test("An observer may use the limiter, and is not told within being told")
  func reentrancy() {
    let told = Shared([Int]())
    let link = Shared(ConcurrencyLimiter?.none)
    let depth = Shared(0)
    let observer: @Sendable (ConcurrencyLimiter.Event) -> Void = { event in
      guard case .limitChanged(_, let to, _) = event.kind else { return }
      let isNested = depth.withLock { depth in
        depth += 1
        return depth > 1
      }
      #expect(!isNested)
      told.withLock { $0.append(to) }
      let limiter = link.withLock { $0 }!
      _ = limiter.samples()
      if to < 5 { limiter.resize(to: to + 1) }
      if let permit = limiter.tryAcquire() { permit.succeed() }
      depth.withLock { $0 -= 1 }
    }
    let limiter = limiter(1, observer: observer)
    link.withLock { $0 = limiter }
    limiter.resize(to: 2)
    #expect(told.withLock { $0 } == [2, 3, 4, 5])
    link.withLock { $0 = nil }
  }

  @Test("Errors say what they say: too much, or nothing; cancellation always nothing")
  func outcomes() async {
    typealias Outcome = ConcurrencyLimiter.Outcome
    #expect(Outcome(judging: Trouble(category: .timeout)) == .dropped)
    #expect(Outcome(judging: HTTPStatusError(429)) == .dropped)
    #expect(Outcome(judging: HTTPStatusError(503, retryAfter: .seconds(1))) == .dropped)
    #expect(Outcome(judging: HTTPStatusError(500)) == .ignored)
    #expect(Outcome(judging: HTTPStatusError(404)) == .ignored)
    #expect(Outcome(judging: CancellationError()) == .ignored)
    #expect(
      Outcome(judging: ConcurrencyLimitedError(limiter: "inner", code: .queueFull, limit: 1))
        == .ignored)
    let limiter = limiter(1, judge: { $0 is CancellationError ? .success : .dropped })
    _ = await failure { try await limiter.run { throw HTTPStatusError(404) } }
    _ = await failure { try await limiter.run { throw CancellationError() } }
    let task = Task {
      try await limiter.run {
        while !Task.isCancelled { await Task.yield() }
        throw Trouble(category: .timeout)
      }
    }
    task.cancel()
    _ = await failure { try await task.value }
    #expect(limiter.statistics.dropped == 1 && limiter.statistics.ignored == 2)
  }

  @Test("An adaptive limiter learns from calls, and its probe ends though nobody calls")
  func adaptive() async throws {
    let causes = Shared([Int]())
    var settings = AdaptiveLimit()
    settings.initial = 8
    settings.windowSamples = 2
    settings.probeInterval = .seconds(10)
    let limiter = ConcurrencyLimiter(
      .adaptive(settings), name: "adaptive",
      observer: { event in
        if case .limitChanged(_, let to, .adapted) = event.kind {
          causes.withLock { $0.append(to) }
        }
      }, clock: clock)
    // Windows of two quick calls among six slow ones, until a probe begins.
    while limiter.limit >= 8 {
      let calls = (0..<limiter.limit).map { _ in held(limiter) }
      clock.advance(by: .seconds(1))
      for call in calls { call.take().succeed() }
    }
    let quarter = limiter.limit
    #expect(quarter >= 2 && quarter < 8)
    let hung = (0..<quarter).map { _ in held(limiter) }
    let waiting = Task { try await limiter.run { 5 } }
    await clock.scheduled(atLeast: 1)
    #expect(limiter.waiting == 1)
    await clock.advanceToNext()
    #expect(try await waiting.value == 5)
    #expect(limiter.limit >= 8)
    for call in hung { call.take().settle(.ignored) }
    #expect(limiter.inFlight == 0)
    #expect(causes.withLock { $0.contains(quarter) })
    limiter.resize(to: 100_000)
    #expect(limiter.limit == 200)
  }

  @Test(
    "Works on the main actor with captures that are not Sendable, for any result")
  @MainActor func isolation() async throws {
    struct Unique: ~Copyable { let value: Int }
    final class NotSendable { var value = 0 }
    let object = NotSendable()
    let limiter = limiter(1)
    let unique = try await limiter.run {
      MainActor.assertIsolated()
      object.value += 1
      return Unique(value: object.value)
    }
    let value = unique.value
    #expect(value == 1)
  }

  @Test("A limiter that nobody holds is gone when its last permit is")
  func memory() async throws {
    weak var gone: ConcurrencyLimiter?
    var last: Held?
    do {
      let limiter = limiter(2)
      gone = limiter
      last = held(limiter)
      try await limiter.run(timeout: .seconds(5)) {}
    }
    #expect(gone != nil)
    last = nil
    #expect(gone == nil)
    _ = last
  }

  @Test("Figures: admitted calls are those that ended and those in flight")
  func figures() async throws {
    let limiter = limiter(2)
    try await limiter.run {}
    let open = held(limiter)
    let samples = limiter.samples()
    func value(_ name: String, _ label: String? = nil) -> Double? {
      samples.first {
        $0.name == name && (label == nil || $0.labels.contains { $0.value == label })
      }?.value
    }
    #expect(value("concurrency_limit") == 2 && value("concurrency_in_flight") == 1)
    #expect(value("concurrency_decisions_total", "admitted") == 2)
    #expect(value("concurrency_calls_total", "success") == 1)
    #expect(samples.allSatisfy { $0.labels.first?.value == "test" })
    open.take().succeed()
  }

  @Test func badConfigurationIsRefusedWithFieldAndRule() async {
    func field(_ change: (inout AdaptiveLimit) -> Void) -> String? {
      var settings = AdaptiveLimit()
      change(&settings)
      do throws(ConfigurationError) {
        try ConcurrencyLimit.adaptive(settings).validate()
        return nil
      } catch { return error.field }
    }
    #expect(field { _ in } == nil)
    #expect(field { $0.minimum = 0 } == "minimum")
    #expect(field { $0.initial = 201 } == "initial")
    #expect(field { $0.maximum = 2_000_000 } == "maximum")
    #expect(field { $0.smoothing = .nan } == "smoothing")
    #expect(field { $0.smoothing = 0 } == "smoothing")
    #expect(field { $0.tolerance = 0.9 } == "tolerance")
    #expect(field { $0.longWindow = 0 } == "longWindow")
    #expect(field { $0.headroom = -.infinity } == "headroom")
    #expect(field { $0.dropFactor = 1.1 } == "dropFactor")
    #expect(field { $0.window = .zero } == "window")
    #expect(field { $0.windowSamples = 0 } == "windowSamples")
    #expect(field { $0.probeInterval = .seconds(9) } == "probeInterval")
    #expect(throws: ConfigurationError.self) { try ConcurrencyLimit.fixed(0).validate() }
    await #expect(processExitsWith: .failure) { _ = ConcurrencyLimiter(.fixed(0)) }
    await #expect(processExitsWith: .failure) {
      _ = ConcurrencyLimiter(.fixed(1), maximumWaiters: -1)
    }
    await #expect(processExitsWith: .failure) { ConcurrencyLimiter(.fixed(1)).resize(to: 0) }
  }

  /// Tasks that run, give up, run out of time and drop their permits, while the limit changes.
  @Test(.timeLimit(.minutes(10)), arguments: [false, true])
  func permitsAreNeitherLostNorMadeUpInAStorm(isAdaptive: Bool) async throws {
    var settings = AdaptiveLimit()
    settings.initial = 3
    settings.maximum = 7
    settings.window = .milliseconds(1)
    settings.windowSamples = 1
    settings.probeInterval = .milliseconds(10)
    let limiter = ConcurrencyLimiter(
      isAdaptive ? .adaptive(settings) : .fixed(3), maximumWaiters: 50, clock: clock)
    let inside = Shared((now: 0, most: 0))
    await withTaskGroup { group in
      for id in 0..<600 {
        let task = Task {
          try await limiter.run(timeout: id % 3 == 0 ? .milliseconds(id % 7) : nil) {
            inside.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
            for _ in 0..<id % 5 { await Task.yield() }
            inside.withLock { $0.now -= 1 }
            if id % 6 == 0 { throw Trouble(category: .timeout) }
          }
        }
        group.addTask {
          if id % 4 == 0 { task.cancel() }
          _ = try? await task.value
        }
        if id % 10 == 0 { clock.advance(by: .milliseconds(1)) }
        if id % 50 == 0 { limiter.resize(to: 1 + id / 50 % 7) }
        if id % 8 == 0 { await Task.yield() }
      }
      // Whoever still waits for a time gets it.
      while limiter.waiting > 0 || limiter.inFlight > 0 {
        clock.advance(by: .milliseconds(1))
        await Task.yield()
      }
      await group.waitForAll()
    }
    let statistics = limiter.statistics
    #expect(statistics.inFlight == 0 && statistics.waiting == 0)
    #expect(
      statistics.admitted == statistics.succeeded + statistics.dropped + statistics.ignored)
    #expect(inside.withLock { $0.most } <= 7)
    // One alarm for each probe that somebody waited through, and none sets another.
    #expect(clock.scheduledCount <= 3)
    clock.advance(by: .seconds(3600))
    #expect(clock.scheduledCount == 0)
  }
}
