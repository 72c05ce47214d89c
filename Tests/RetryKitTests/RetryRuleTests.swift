import ErrorContext
import ReliabilityCore
import ReliabilityTesting
import RetryKit
import Testing

@Suite struct RetryRuleTests {
  let ten = RetryPolicy(maxAttempts: 10, backoff: .constant(.seconds(1), jitter: .none))

  @Test("A category's own limit counts the failures of that category alone")
  func ownLimit() async {
    var policy = ten
    policy.rules[.unknown] = .upTo(attempts: 2)
    #expect(await story(policy) { _ in Flaky() }.attempts == 2)
    #expect(await story(policy) { _ in Classified() }.attempts == 10)
    let mixed = await story(policy) { attempt in
      if attempt.isMultiple(of: 3) { Flaky() } else { Classified() }
    }
    #expect(mixed.attempts == 6, "the second unknown error is the sixth attempt's")
    #expect(mixed.reason == .attemptsExhausted)
  }

  @Test("A category that is never retried is final at once")
  func never() async {
    var policy = ten
    policy.rules[.network] = .never
    let story = await story(policy) { _ in Classified() }
    #expect(story.attempts == 1)
    #expect(story.reason == .notRetryable)
  }

  @Test("A category's own backoff grows with the failures of that category")
  func ownBackoff() async {
    var policy = ten
    policy.maxAttempts = 6
    policy.rules[.overload] = .init(backoff: .exponential(base: .seconds(10), jitter: .none))
    let story = await story(policy) { attempt in
      Classified(category: attempt.isMultiple(of: 2) ? .overload : .network)
    }
    #expect(story.delays == [1, 10, 1, 20, 1].map { .seconds($0) })
  }

  @Test("The predicate has the last word in both directions, and may leave it to the rules")
  func predicate() async {
    var policy = ten
    policy.rules[.network] = .never
    policy.shouldRetry = { error in
      switch (error as? Classified)?.number {
      case 1: true
      case 2: false
      default: nil
      }
    }
    #expect(await story(policy) { _ in Classified(number: 1) }.attempts == 10)
    #expect(
      await story(policy) { _ in Classified(retryability: .notRetryable, number: 1) }.attempts == 10
    )
    let refused = await story(policy) { _ in Classified(category: .timeout, number: 2) }
    #expect(refused.attempts == 1)
    #expect(refused.reason == .predicate)
    #expect(await story(policy) { _ in Classified(number: 3) }.attempts == 1)
    #expect(await story(policy) { _ in Classified(category: .timeout, number: 3) }.attempts == 10)
  }

  @Test("A policy limited to error types treats all others as final")
  func limitedToTypes() async {
    let policy = ten.limited(to: Flaky.self, HTTPStatusError.self)
    #expect(await story(policy) { _ in Flaky() }.attempts == 10)
    #expect(await story(policy) { _ in HTTPStatusError(503) }.attempts == 10)
    #expect(await story(policy) { _ in HTTPStatusError(404) }.attempts == 1)
    #expect(await story(policy) { _ in Wrapping(causes: [Flaky()]) }.attempts == 10)
    let other = await story(policy) { _ in Classified() }
    #expect(other.attempts == 1)
    #expect(other.reason == .predicate)
  }

  @Test("A policy's own classifier is asked instead of the process's")
  func ownClassifier() async {
    var policy = ten
    policy.classifier = ErrorClassifier([
      .init(Flaky.self) { _ in Classification(.validation, .notRetryable) }
    ])
    #expect(await story(policy) { _ in Flaky() }.attempts == 1)
  }
}

@Suite struct RetryHintTests {
  func delays(
    after hint: Duration, jitter: Jitter = .none, longest: Duration = .seconds(300),
    seed: UInt64 = 1
  ) async -> Duration? {
    var policy = RetryPolicy(maxAttempts: 2, backoff: .constant(.seconds(10), jitter: jitter))
    policy.longestRequestedDelay = longest
    policy.randomness = .seeded(seed)
    return await story(policy) { _ in Classified(retryability: .retryable(after: hint)) }
      .delays.first
  }

  @Test("P16: a hint makes the wait longer, never shorter than the backoff")
  func onlyLonger() async {
    #expect(await delays(after: .seconds(42)) == .seconds(42))
    #expect(await delays(after: .seconds(3)) == .seconds(10))
    #expect(await delays(after: .zero) == .seconds(10))
    #expect(await delays(after: .seconds(-5)) == .seconds(10))
  }

