import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import CircuitBreaker

/// What users of other breakers hit, by the numbers of our list of pain points.
@Suite(.offThePool) struct PainPointTests {
  @Test("P3: results of the era before do not decide half-open")
  func p3StaleResults() throws {
    let lab = Lab()
    let stale = try (0..<4).map { _ in try lab.held() }
    try lab.halfOpen()
    let probe = try lab.held()
    for held in stale { held.take().succeed() }
    #expect(lab.breaker.state == .halfOpen)
    #expect(!lab.isAdmitting)
    probe.take().fail(Down())
    #expect(lab.breaker.state == .open)
  }

  @Test(
    "P4: half-open is never stuck: a dropped, a hung, and an inner-rejected probe all give their slot back"
  )
  func p4StuckHalfOpen() async throws {
    let lab = Lab()
    try lab.halfOpen()
    try lab.held().drop()
    let hung = try lab.held()
    lab.clock.advance(by: .seconds(60))
    let inner = CircuitBreaker()
    inner.forceOpen()
    let error = await failure { try await lab.breaker.run { try await inner.run {} } }
    #expect((error as? CircuitOpenError)?.state == .forcedOpen)
    #expect(lab.breaker.state == .halfOpen, "turned away inside: not a failure of the other side")
    try lab.breaker.admit().succeed()
    #expect(lab.breaker.state == .closed)
    hung.drop()
  }

  @Test("P5: of a thousand callers in half-open as many are admitted as there are permits")
  func p5TooManyProbes() throws {
    let lab = Lab(.init(consecutiveFailures: 2, halfOpenPermits: 3, halfOpenSuccesses: 3))
    try lab.halfOpen()
    let probes = (0..<1000).compactMap { _ in try? lab.held() }
    #expect(probes.count == 3)
    for probe in probes { probe.take().succeed() }
    #expect(lab.breaker.state == .closed)
  }

  @Test("P6: no decision reads the wall clock")
  func p6WallClock() throws {
    // The only way in is the time source; an open breaker stays open exactly as long as that says.
    let lab = Lab()
    try lab.trip()
    lab.clock.advance(by: .nanoseconds(59_999_999_999))
    #expect(!lab.isAdmitting)
    lab.clock.advance(by: .nanoseconds(1))
    #expect(lab.isAdmitting)
  }

