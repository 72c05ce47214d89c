import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import RetryKit
import Testing

@Suite struct HedgeCancellationTests {
  @Test("Cancelling the caller cancels every attempt, waits for all, and is a third outcome")
  func callerCancelled() async {
    let stage = Stage()
    let policy = stage.policy(maxAttempts: 3)
    let task = Task { try await hedge(policy) { try await stage.attempt($0) } }
    await stage.gate(1).arrival()
    await stage.clock.advanceToNext()
    await stage.gate(2).arrival()
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(stage.cancelled.all.sorted() == [1, 2])
    #expect(stage.ended.all.sorted() == [1, 2])
    #expect(stage.started.all == [1, 2], "a cancellation starts no attempt")
    #expect(Set(stage.kinds.suffix(2)) == ["1 cancelled", "2 cancelled"])
    #expect(stage.clock.scheduledCount == 0)
  }

  @Test("A result that comes although the caller was cancelled is returned")
  func resultAfterCancellation() async throws {
    let stage = Stage()
    let policy = stage.policy()
    let task = Task {
      try await hedge(policy) { try await stage.attempt($0, listens: false) }
    }
    await stage.gate(1).arrival()
    task.cancel()
    await stage.moment("1 saw its cancellation").arrival()
    stage.gate(1).open()
    #expect(try await task.value == 1)
  }

  @Test("A body in a caller that was cancelled before sees it from its first line, and runs once")
  func cancelledBefore() async {
    let stage = Stage()
    let policy = stage.policy(.fixed(.zero), maxAttempts: 4)
    let seen = Log<Bool>()
    let task = Task {
      cancelMyself()
      return try await hedge(policy) { _ in
        seen.append(Task.isCancelled)
        throw Flaky()
      }
    }
    await #expect(throws: Flaky.self) { try await task.value }
    #expect(seen.all == [true])
  }

  @Test("P7: a body that gives up by itself ends the call; no other attempt starts")
  func ownCancellation() async {
    let stage = Stage()
    let error = await failure {
      try await hedge(stage.policy(.afterFailure, maxAttempts: 5)) {
        stage.started.append($0)
        throw CancellationError()
      }
    }
    #expect(error is CancellationError)
    #expect(stage.started.all == [1])
    #expect(stage.kinds == ["1 started(first)", "1 cancelled"])
  }

  @Test("Abandoning: a loser that ignores cancellation is not awaited, and its result is dropped")
  func abandoning() async throws {
    let stage = Stage()
    let closed = Log<Int>()
    async let connection = hedge(abandoningLosers: stage.policy()) { attempt in
      _ = try await stage.attempt(attempt, listens: false)
      return Connection(number: attempt, closed: closed, onClose: stage.moment("closed"))
    }
    await stage.gate(1).arrival()
    await stage.clock.advanceToNext()
    await stage.gate(2).arrival()
    stage.gate(2).open()
    let kept = try await connection
    #expect(kept.number == 2)
    #expect(stage.cancelled.all == [1])
    #expect(stage.ended.all == [2], "the first attempt is still running")
    stage.gate(1).open()
    await stage.moment("closed").arrival()
    #expect(closed.all == [1])
    withExtendedLifetime(kept) {}
  }

  @Test("Abandoning: a caller that is cancelled gets CancellationError at once")
  func abandoningCancelled() async {
    let stage = Stage()
    let policy = stage.policy()
    let task = Task {
      try await hedge(abandoningLosers: policy) {
        try await stage.attempt($0, listens: false)
      }
    }
    await stage.gate(1).arrival()
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(stage.ended.count == 0)
    #expect(stage.clock.scheduledCount == 0)
    stage.gate(1).open()
  }

