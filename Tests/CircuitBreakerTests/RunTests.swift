import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import CircuitBreaker

/// Not `Sendable`: only compiles where `run` neither sends the body nor its result.
private final class Scratch {
  var count = 0
}

private actor Owner {
  let scratch = Scratch()

  func work(_ breaker: CircuitBreaker) async throws -> Int {
    let result = try await breaker.run {
      self.assertIsolated()
      scratch.count += 1
      return scratch
    }
    return result.count
  }
}

@Suite(.offThePool) struct RunTests {
  @Test(
    "An open breaker does not run the body; a closed one runs it once and throws its error unchanged"
  )
  func body() async throws {
    let lab = Lab(.init(consecutiveFailures: 1))
    var runs = 0
    let error = await failure {
      try await lab.breaker.run {
        runs += 1
        throw Down(number: 4)
      }
    }
    #expect(error as? Down == Down(number: 4))
    #expect(await failure { try await lab.breaker.run { runs += 1 } } is CircuitOpenError)
    #expect(runs == 1)
    lab.clock.advance(by: .seconds(60))
    try await lab.breaker.run { runs += 1 }
    #expect(runs == 2)
    #expect(
      lab.story == [
        "closed>open consecutiveFailures", "open>halfOpen openTimeOver",
        "halfOpen>closed probesSucceeded",
      ])
  }

  @MainActor
  @Test("Works on the main actor with captures that are not Sendable, and stays there")
  func mainActor() async throws {
    let scratch = Scratch()
    let result = try await CircuitBreaker().run {
      MainActor.assertIsolated()
      scratch.count += 1
      return scratch
    }
    #expect(result === scratch)
  }

  @Test("Works on an actor with its state captured")
  func onActor() async throws {
    #expect(try await Owner().work(CircuitBreaker()) == 1)
  }

  @TaskLocal static var marker = 0

  @Test("Task-local values reach the body")
  func taskLocals() async throws {
    try await Self.$marker.withValue(7) {
      try await CircuitBreaker().run { #expect(Self.marker == 7) }
    }
  }

  @Test("A slow success counts as slow, a fast one does not")
  func slowCalls() throws {
    let lab = Lab(
      .init(
        consecutiveFailures: nil, slowCalls: .init(longerThan: .seconds(1), rate: 0.5),
        window: .count(4), minimumVolume: 2))
    try lab.breaker.admit().succeed()
    let slow = try lab.held()
    lab.clock.advance(by: .milliseconds(999))
    #expect(lab.breaker.state == .closed)
    lab.clock.advance(by: .milliseconds(1))
    slow.take().succeed()
    #expect(lab.breaker.state == .open)
    #expect(
      lab.breaker.samples().first { $0.name == "breaker_slow_calls_total" }?.value == 1)
  }

  @Test("Opening by hand, for a time and until further notice")
  func manual() throws {
    let lab = Lab()
    lab.breaker.open(for: .seconds(5))
    #expect(lab.breaker.remainingOpenTime == .seconds(5))
    lab.breaker.open()
    #expect(lab.breaker.remainingOpenTime == .seconds(60))
    lab.breaker.forceOpen()
    #expect(lab.breaker.remainingOpenTime == nil)
    lab.clock.advance(by: .seconds(100_000))
    #expect(!lab.isAdmitting)
    let era = lab.breaker.era
    lab.breaker.reset()
    lab.breaker.reset()
    #expect(lab.breaker.era == era + 2)
    #expect(lab.isAdmitting)
  }

  @Test("Calls in flight are found again in whatever order they end")
  func callsInFlight() {
    var generator = SeededGenerator(seed: 3)
    var calls = CallsInFlight()
    var reference: [(id: CallsInFlight.ID, started: Int64)] = []
    var ended: [CallsInFlight.ID] = []
    for now in Int64(0)..<4000 {
      switch Int.random(in: 0..<10, using: &generator) {
      case 0..<5: reference.append((calls.begin(at: now), now))
      case 5..<8 where !reference.isEmpty:
        let index = Int.random(in: reference.indices, using: &generator)
        let (id, started) = reference.remove(at: index)
        #expect(calls.end(id) == started)
        ended.append(id)
      case 8:
        calls.forget(startedBy: now - 60)
        reference.removeAll { $0.started <= now - 60 }
      default:
        if let id = ended.randomElement(using: &generator) { #expect(calls.end(id) == nil) }
      }
      calls.markOverdue(startedBy: now - 20)
      #expect(calls.overdueCount == reference.count { $0.started <= now - 20 })
      #expect(calls.count == reference.count)
      if now % 50 == 0 { #expect(calls.starts == reference.map(\.started)) }
    }
  }
}

@Suite(.realTime, .serialized, .timeLimit(.minutes(10))) struct RealTimeBreakerTests {
  @Test(
    "P27: under contention every call is counted once, and every transition told once and in order")
  func contention() async throws {
    let eras = Log<UInt64>()
    var configuration = CircuitBreaker.Configuration(
      consecutiveFailures: 3, failureRate: 0.6, window: .count(20), minimumVolume: 10,
      openTime: .constant(.microseconds(20), jitter: .none), halfOpenPermits: 2)
    configuration.observer = { eras.append($0.era) }
    let breaker = CircuitBreaker(configuration: configuration)
    let admitted = await withTaskGroup(of: Int.self) { group in
      for task in 0..<4 {
        group.addTask {
          var generator = SeededGenerator(seed: UInt64(task))
          var admitted = 0
          for _ in 0..<20_000 {
            do {
              try await breaker.run {
                admitted += 1
                if Int.random(in: 0..<3, using: &generator) == 0 { throw Down() }
              }
            } catch {}
          }
          return admitted
        }
      }
      return await group.reduce(0, +)
    }
    #expect(admitted == breaker.ended)
    #expect(eras.all == eras.all.sorted())
    #expect(Set(eras.all).count == eras.all.count)
    #expect(eras.all.count == Int(breaker.era) - 1)
    #expect(eras.all.count > 2)
  }
}
