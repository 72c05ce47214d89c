import ErrorContext
import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import RetryKit
import Testing

@Suite struct RetryTests {
  let steady = RetryPolicy(backoff: .exponential(jitter: .none))

  @Test("A first success runs the body once and tells nobody")
  func firstSuccess() async {
    let story = await story(steady) { _ in nil }
    #expect(story.attempts == 1)
    #expect(story.events.isEmpty)
    #expect(story.took == .zero)
  }

  @Test("The mission's defaults: three attempts in all, one second doubled")
  func defaults() async {
    #expect(RetryPolicy.default.maxAttempts == 3)
    #expect(RetryPolicy.default.backoff == .exponential(base: .seconds(1), factor: 2))
    let story = await story(steady) { Flaky(number: $0) }
    #expect(story.attempts == 3)
    #expect(story.delays == [.seconds(1), .seconds(2)])
    #expect(story.reason == .attemptsExhausted)
  }

  @Test("P17: the last real error is thrown as it is, not wrapped and not the first one")
  func lastErrorUnchanged() async {
    let story = await story(steady) { Flaky(number: $0) }
    #expect(story.error as? Flaky == Flaky(number: 3))
  }

  @Test("A body that recovers returns its result; events carry delay, n of max and the error")
  func recovery() async throws {
    let story = await story(steady) { $0 < 3 ? Flaky(number: $0) : nil }
    #expect(story.error == nil)
    #expect(story.events.map(\.kind) == [.retrying, .retrying, .recovered])
    #expect(story.events.map(\.attempt) == [1, 2, 3])
    #expect(story.events.allSatisfy { $0.maxAttempts == 3 })
    #expect(story.events[1].error as? Flaky == Flaky(number: 2))
    #expect(story.events[1].delay == .seconds(2))
    #expect(
      story.events[0].description
        == "attempt 1 of 3 failed (unknown), next in 1.0 seconds: Flaky(number: 1)")
  }

  @Test("A policy without a limit of attempts goes on until the body succeeds")
  func unlimited() async {
    let policy = RetryPolicy(maxAttempts: nil, backoff: .constant(.seconds(1), jitter: .none))
    let story = await story(policy) { $0 <= 200 ? Flaky() : nil }
    #expect(story.attempts == 201)
    #expect(story.took == .seconds(200))
  }

  @Test("An error that says it cannot be helped is final")
  func notRetryable() async {
    let story = await story(steady) { _ in Classified(retryability: .notRetryable) }
    #expect(story.attempts == 1)
    #expect(story.reason == .notRetryable)
  }

  @Test("P46: the same seed gives the same delays, another seed others")
  func seeded() async {
    func delays(_ seed: UInt64) async -> [Duration] {
      var policy = RetryPolicy(maxAttempts: 8)
      policy.randomness = .seeded(seed)
      return await story(policy) { _ in Flaky() }.delays
    }
    let once = await delays(1)
    #expect(once.count == 7)
    #expect(await delays(1) == once)
    #expect(await delays(2) != once)
  }

  @Test("P1: clients that share a policy do not come back together")
  func sharedPolicySpreads() async throws {
    var policy = RetryPolicy(maxAttempts: 12, backoff: .exponential(cap: .seconds(2)))
    policy.randomness = .seeded(1)
    var lastDelays: Set<Duration> = []
    for _ in 0..<50 { lastDelays.insert(await story(policy) { _ in Flaky() }.delays.last!) }
    #expect(lastDelays.count == 50, "seed 1")
  }

  @Test("P47: calls that share a policy count their attempts apart")
  func callsAreApart() async throws {
    let clock = ManualClock()
    var policy = RetryPolicy(maxAttempts: 4, backoff: .constant(.seconds(1), jitter: .decorrelated))
    policy.clock = clock
    try await whileTimeFlies(clock) { [policy] in
      try await withThrowingTaskGroup(of: [Int].self) { group in
        for _ in 0..<20 {
          group.addTask {
            let seen = Log<Int>()
            try await retry(policy) { attempt in
              seen.append(attempt)
              if attempt < 4 { throw Flaky() }
            }
            return seen.all
          }
        }
        for try await seen in group { #expect(seen == [1, 2, 3, 4]) }
      }
    }
  }

  @Test("P48: a result of nil is a result, not a failure")
  func nilIsAResult() async throws {
    let attempts = Log<Int>()
    let result: Int? = try await retry { attempt in
      attempts.append(attempt)
      return nil
    }
    #expect(result == nil)
    #expect(attempts.all == [1])
  }

  @Test("P53: an operation that must not be repeated runs once, and the event says why")
  func notIdempotent() async {
    let story = await story(steady, idempotent: false) { Flaky(number: $0) }
    #expect(story.attempts == 1)
    #expect(story.reason == .notIdempotent)
    #expect(story.error as? Flaky == Flaky(number: 1))
  }

  @Test(
    "P18: attempts go to the innermost error context, bounded, and the error is not wrapped by retry"
  )
  func attemptsInContext() async throws {
    let clock = ManualClock()
    var policy = RetryPolicy(maxAttempts: 40, backoff: .constant(.seconds(1), jitter: .none))
    policy.clock = clock
    let error = await failure { [policy] in
      try await whileTimeFlies(clock) {
        try await withErrorContext("outer") {
          try await withErrorContext("inner") {
            do {
              try await retry(policy) { throw Classified(number: $0) }
            } catch {
              #expect(error is Classified)
              throw error
            }
          }
        }
      }
    }
    let contextual = try #require(error as? ContextualError)
    #expect(contextual.underlying as? Classified == Classified(number: 40))
    #expect(contextual.attempts.map(\.number) == [1, 2, 3, 4, 5, 36, 37, 38, 39, 40])
    #expect(contextual.attempts.first?.delay == .seconds(1))
    #expect(contextual.attempts.last?.delay == nil)
    #expect(contextual.attempts.allSatisfy { $0.category == .network })
  }

  @Test("Metrics count retries, recoveries and stops by reason")
  func metrics() async throws {
    let metrics = RetryMetrics(name: "search")
    var policy = RetryPolicy(backoff: .none)
    policy.observer = metrics.observe
    try await retry(policy) { if $0 == 1 { throw Flaky() } }
    _ = await failure { [policy] in try await retry(policy) { _ in throw Flaky() } }
    let figures = metrics.samples().map { "\($0.name) \($0.labels.map(\.value)) \(Int($0.value))" }
    #expect(
      figures == [
        #"retry_retries_total ["search"] 3"#, #"retry_recoveries_total ["search"] 1"#,
        #"retry_stops_total ["search", "attemptsExhausted"] 1"#,
      ])
  }

  @Test("A contextual error is judged by what it wraps, also by the predicate")
  func looksThroughContext() async {
    let seen = Log<String>()
    var policy = steady
    policy.shouldRetry = { error in
      seen.append("\(type(of: error))")
      return nil
    }
    let story = await story(policy) { attempt in
      do {
        try withErrorContext("body") {
          throw Classified(retryability: attempt == 1 ? .retryable() : .notRetryable)
        }
        return nil
      } catch {
        return error
      }
    }
    #expect(story.attempts == 2)
    #expect(story.error is ContextualError)
    #expect(seen.all == ["Classified", "Classified"])
  }

  @Test("An event's line names no secret, and calls a cancellation no refused result")
  func eventLines() async {
    struct Leaky: Error, CustomStringConvertible {
      let description = "GET https://me:pw@host/?sig=1 failed, token=abc"
    }
    let leaky = await story(steady) { _ in Leaky() }
    #expect(
      leaky.events[0].description
        == "attempt 1 of 3 failed (unknown), next in 1.0 seconds: "
        + "GET https://<private>@host/?<private> failed, token=<private>")
    let cancelled = await story(steady) { _ in CancellationError() }
    #expect(
      cancelled.events[0].description
        == "attempt 1 of 3 failed, giving up (cancelled): CancellationError()")
  }
}