  @Test("P8: any error of a cancelled task is a cancellation, whatever a predicate thinks of it")
  func p8Cancellation() async throws {
    var configuration = CircuitBreaker.Configuration(consecutiveFailures: 1)
    configuration.judge = { _ in .failure }
    let breaker = CircuitBreaker(configuration: configuration)
    let task = Task {
      try await breaker.run {
        while !Task.isCancelled { await Task.yield() }
        throw Down()
      }
    }
    task.cancel()
    #expect(await failure { try await task.value } is Down)
    #expect(
      await failure { try await breaker.run { throw CancellationError() } } is CancellationError)
    #expect(breaker.state == .closed)
    #expect(breaker.count("cancelled") == 2)
  }

  @Test("P9: a permit is given back exactly once on every way out")
  func p9Permits() async throws {
    let lab = Lab(.init(consecutiveFailures: 2, halfOpenPermits: 2, halfOpenSuccesses: 9))
    try lab.halfOpen()
    _ = await failure { try await lab.breaker.run { throw CancellationError() } }
    try await lab.breaker.run {}
    _ = await failure { try await lab.breaker.run { throw Classified(category: .validation) } }
    try lab.breaker.admit().settle(.ignored)
    do { _ = try lab.breaker.admit() }
    #expect(lab.breaker.explain().probesInFlight == 0)
    #expect((0..<5).compactMap { _ in try? lab.held() }.count == 2)
  }

  @Test("P19: one opening has one error, thrown again and again")
  func p19CheapRejection() throws {
    let lab = Lab()
    try lab.trip()
    let first = try #require(lab.rejection)
    let second = try #require(lab.rejection)
    #expect(first.opening === second.opening)
    lab.breaker.open(for: .seconds(5))
    #expect(lab.rejection?.opening !== first.opening)
  }

  @Test("P20: explain() says why it is not open, and what is missing")
  func p20WhyNotOpen() throws {
    let lab = Lab(.init(consecutiveFailures: nil, failureRate: 0.5, minimumVolume: 20))
    for _ in 0..<12 { try lab.breaker.admit().fail(Down()) }
    let explanation = lab.breaker.explain()
    #expect(explanation.failures == 12)
    #expect(
      "\(explanation)"
        == "closed, 12 of 12 calls failed; opens when 50 % of at least 20 calls failed; "
        + "8 more calls are needed before that means anything")
    lab.breaker.observeOnly()
    for _ in 0..<20 { try lab.breaker.admit().fail(Down()) }
    #expect(lab.breaker.explain().reachedThreshold == .failureRate)
    #expect(lab.breaker.state == .metricsOnly)
    lab.breaker.forceOpen()
    #expect(
      "\(lab.breaker)"
        == "lab: forcedOpen (manual), 20 of 20 calls failed; a person said so; reset() puts it to work"
    )
  }

  @Test("P21: calls that hang are counted as slow while they hang")
  func p21HungCalls() throws {
    let lab = Lab(
      .init(
        consecutiveFailures: nil, slowCalls: .init(longerThan: .seconds(5), rate: 0.5),
        minimumVolume: 4))
    try lab.breaker.admit().succeed()
    let hanging = try (0..<3).map { _ in try lab.held() }
    lab.clock.advance(by: .seconds(4))
    #expect(lab.breaker.state == .closed)
    lab.clock.advance(by: .seconds(1))
    #expect(lab.breaker.state == .open, "no call has ended, none has been made")
    #expect(lab.rejection?.cause == .slowCallRate)
    for call in hanging { call.take().succeed() }
    #expect(lab.breaker.state == .open)
    // In half-open one probe that is slow already is enough.
    lab.clock.advance(by: .seconds(60))
    let probe = try lab.held()
    lab.clock.advance(by: .seconds(5))
    #expect(lab.rejection?.cause == .probeSlow)
    probe.drop()
  }

  @Test("P22: a breaker says what it is and what it does")
  func p22Description() throws {
    let lab = Lab()
    #expect("\(lab.breaker)" == "lab: closed; opens at 2 failures in a row; 0 so far")
    try lab.trip()
    #expect(
      "\(lab.breaker)"
        == "lab: open (consecutiveFailures); the first call after 60.0 seconds is a probe")
    #expect("\(lab.events.all[0])" == "lab: closed -> open for 60.0 seconds (consecutiveFailures)")
  }

  @Test(
    "P23: one breaker serves results of any type, also one that can't be copied; P45: types are kept"
  )
  func p23ResultTypes() async throws {
    struct Unique: ~Copyable { let value: Int }
    let breaker = CircuitBreaker()
    let number: Int = try await breaker.run { 1 }
    let text: String = try await breaker.run { "a" }
    let unique = try await breaker.run { Unique(value: 7) }
    let judged = try await breaker.run(judging: { $0.value == 8 ? .failure : .success }) {
      Unique(value: 8)
    }
    let values = (unique.value, judged.value)
    #expect((number, text) == (1, "a"))
    #expect(values == (7, 8))
    #expect(breaker.explain().consecutiveFailures == 1)
  }

  @Test("P24: an observer may use the breaker; P25: each transition is told once, in order")
  func p24And25Observer() throws {
    let told = Log<String>()
    let depth = Lock(0)
    let link = Lock<CircuitBreaker?>(nil)
    var configuration = CircuitBreaker.Configuration(consecutiveFailures: 1)
    configuration.observer = { event in
      let isNested = depth.withLock { depth in
        depth += 1
        return depth > 1
      }
      #expect(!isNested, "no event within an event")
      told.append("\(event.era) \(event.from)>\(event.to)")
      let breaker = link.withLock { $0 }!
      _ = breaker.explain()
      _ = breaker.samples()
      if event.to == .open { breaker.forceOpen() }
      if event.to == .forcedOpen { breaker.reset() }
      depth.withLock { $0 -= 1 }
    }
    let breaker = CircuitBreaker(configuration: configuration)
    link.withLock { $0 = breaker }
    try breaker.admit().fail(Down())
    #expect(told.all == ["2 closed>open", "3 open>forcedOpen", "4 forcedOpen>closed"])
    link.withLock { $0 = nil }
  }

  @Test(
    "P26: what a person set stays, whatever calls do and however much time passes",
    arguments: [CircuitBreaker.State.forcedOpen, .disabled, .metricsOnly])
  func p26ManualStates(state: CircuitBreaker.State) throws {
    let lab = Lab(.init(consecutiveFailures: 1))
    try lab.trip()
    let force: [CircuitBreaker.State: (CircuitBreaker) -> () -> Void] = [
      .forcedOpen: CircuitBreaker.forceOpen, .disabled: CircuitBreaker.disable,
      .metricsOnly: CircuitBreaker.observeOnly,
    ]
    force[state]!(lab.breaker)()
    force[state]!(lab.breaker)()
    #expect(lab.story.count == 2, "the second time nothing changes")
    for _ in 0..<100 {
      if let held = try? lab.held() { held.take().fail(Down()) }
      lab.clock.advance(by: .seconds(3600))
      #expect(lab.breaker.state == state)
    }
    #expect(lab.isAdmitting == (state != .forcedOpen))
    lab.breaker.reset()
    #expect(lab.breaker.state == .closed)
    #expect(lab.breaker.explain().consecutiveFailures == 0)
  }

  @Test("P28: windows of 1, 2, 63, 64 and 65 calls hold that many", arguments: [1, 2, 63, 64, 65])
  func p28WindowSizes(size: Int) {
    var window = OutcomeWindow(.count(size))
    var all: [Bool] = []
    var generator = SeededGenerator(seed: UInt64(size))
    for _ in 0..<500 {
      let failed = Bool.random(using: &generator)
      all.append(failed)
      window.record(failed: failed, slow: !failed, at: 0)
      let last = all.suffix(size)
      #expect(window.tally.calls == last.count)
      #expect(window.tally.failures == last.count { $0 })
      #expect(window.tally.slowCalls == last.count { !$0 })
      #expect(window.history.count == last.count)
    }
  }

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
