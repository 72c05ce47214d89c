import CircuitBreaker
import ErrorContext
import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import RetryKit
import Testing
import TimeoutManager

/// The monitor is one for the process, so these take turns, and look at events of their own file only.
@Suite(.serialized) struct CompositionTests {
  /// The kinds of the events of this file that a body raises, with their lines.
  func events(_ body: () async throws -> Void) async -> [CompositionEvent] {
    let log = Log<CompositionEvent>()
    CompositionMonitor.shared.observer = { event in
      if event.fileID == #fileID { log.append(event) }
    }
    try? await body()
    CompositionMonitor.shared.observer = nil
    return log.all
  }

  @Test("A limit longer than the whole of the outer one is told, with place and both limits")
  func longerLimit() async {
    let clock = ManualClock()
    var line: UInt = 0
    let events = await events {
      try await withTimeout(.seconds(10), clock: clock) {
        line = #line + 1
        try await withTimeout(.seconds(30), clock: clock) {}
      }
    }
    #expect(events.map(\.kind) == [.limitLongerThanOuter])
    #expect(events.first?.line == line)
    #expect(events.first?.inner == .seconds(30))
    #expect(events.first?.outer == .seconds(10))
    #expect(
      events.first?.description.hasSuffix(
        "the limit of 30.0 seconds can never pass: the outer one is 10.0 seconds") == true)
  }

  @Test("The abandoning and the absolute form tell it too")
  func otherForms() async {
    let clock = ManualClock()
    let events = await events {
      try await withTimeout(.seconds(10), clock: clock) {
        try await withTimeout(abandoningAfter: .seconds(30), clock: clock) {}
        let later = Deadline(clock.now.advanced(by: .seconds(60)))
        try await withTimeout(until: later, clock: clock) {}
      }
    }
    #expect(events.map(\.kind) == [.limitLongerThanOuter, .limitLongerThanOuter])
  }

  @Test(
    "A limit that only exceeds what is left of the outer one is how last attempts are: no event")
  func lastAttempt() async {
    let clock = ManualClock()
    let events = await events {
      try await withTimeout(.seconds(30), clock: clock) {
        for _ in 1...3 {
          try await withTimeout(.seconds(10), clock: clock) { clock.advance(by: .seconds(9)) }
        }
        // 3 seconds are left. Inside a limit that is cut short, its own asked-for length counts.
        try await withTimeout(.seconds(20), clock: clock) {
          try await withTimeout(.seconds(10), clock: clock) {}
        }
      }
    }
    #expect(events.isEmpty)
  }

  @Test("P22: an open breaker's rejection retried at once is told, one retried in time is not")
  func rejectionRetried() async throws {
    let clock = ManualClock()
    var configuration = CircuitBreaker.Configuration.default
    configuration.clock = clock
    let breaker = CircuitBreaker(name: "down", configuration: configuration)
    breaker.forceOpen()
    var forcing = RetryPolicy(backoff: .none)
    forcing.clock = clock
    forcing.shouldRetry = { $0 is CircuitOpenError ? true : nil }
    var line: UInt = 0
    let harmful = await events { [forcing] in
      line = #line + 1
      try await retry(forcing) { try await breaker.run {} }
    }
    #expect(harmful.map(\.kind) == [.rejectionRetriedTooSoon], "twice, but one place")
    #expect(harmful.first?.line == line)

    var patient = RetryPolicy(maxAttempts: 2, backoff: .constant(.seconds(5), jitter: .none))
    patient.clock = clock
    let harmless = await events { [patient] in
      try await whileTimeFlies(clock) {
        try await retry(patient) { try await breaker.run {} }
      }
    }
    #expect(harmless.isEmpty)
  }

  @Test("A rejection retried before the time it named is told, with both times")
  func rejectionRetriedEarly() async {
    struct Busy: LocalRejection {
      var category: ErrorCategory { .overload }
      var retryability: Retryability { .retryable(after: .seconds(60)) }
    }
    let clock = ManualClock()
    var policy = RetryPolicy(maxAttempts: 2, backoff: .constant(.seconds(1), jitter: .none))
    policy.longestRequestedDelay = .seconds(2)
    policy.clock = clock
    let events = await events { [policy] in
      try await whileTimeFlies(clock) { try await retry(policy) { throw Busy() } }
    }
    #expect(events.map(\.kind) == [.rejectionRetriedTooSoon])
    #expect(events.first?.inner == .seconds(2))
    #expect(events.first?.outer == .seconds(60))
  }

  @Test("A hedge of a rejection is told where somebody forces it, and does not happen otherwise")
  func rejectionHedged() async {
    var policy = HedgePolicy(delay: .afterFailure)
    let normal = await events { [policy] in try await hedge(policy) { throw TurnedAway() } }
    #expect(normal.isEmpty)
    policy.shouldContinue = { $0 is TurnedAway ? true : nil }
    let forced = await events { [policy] in try await hedge(policy) { throw TurnedAway() } }
    #expect(forced.map(\.kind) == [.rejectionHedged])
  }

  @Test("A retry inside a repeated attempt is told where the inner one is")
  func nestedRetry() async {
    let policy = RetryPolicy(backoff: .none)
    var line: UInt = 0
    let attempts = Log<Int>()
    let nested = await events {
      try await retry(policy) {
        line = #line + 1
        try await retry(policy) {
          attempts.append(1)
          throw Flaky()
        }
      }
    }
    #expect(attempts.count == 9, "that is the trap")
    #expect(nested.map(\.kind) == [.retryInsideRetry])
    #expect(nested.first?.line == line)
    let hedged = await events {
      try await hedge(HedgePolicy(delay: .afterFailure)) {
        try await retry(policy) { throw Flaky() }
      }
    }
    #expect(hedged.map(\.kind) == [.retryInsideRetry])
  }

  @Test("Retries one after the other, and a failing one inside a first attempt, are no event")
  func innocentRetries() async {
    let policy = RetryPolicy(backoff: .none)
    let events = await events {
      try await retry(policy) { attempt in
        if attempt > 1 { return }
        try await retry(policy) { inner in if inner < 3 { throw Flaky() } }
        throw Flaky()
      }
      try? await retry(policy) { throw Flaky() }
      _ = try await retry(policy, while: { $0 < 3 }) { $0 }
    }
    #expect(events.isEmpty)
  }

  @Test("Each place is told once, every time counted; nobody observing costs and counts nothing")
  func oncePerPlace() async {
    func count() -> Double {
      CompositionMonitor.shared.samples()
        .first { $0.labels.first?.value == "limitLongerThanOuter" }?.value ?? 0
    }
    func harm() async throws {
      try await withTimeout(.seconds(10)) { try await withTimeout(.seconds(30)) {} }
    }
    let before = count()
    let events = await events { for _ in 1...50 { try await harm() } }
    #expect(events.count == 1)
    #expect(count() - before >= 50)
    let after = count()
    try? await harm()
    #expect(count() == after)
  }

  @Test("P24: an observer may ask the monitor, raise an event and take itself away")
  func reentrantObserver() async {
    let log = Log<CompositionEvent.Kind>()
    CompositionMonitor.shared.observer = { event in
      guard event.fileID == #fileID else { return }
      log.append(event.kind)
      _ = CompositionMonitor.shared.samples()
      CompositionMonitor.shared.observer = nil
    }
    try? await withTimeout(.seconds(10)) { try await withTimeout(.seconds(30)) {} }
    try? await withTimeout(.seconds(10)) { try await withTimeout(.seconds(31)) {} }
    #expect(log.count == 1)
    #expect(CompositionMonitor.shared.observer == nil)
  }
}