@Suite struct RetryResultTests {
  @Test("A refused result is tried again until one is accepted")
  func refusedResult() async throws {
    let clock = ManualClock()
    let events = Log<RetryEvent>()
    var policy = RetryPolicy(backoff: .exponential(jitter: .none))
    policy.clock = clock
    policy.observer = { events.append($0) }
    let result = try await whileTimeFlies(clock) { [policy] in
      try await retry(policy, while: { $0 < 3 }) { attempt in attempt }
    }
    #expect(result == 3)
    #expect(events.all.map(\.kind) == [.retrying, .retrying, .recovered])
    #expect(events.all[0].error == nil)
  }

  @Test("When the attempts are spent the last refused result is returned")
  func lastRefusedResult() async throws {
    let clock = ManualClock()
    var policy = RetryPolicy(maxAttempts: 2)
    policy.clock = clock
    let result = try await whileTimeFlies(clock) { [policy] in
      try await retry(policy, while: { (_: Int) in true }) { attempt in attempt }
    }
    #expect(result == 2)
  }

  @Test("Errors and refused results share one count; the error of the last attempt is thrown")
  func mixed() async throws {
    let clock = ManualClock()
    var policy = RetryPolicy(maxAttempts: 3)
    policy.clock = clock
    let error = await failure { [policy] in
      try await whileTimeFlies(clock) {
        try await retry(policy, while: { $0 == 2 }) { attempt in
          if attempt != 2 { throw Flaky(number: attempt) }
          return attempt
        }
      }
    }
    #expect(error as? Flaky == Flaky(number: 3))
  }
}