  @Test("P24: an observer may hedge, and may cancel the caller, without a deadlock")
  func reentrantObserver() async throws {
    let stage = Stage()
    var policy = stage.policy(.afterFailure)
    let inner = stage.policy()
    let nested = Log<Int>()
    policy.observer = { event in
      guard event.kind == .failed else { return }
      cancelMyself()
      Task {
        nested.append(try await hedge(inner) { _ in 5 })
        stage.moment("nested").arrived()
      }
    }
    let task = Task { [policy] in
      try await hedge(policy) { attempt in
        if attempt == 1 { throw Flaky(number: 1) }
        return Task.isCancelled
      }
    }
    #expect(try await task.value, "the second attempt began in a cancelled caller")
    await stage.moment("nested").arrival()
    #expect(nested.all == [5])
  }

  @TaskLocal static var marker = 0

  @Test("Task-local values reach every attempt, started by a delay too")
  func taskLocals() async throws {
    let stage = Stage()
    let seen = Log<Int>()
    let policy = stage.policy()
    try await Self.$marker.withValue(7) {
      async let result = hedge(policy) { attempt in
        seen.append(Self.marker)
        return try await stage.attempt(attempt)
      }
      await stage.gate(1).arrival()
      await stage.clock.advanceToNext()
      await stage.gate(2).arrival()
      stage.gate(2).open()
      _ = try await result
    }
    #expect(seen.all == [7, 7])
  }
}

@Suite struct HedgeDurationsTests {
  @Test(
    "The delay is the quantile of past first attempts, and the given one until enough are known")
  func learns() {
    let clock = ManualClock()
    let durations = HedgeDurations(minimumSamples: 10, clock: clock)
    for milliseconds in 1...9 { durations.record(.milliseconds(milliseconds * 10)) }
    #expect(durations.quantile(0.5) == nil)
    durations.record(.milliseconds(100))
    let median = durations.quantile(0.5)!
    #expect(abs(median / .milliseconds(50) - 1) < 0.01)
    let slowest = durations.quantile(1)!
    #expect(abs(slowest / .milliseconds(100) - 1) < 0.01)
  }

  @Test(
    "What is older than the window does not count, and short calls do not make everything hedged")
  func windowAndFloor() {
    let clock = ManualClock()
    let durations = HedgeDurations(
      window: .seconds(60), minimumSamples: 2, floor: .milliseconds(5), clock: clock)
    for _ in 1...100 { durations.record(.seconds(3)) }
    #expect(durations.quantile(0.5)! > .seconds(2))
    clock.advance(by: .seconds(120))
    #expect(durations.quantile(0.5) == nil)
    for _ in 1...100 { durations.record(.zero) }
    #expect(durations.quantile(0.95) == .milliseconds(5))
  }

  @Test("A loser counts with the time it had run, a hedge and a failure do not count")
  func whatIsRecorded() async throws {
    let stage = Stage()
    let durations = HedgeDurations(minimumSamples: 1, clock: stage.clock)
    let policy = stage.policy(.quantile(0.5, of: durations, otherwise: .seconds(4)))
    async let result = hedge(policy) { try await stage.attempt($0) }
    await stage.gate(1).arrival()
    #expect(await stage.clock.nextScheduled() == stage.clock.now.advanced(by: .seconds(4)))
    await stage.clock.advanceToNext()
    await stage.gate(2).arrival()
    stage.gate(2).open()
    #expect(try await result == 2)
    #expect(durations.samples().first?.value == 1)
    let learned = durations.quantile(0.5)!
    #expect(abs(learned / .seconds(4) - 1) < 0.01)
    _ = await failure { try await hedge(policy) { _ in throw ValidationFailure() } }
    #expect(durations.samples().first?.value == 1)
  }

  @Test("Any number of different quantiles keeps the memory bounded and the answers right")
  func manyQuantiles() {
    let clock = ManualClock()
    let durations = HedgeDurations(minimumSamples: 1, clock: clock)
    durations.record(.seconds(1))
    for step in 1...1000 {
      #expect(abs(durations.quantile(Double(step) / 1000)! / .seconds(1) - 1) < 0.01)
    }
  }

  struct ValidationFailure: ClassifiedError {
    var category: ErrorCategory { .validation }
    var retryability: Retryability { .notRetryable }
  }
}
