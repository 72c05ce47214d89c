import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import CircuitBreaker

/// What hurts in operation: memory, windows, figures, chance, open times, rejections, restarts.
extension PainPointTests {
  @Test("P29: a breaker that nobody holds is gone, its observer with it")
  func p29Memory() throws {
    weak var gone: CircuitBreaker?
    weak var goneToo: Held?
    do {
      let captured = Held(try CircuitBreaker().admit())
      let kept = UncheckedBox(captured)
      goneToo = captured
      var configuration = CircuitBreaker.Configuration(consecutiveFailures: 1)
      configuration.observer = { _ in _ = kept }
      let breaker = CircuitBreaker(configuration: configuration)
      gone = breaker
      try breaker.admit().fail(Down())
      #expect((try? breaker.admit()) == nil ? true : false)
    }
    #expect(gone == nil)
    #expect(goneToo == nil)
  }

  @Test(
    "P30: a window by time slides: a failure is forgotten after its length, not at a round time")
  func p30SlidingWindow() throws {
    let lab = Lab(
      .init(
        consecutiveFailures: nil, failureRate: 0.5, window: .time(.seconds(10), buckets: 10),
        minimumVolume: 4))
    // Two failures late in one period and two early in the next are four within a second.
    lab.clock.advance(by: .milliseconds(9_500))
    for _ in 0..<2 { try lab.breaker.admit().fail(Down()) }
    lab.clock.advance(by: .seconds(1))
    try lab.breaker.admit().fail(Down())
    #expect(lab.breaker.explain().failures == 3)
    lab.clock.advance(by: .milliseconds(7_900))
    #expect(lab.breaker.explain().failures == 3)
    lab.clock.advance(by: .milliseconds(1_100))
    #expect(lab.breaker.explain().failures == 1)
    lab.clock.advance(by: .seconds(1))
    #expect(lab.breaker.explain().failures == 0)
  }

  @Test(
    "P31: counters are apart from the window and never fall; P32: a reader sees what time has done")
  func p31And32Metrics() throws {
    let lab = Lab()
    func counters() -> [Double] {
      lab.breaker.samples().filter { $0.kind == .counter }.map(\.value)
    }
    var last = counters()
    for _ in 0..<5 {
      try lab.halfOpen()
      try lab.breaker.admit().succeed()
      lab.breaker.reset()
      let now = counters()
      #expect(zip(last, now).allSatisfy { $0 <= $1 })
      last = now
    }
    #expect(lab.count("failure") == 10)
    #expect(lab.count("success") == 5)

    try lab.trip()
    #expect(lab.breaker.state == .open)
    #expect(lab.breaker.state(at: lab.clock.now.advanced(by: .seconds(59))) == .open)
    #expect(lab.breaker.state(at: lab.clock.now.advanced(by: .seconds(60))) == .halfOpen)
    lab.clock.advance(by: .seconds(60))
    #expect(lab.breaker.state == .halfOpen, "nobody has called")
    #expect(lab.breaker.samples().contains { $0.value == 1 && $0.labels.last?.value == "halfOpen" })
  }

  @Test("P46: chance is an input: a seed makes open times reproducible, and they differ")
  func p46Seed() throws {
    func openTimes(seed: UInt64) throws -> [Duration] {
      var configuration = CircuitBreaker.Configuration.recommended
      configuration.consecutiveFailures = 1
      configuration.randomness = .seeded(seed)
      let lab = Lab(configuration)
      for _ in 0..<8 {
        try lab.breaker.admit().fail(Down())
        lab.clock.advance(by: lab.breaker.remainingOpenTime!)
      }
      return lab.events.all.compactMap(\.openTime)
    }
    let times = try openTimes(seed: 1)
    #expect(try openTimes(seed: 1) == times)
    #expect(try openTimes(seed: 2) != times)
    #expect(Set(times).count == times.count, "also at the cap")
    #expect(times.allSatisfy { $0 <= .seconds(300) && $0 >= .seconds(12) })
  }