  @Test("P16: a hint is bounded")
  func bounded() async {
    #expect(await delays(after: .seconds(86_400)) == .seconds(300))
    #expect(await delays(after: .seconds(Int64.max)) == .seconds(300))
    #expect(await delays(after: .seconds(86_400), longest: .seconds(20)) == .seconds(20))
    #expect(await delays(after: .seconds(86_400), longest: .zero) == .seconds(10))
  }

  @Test("P16, P1: a hint is spread upward only, also at its bound")
  func spreadUpward() async {
    for hint in [Duration.seconds(60), .seconds(86_400)] {
      var seen: Set<Duration> = []
      for seed in 0..<100 as Range<UInt64> {
        let delay = await delays(after: hint, jitter: .full, seed: seed)!
        let least = min(hint, .seconds(300))
        #expect(delay >= least && delay <= least + .seconds(5), "seed \(seed)")
        seen.insert(delay)
      }
      #expect(seen.count == 100)
    }
  }

  @Test("P16: Retry-After of a response counts, as seconds and as a date")
  func retryAfterHeader() async {
    func delay(_ header: String) async -> Duration? {
      let policy = RetryPolicy(maxAttempts: 2, backoff: .constant(.seconds(1), jitter: .none))
      return await story(policy) { _ in
        do {
          try HTTPStatusError.check(
            503, retryAfter: header, now: WallTime(secondsSince1970: 1_736_951_422))
          return nil
        } catch {
          return error
        }
      }.delays.first
    }
    #expect(await delay("17") == .seconds(17))
    #expect(await delay("Wed, 15 Jan 2025 14:30:52 GMT") == .seconds(30))
    #expect(await delay("Wed, 15 Jan 2020 14:30:52 GMT") == .seconds(1))
    #expect(await delay("nonsense") == .seconds(1))
  }
}

@Suite struct RetryValidationTests {
  func refusedField(_ change: (inout RetryPolicy) -> Void) -> String? {
    var policy = RetryPolicy.default
    change(&policy)
    do {
      try policy.validate()
      return nil
    } catch {
      return error.field
    }
  }

  @Test("P50: bad values from outside are refused by field")
  func refusals() {
    #expect(refusedField { $0.maxAttempts = 0 } == "maxAttempts")
    #expect(refusedField { $0.maxAttempts = .min } == "maxAttempts")
    #expect(refusedField { $0.totalTime = .zero } == "totalTime")
    #expect(refusedField { $0.longestRequestedDelay = .seconds(-1) } == "longestRequestedDelay")
    #expect(
      refusedField { $0.backoff.curve = .exponential(base: .seconds(1), factor: .nan) }
        == "backoff.factor")
    #expect(
      refusedField { $0.rules[.timeout] = .upTo(attempts: 0) } == "rules[timeout].maxAttempts")
    #expect(
      refusedField {
        var backoff = Backoff.default
        backoff.cap = .zero
        $0.rules[.timeout] = .init(backoff: backoff)
      } == "rules[timeout].backoff.cap")
    #expect(refusedField { _ in } == nil)
  }

  @Test("P50: bad values in code trap")
  func traps() async {
    await #expect(processExitsWith: .failure) { _ = RetryPolicy(maxAttempts: 0) }
    await #expect(processExitsWith: .failure) { _ = RetryPolicy(totalTime: .seconds(-1)) }
    await #expect(processExitsWith: .failure) { _ = RetryBudget(ratio: .nan) }
    await #expect(processExitsWith: .failure) { _ = RetryBudget(minimumPerSecond: -1) }
    await #expect(processExitsWith: .failure) { _ = RetryBudget(window: .zero) }
  }

  @Test("A policy that breaks its rules still ends: fewer than one attempt is one")
  func unvalidatedPolicyEnds() async {
    var policy = RetryPolicy.default
    policy.maxAttempts = -5
    #expect(await story(policy) { _ in Flaky() }.attempts == 1)
  }

  @Test("P2: a policy with extreme durations neither traps nor waits for ever")
  func extremes() async {
    var policy = RetryPolicy(
      maxAttempts: 70, totalTime: .seconds(Int64.max),
      backoff: .exponential(base: .nanoseconds(1), factor: 1e30, cap: .seconds(Int64.max)))
    policy.longestRequestedDelay = .seconds(Int64.max)
    let story = await story(policy) { _ in
      Classified(retryability: .retryable(after: .seconds(Int64.max)))
    }
    #expect(story.attempts <= 70)
    #expect(story.error is Classified)
  }
}
