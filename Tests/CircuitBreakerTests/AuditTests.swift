import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import CircuitBreaker

/// The four columns of the breaker audit, of which no implementation known to us has all.
@Suite(.offThePool) struct AuditTests {
  @Test("A result of an older era never moves a newer state")
  func olderEra() throws {
    let lab = Lab(.init(consecutiveFailures: 2, halfOpenPermits: 2, halfOpenSuccesses: 2))
    let old = try (0..<6).map { _ in try lab.held() }
    try lab.halfOpen()
    let probe = try lab.held()
    #expect(lab.breaker.state == .halfOpen)

    old[0].take().succeed()
    old[1].take().succeed()
    #expect(lab.breaker.state == .halfOpen, "two stale successes do not close it")
    old[2].take().fail(Down())
    #expect(lab.breaker.state == .halfOpen, "a stale failure does not open it")
    old[3].drop()
    let second = try lab.held()
    #expect(!lab.isAdmitting, "no stale result gives a slot away")

    probe.take().succeed()
    second.take().succeed()
    #expect(lab.breaker.state == .closed)
    old[4].take().fail(Down())
    old[5].take().settle(.throttled(after: .seconds(9)))
    #expect(lab.breaker.explain().consecutiveFailures == 0)
    #expect(lab.count("stale") == 6)
    #expect(lab.events.all.count == 3)
  }

  @Test(
    "A wall-clock jump of minus and plus one hour changes nothing",
    arguments: [-3_600_000_000_000, 3_600_000_000_000] as [Int64])
  func wallClockJump(jump: Int64) throws {
    func story(jumpingBy jump: Int64) throws -> [String] {
      let lab = Lab(
        .init(
          consecutiveFailures: nil, failureRate: 0.5, window: .time(.seconds(10)),
          minimumVolume: 4))
      func moment(_ wall: Int64) -> PersistedMoment {
        PersistedMoment(
          wall: wall, bootID: "same", sinceBoot: lab.clock.now.sinceOrigin.nanoseconds)
      }
      let start: Int64 = 1_700_000_000_000_000_000
      for _ in 0..<3 { try lab.breaker.admit().fail(Down()) }
      lab.clock.advance(by: .seconds(2))
      var snapshot = lab.breaker.snapshot(at: moment(start))
      lab.breaker.restore(snapshot, at: moment(start + jump))
      try lab.breaker.admit().fail(Down())
      var story = ["\(lab.breaker.explain())"]
      lab.clock.advance(by: .seconds(20))
      snapshot = lab.breaker.snapshot(at: moment(start))
      lab.clock.advance(by: .seconds(15))
      lab.breaker.restore(snapshot, at: moment(start + jump))
      story.append("\(lab.breaker.explain())")
      lab.clock.advance(by: .seconds(24))
      story.append("\(lab.breaker.explain())")
      lab.clock.advance(by: .seconds(1))
      try lab.breaker.admit().succeed()
      return story + lab.story
    }
    let expected = try story(jumpingBy: 0)
    #expect(expected.last == "halfOpen>closed probesSucceeded")
    #expect(try story(jumpingBy: jump) == expected)
  }

  @Test("Cancellation returns the probe slot and counts nothing")
  func cancellation() async throws {
    let lab = Lab()
    try lab.halfOpen()
    let before = lab.breaker.samples().filter { !$0.name.contains("rejections") }
    let started = AsyncStream.makeStream(of: Void.self)
    let probe = Task { [breaker = lab.breaker, clock = lab.clock] in
      try await breaker.run {
        started.continuation.yield()
        try await clock.wait(for: .seconds(3600))
      }
    }
    for await _ in started.stream { break }
    #expect(!lab.isAdmitting, "its slot is taken")
    probe.cancel()
    #expect(await failure { try await probe.value } is CancellationError)
    #expect(lab.breaker.state == .halfOpen)
    #expect(lab.count("cancelled") == 1)
    let after = lab.breaker.samples().filter { !$0.name.contains("rejections") }
    let changed = zip(before, after).filter { $0.value != $1.value }.map { $1.labels.last!.value }
    #expect(changed.sorted() == ["cancelled", "halfOpen"], "that, and the state it stands in")
    // The slot is free: the next caller is the probe, and closes it.
    try lab.breaker.admit().succeed()
    #expect(lab.breaker.state == .closed)
  }

  @Test("A hung probe loses its lease")
  func hungProbe() throws {
    let lab = Lab(.init(consecutiveFailures: 2, probeLease: .seconds(30)))
    try lab.halfOpen()
    let hung = try lab.held()
    lab.clock.advance(by: .milliseconds(29_999))
    #expect(!lab.isAdmitting)
    lab.clock.advance(by: .milliseconds(1))
    let next = try lab.held()
    hung.take().fail(Down())
    #expect(lab.breaker.state == .halfOpen, "what it says after its lease is ignored")
    #expect(!lab.isAdmitting, "and it gives no slot back a second time")
    next.take().succeed()
    #expect(lab.breaker.state == .closed)
    #expect(lab.count("stale") == 1)
  }

  @Test("A probe whose lease is over is ignored also when nobody came meanwhile")
  func leaseWithoutSuccessor() throws {
    let lab = Lab(.init(consecutiveFailures: 2, probeLease: .seconds(30)))
    try lab.halfOpen()
    let hung = try lab.held()
    lab.clock.advance(by: .seconds(31))
    hung.take().succeed()
    #expect(lab.breaker.state == .halfOpen)
    #expect(lab.count("stale") == 1)
  }

  @Test("A ticket is settled once, whatever becomes of it")
  func onceOnly() throws {
    let lab = Lab()
    try lab.halfOpen()
    for _ in 0..<3 {
      do {
        let ticket = try lab.breaker.admit()
        throw withExtendedLifetime(ticket.permit) { Down() }
      } catch is Down {}
    }
    #expect(lab.count("dropped") == 3)
    #expect(lab.breaker.explain().probesInFlight == 0)
    #expect(lab.breaker.state == .halfOpen)
  }
}
