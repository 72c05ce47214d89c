import ReliabilityCore
import ReliabilityMetrics
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import RateLimiting

// Observers, errors, figures, and many at once.

extension ConcurrencyLimiterTests {
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
    // The alarm of a probe goes with the last one who waits through it.
    #expect(clock.scheduledCount == 0)
  }
}