  @Test(
    "P51: the open time grows with every probe that fails, up to the cap, and starts anew after closing"
  )
  func p51GrowingOpenTime() throws {
    let lab = Lab(
      .init(
        consecutiveFailures: 1,
        openTime: .exponential(base: .seconds(10), cap: .seconds(60), jitter: .none)))
    for _ in 0..<5 {
      try lab.breaker.admit().fail(Down())
      lab.clock.advance(by: lab.breaker.remainingOpenTime!)
    }
    try lab.breaker.admit().succeed()
    try lab.trip()
    #expect(
      lab.events.all.compactMap(\.openTime)
        == [10, 20, 40, 60, 60, 10].map { Duration.seconds($0) })
  }

  @Test("P52: a rejection says who, until when and why")
  func p52Identity() async throws {
    let lab = Lab()
    for number in 1...2 { try lab.breaker.admit().fail(Down(number: number)) }
    lab.clock.advance(by: .seconds(18))
    let error = try #require(await failure { try await lab.breaker.run {} } as? CircuitOpenError)
    #expect(error.name == "lab")
    #expect(error.state == .open)
    #expect(error.cause == .consecutiveFailures)
    #expect(error.lastFailure as? Down == Down(number: 2))
    #expect(error.remainingOpenTime == .seconds(42))
    #expect(error.retryability == .retryable(after: .seconds(42)))
    #expect(error.category == .dependency)
    #expect(
      "\(error)" == "circuit breaker lab is open for another 42.0 seconds (consecutiveFailures)")
    lab.clock.advance(by: .seconds(50))
    #expect(error.remainingOpenTime == .zero)
    let probe = try lab.held()
    #expect(lab.rejection?.state == .halfOpen)
    #expect(lab.rejection?.retryability == .retryable())
    probe.drop()
  }

  @Test("P54: a breaker has no task and no timer; P36: it never waits")
  func p54NoTimer() throws {
    let lab = Lab(.recommended)
    try lab.trip()
    #expect(lab.clock.scheduledCount == 0)
    lab.clock.advance(by: .seconds(1000))
    _ = try lab.held()
    #expect(lab.clock.scheduledCount == 0)
  }

  @Test("P55: an open breaker is still open after a restart, for what was left")
  func p55Restart() throws {
    let lab = Lab()
    try lab.trip()
    lab.clock.advance(by: .seconds(20))
    let before = PersistedMoment(wall: 0, bootID: "a", sinceBoot: 0)
    let snapshot = lab.breaker.snapshot(at: before)
    let later = Lab()
    let after = PersistedMoment(wall: 7, bootID: "a", sinceBoot: 15_000_000_000)
    later.breaker.restore(snapshot, at: after)
    #expect(later.breaker.remainingOpenTime == .seconds(25))
    #expect(later.rejection?.remainingOpenTime == .seconds(25))
    #expect(later.story == ["closed>open restored"])
  }

  @Test(
    "P56: a probe that is throttled is not down: open as long as asked, and no longer next time")
  func p56Throttled() async throws {
    let lab = Lab(
      .init(
        consecutiveFailures: 1,
        openTime: .exponential(base: .seconds(10), cap: .seconds(60), jitter: .none)))
    try lab.halfOpen()
    _ = await failure {
      try await lab.breaker.run { throw HTTPStatusError(429, retryAfter: .seconds(3)) }
    }
    #expect(lab.breaker.remainingOpenTime == .seconds(3))
    lab.clock.advance(by: .seconds(3))
    _ = await failure { try await lab.breaker.run { throw HTTPStatusError(429) } }
    #expect(lab.breaker.remainingOpenTime == .seconds(10), "no hint: the same as before")
    lab.clock.advance(by: .seconds(10))
    // An answer of "you may not" proves that somebody answers.
    _ = await failure { try await lab.breaker.run { throw HTTPStatusError(401) } }
    #expect(lab.breaker.state == .closed)
    #expect(lab.count("throttled") == 2)
  }

  @Test("What a server asks for is bounded, and spread upward where there is jitter")
  func serverHint() throws {
    let lab = Lab(.init(consecutiveFailures: 1))
    try lab.breaker.admit().settle(.throttled(after: .seconds(86_400)))
    #expect(lab.breaker.remainingOpenTime == .seconds(300))
    var configuration = CircuitBreaker.Configuration.recommended
    configuration.consecutiveFailures = 1
    let jittered = Lab(configuration)
    try jittered.breaker.admit().settle(.throttled(after: .seconds(100)))
    let time = try #require(jittered.breaker.remainingOpenTime)
    #expect(time >= .seconds(100) && time <= .seconds(105))
  }
}

/// Lets a closure that must be `Sendable` hold something that is used by one thread.
private struct UncheckedBox: @unchecked Sendable {
  let value: Held

  init(_ value: Held) { self.value = value }
}
