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
}
