import ErrorContext
import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import RetryKit
import Testing
import TimeoutManager

@Suite struct HedgeTests {
  @Test("A first attempt that is fast enough is the only one, and no alarm is left")
  func firstWins() async throws {
    let stage = Stage()
    let result = try await hedge(stage.policy()) { attempt in attempt * 10 }
    #expect(result == 10)
    #expect(stage.kinds == ["1 started(first)", "1 won"])
    #expect(stage.clock.scheduledCount == 0)
    #expect(try await hedge { "default" } == "default")
  }

  @Test("A slow attempt gets a second one beside it after the delay; the first success wins")
  func hedgeWins() async throws {
    let stage = Stage()
    async let result = hedge(stage.policy()) { try await stage.attempt($0) }
    await stage.gate(1).arrival()
    await stage.clock.advanceToNext()
    await stage.gate(2).arrival()
    #expect(stage.started.all == [1, 2])
    stage.gate(2).open()
    #expect(try await result == 2)
    #expect(stage.cancelled.all == [1])
    #expect(stage.ended.all.sorted() == [1, 2], "nothing runs on after the return")
    #expect(
      stage.kinds == [
        "1 started(first)", "2 started(delay)", "1 lost", "2 won",
      ])
    #expect(stage.clock.scheduledCount == 0)
  }

  @Test("P39: the winner's task is never cancelled, and its result outlives the losers")
  func winnerStaysAlive() async throws {
    let stage = Stage()
    let result = try await withThrowingTaskGroup(of: AsyncStream<Int>.self) { group in
      group.addTask {
        try await hedge(stage.policy()) { attempt in
          _ = try await stage.attempt(attempt)
          // What reads the body of a response: it ends when the task that made it is cancelled.
          let (stream, continuation) = AsyncStream<Int>.makeStream()
          unsafe withUnsafeCurrentTask { task in
            if unsafe task!.isCancelled { continuation.finish() }
          }
          continuation.yield(attempt)
          return stream
        }
      }
      await stage.gate(1).arrival()
      await stage.clock.advanceToNext()
      await stage.gate(2).arrival()
      stage.gate(1).open()
      return try await group.next()!
    }
    #expect(stage.cancelled.all == [2], "only the loser is cancelled")
    var iterator = result.makeAsyncIterator()
    #expect(await iterator.next() == 1)
  }

  @Test("P39: a result that comes too late gives back what it holds, and the winner's is kept")
  func lateResultIsDropped() async throws {
    let stage = Stage()
    let closed = Log<Int>()
    async let connection = hedge(stage.policy()) { attempt in
      // Ignores cancellation, and succeeds all the same.
      _ = try? await stage.attempt(attempt, listens: false)
      return Connection(number: attempt, closed: closed)
    }
    await stage.gate(1).arrival()
    await stage.clock.advanceToNext()
    await stage.gate(2).arrival()
    stage.gate(1).open()
    await stage.moment("2 saw its cancellation").arrival()
    stage.gate(2).open()
    let kept = try await connection
    #expect(kept.number == 1)
    #expect(closed.all == [2])
    withExtendedLifetime(kept) {}
  }

  @Test("A result that can't be copied is handed over; a second one gives back what it holds")
  func uncopyable() async throws {
    let result = try await hedge { attempt in Unique(value: attempt) }
    #expect(result.value == 1)
  }

  @Test("A retryable failure starts the next attempt at once, without the delay")
  func failureStartsNext() async throws {
    let stage = Stage()
    let result = try await hedge(stage.policy(.afterFailure)) { attempt in
      if attempt == 1 { throw Flaky(number: 1) }
      return attempt
    }
    #expect(result == 2)
    #expect(
      stage.kinds == ["1 started(first)", "1 failed", "2 started(failure)", "2 won"])
  }

  @Test("When every attempt fails the last error is thrown, unchanged")
  func allFail() async {
    let stage = Stage()
    let error = await failure {
      try await hedge(stage.policy(maxAttempts: 3)) { throw Flaky(number: $0) }
    }
    #expect(error as? Flaky == Flaky(number: 3))
    #expect(stage.clock.scheduledCount == 0)
  }

  @Test("P39: after a failure for all, a result of an attempt that was cancelled is not returned")
  func lateResultAfterFailure() async {
    let stage = Stage()
    async let error = failure {
      try await hedge(stage.policy()) { try await stage.attempt($0, listens: false) }
    }
    await stage.gate(1).arrival()
    await stage.clock.advanceToNext()
    await stage.gate(2).arrival()
    stage.gate(2).open(ValidationError("no such page"))
    await stage.moment("1 saw its cancellation").arrival()
    stage.gate(1).open()
    #expect(await error is ValidationError)
    #expect(stage.ended.all.sorted() == [1, 2])
  }

  @Test("A failure that is the answer to all ends the call and cuts the others off")
  func fatalFailure() async {
    let stage = Stage()
    async let error = failure {
      try await hedge(stage.policy()) { try await stage.attempt($0) }
    }
    await stage.gate(1).arrival()
    await stage.clock.advanceToNext()
    await stage.gate(2).arrival()
    stage.gate(2).open(ValidationError("no such page"))
    #expect(await error is ValidationError)
    #expect(stage.cancelled.all == [1])
    #expect(
      stage.kinds == ["1 started(first)", "2 started(delay)", "2 failed", "1 lost"])
  }

  @Test("Pushback: a server's Retry-After stops further attempts and leaves the first one alone")
  func pushback() async throws {
    let stage = Stage()
    async let result = hedge(stage.policy(maxAttempts: 5)) { try await stage.attempt($0) }
    await stage.gate(1).arrival()
    await stage.clock.advanceToNext()
    await stage.gate(2).arrival()
    stage.gate(2).open(HTTPStatusError(503, retryAfter: .seconds(9)))
    await stage.moment("2 stopped(pushback)").arrival()
    stage.clock.advance(by: .seconds(60))
    stage.gate(1).open()
    #expect(try await result == 1)
    #expect(stage.started.all == [1, 2])
  }

  @Test("A rejection by a gatekeeper here hides no error of the other side")
  func rejectionIsNotTheStory() async {
    let stage = Stage()
    let error = await failure {
      try await hedge(stage.policy(.afterFailure)) { attempt in
        if attempt == 1 { throw Flaky(number: 1) }
        throw TurnedAway()
      }
    }
    #expect(error as? Flaky == Flaky(number: 1))
    let alone = await failure { try await hedge(stage.policy()) { throw TurnedAway() } }
    #expect(alone is TurnedAway)
  }

  @Test("P14, P15: hedges cost from the budget that retries use; without a token the first goes on")
  func budget() async throws {
    let stage = Stage()
    let budget = RetryBudget(ratio: 0, minimumPerSecond: 1, window: .seconds(1), clock: stage.clock)
    #expect(budget.withdraw(), "a retry elsewhere takes the only token")
    async let result = hedge(stage.policy(budget: budget)) { try await stage.attempt($0) }
    await stage.gate(1).arrival()
    await stage.clock.nextScheduled()
    while budget.withdraw() {}
    stage.clock.advance(by: .seconds(1))
    // Time has paid in about two thirds of a token.
    await stage.moment("1 stopped(budgetExhausted)").arrival()
    stage.gate(1).open()
    #expect(try await result == 1)
    #expect(stage.started.all == [1])
    #expect(stage.cancelled.all == [])
  }

  @Test("Every call pays into the budget, a hedge takes one token")
  func budgetBalance() async throws {
    let stage = Stage()
    let budget = RetryBudget(clock: stage.clock)
    _ = try await hedge(stage.policy(.afterFailure, budget: budget)) { attempt in
      if attempt == 1 { throw Flaky() }
    }
    #expect(abs(budget.balance - 99.2) < 0.01)
  }

  @Test("An operation that must not be repeated is never hedged")
  func notIdempotent() async {
    let stage = Stage()
    let error = await failure {
      try await hedge(stage.policy(.fixed(.zero), maxAttempts: 5), idempotent: false) {
        stage.started.append($0)
        throw Flaky()
      }
    }
    #expect(error is Flaky)
    #expect(stage.started.all == [1])
  }

  @Test("A delay of zero starts all attempts at once")
  func allAtOnce() async throws {
    let stage = Stage()
    async let result = hedge(stage.policy(.fixed(.zero), maxAttempts: 3)) {
      try await stage.attempt($0)
    }
    await stage.gate(3).arrival()
    #expect(stage.started.all.sorted() == [1, 2, 3])
    stage.gate(3).open()
    #expect(try await result == 3)
    #expect(stage.cancelled.all.sorted() == [1, 2])
  }

  @Test("P13: under a deadline that comes before the delay no hedge is scheduled")
  func deadline() async throws {
    let stage = Stage()
    let policy = stage.policy(.fixed(.seconds(10)))
    async let error = failure {
      try await withTimeout(.seconds(5), clock: stage.clock) {
        try await hedge(policy) { try await stage.attempt($0) }
      }
    }
    await stage.gate(1).arrival()
    stage.clock.advance(by: .seconds(5))
    #expect(await error is TimeoutError)
    #expect(stage.clock.scheduledCount == 0)
    #expect(stage.started.all == [1])
  }

  @Test(
    "A failure before the deadline starts the next attempt, also when the delay would come too late"
  )
  func failureBeforeTheDeadline() async throws {
    let stage = Stage()
    let policy = stage.policy(.fixed(.seconds(10)))
    let winner = try await withTimeout(.seconds(5), clock: stage.clock) {
      try await hedge(policy) { attempt in
        if attempt == 1 { throw Flaky(number: 1) }
        return attempt
      }
    }
    #expect(winner == 2)
  }

  @Test("Failed attempts are told to the error context, hedges by that name")
  func journal() async {
    let error = await failure {
      try await withErrorContext("lookup") {
        try await hedge(HedgePolicy(delay: .afterFailure)) { throw Flaky(number: $0) }
      }
    }
    let attempts = (error as? ContextualError)?.attempts ?? []
    #expect(attempts.map(\.number) == [1, 2])
    #expect(attempts.map(\.method) == [nil, "hedge"])
  }

  @Test("The metrics count starts by cause, ends by outcome, wins of hedges and stops")
  func metrics() async throws {
    let metrics = HedgeMetrics(name: "search")
    var policy = HedgePolicy(delay: .afterFailure)
    policy.observer = metrics.observe
    _ = try await hedge(policy) { _ in }
    _ = try await hedge(policy) { attempt in if attempt == 1 { throw Flaky() } }
    _ = await failure { try await hedge(policy) { throw TurnedAway() } }
    let figures = Dictionary(
      uniqueKeysWithValues: metrics.samples().map { sample in
        ("\(sample.name) \(sample.labels.map(\.value).joined(separator: " "))", sample.value)
      })
    #expect(figures["hedge_attempts_started_total search first"] == 3)
    #expect(figures["hedge_attempts_started_total search failure"] == 1)
    #expect(figures["hedge_attempts_ended_total search won"] == 2)
    #expect(figures["hedge_attempts_ended_total search failed"] == 2)
    #expect(figures["hedge_wins_total search"] == 1)
    #expect(figures["hedge_stops_total search rejected"] == 1)
  }

  @Test("Bad configuration is refused with field and rule")
  func configuration() {
    var policy = HedgePolicy()
    policy.maxAttempts = 0
    #expect(throws: ConfigurationError(field: "maxAttempts", rule: "must be at least 1")) {
      try policy.validate()
    }
    policy = HedgePolicy()
    policy.delay = .fixed(.seconds(-1))
    #expect(throws: ConfigurationError(field: "delay", rule: "must not be negative")) {
      try policy.validate()
    }
    for fraction in [0, -1, 1.01, .nan] {
      policy.delay = .quantile(fraction, of: HedgeDurations(), otherwise: .zero)
      #expect(throws: ConfigurationError.self) { try policy.validate() }
    }
  }

  @MainActor
  @Test("Can be called from the main actor; its attempts run beside each other all the same")
  func mainActor() async throws {
    let stage = Stage()
    let policy = stage.policy(.fixed(.zero))
    let result = try await hedge(policy) { attempt in
      if attempt == 2 { stage.gate(1).open() }
      return try await stage.attempt(attempt)
    }
    MainActor.assertIsolated()
    #expect(result == 1)
  }
}
