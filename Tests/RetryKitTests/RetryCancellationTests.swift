import ErrorContext
import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import RetryKit
import Testing
import TimeoutManager

struct Wrapping: Error, ErrorWithCauses {
  var causes: [any Error]
}

@Suite struct RetryCancellationTests {
  /// A policy that would retry anything for ever, and a log of the errors its predicate was asked about.
  func eager(_ clock: ManualClock) -> (RetryPolicy, asked: Log<String>) {
    let asked = Log<String>()
    var policy = RetryPolicy(maxAttempts: nil, backoff: .constant(.seconds(1), jitter: .none))
    policy.clock = clock
    policy.shouldRetry = { error in
      asked.append("\(error)")
      return true
    }
    return (policy, asked)
  }

  @Test(
    "P7: a cancellation error is never retried and no predicate is asked, not even when wrapped")
  func cancellationErrors() async {
    let errors: [any Error] = [
      CancellationError(), Wrapping(causes: [CancellationError()]),
      Wrapping(causes: [Wrapping(causes: [CancellationError()])]),
      Classified(category: .cancelled),
    ]
    for error in errors {
      let (policy, asked) = eager(ManualClock())
      let story = await story(policy) { _ in error }
      #expect(story.attempts == 1, "\(error)")
      #expect(story.reason == .cancelled, "\(error)")
      #expect(asked.count == 0, "\(error)")
      #expect(type(of: story.error!) == type(of: error))
    }
  }

  @Test("P7: in a cancelled task any error is final, unchanged, and no predicate is asked")
  func cancelledTask() async {
    let (policy, asked) = eager(ManualClock())
    let task = Task {
      try await retry(policy) { attempt in
        cancelMyself()
        throw Flaky(number: attempt)
      }
    }
    await #expect(throws: Flaky(number: 1)) { try await task.value }
    #expect(asked.count == 0)
  }

  @Test("P7: cancelling the wait ends it at once with CancellationError and starts no attempt")
  func cancelledWait() async {
    let clock = ManualClock()
    let attempts = Log<Int>()
    let events = Log<RetryEvent>()
    let budget = RetryBudget(clock: clock)
    var policy = eager(clock).0
    policy.budget = budget
    policy.observer = { events.append($0) }
    let task = Task { [policy] in
      try await retry(policy) { attempt in
        attempts.append(attempt)
        throw Flaky()
      }
    }
    await clock.nextScheduled()
    #expect(budget.balance < 99.5)
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(attempts.all == [1])
    #expect(events.all.map(\.kind) == [.retrying, .stopped(.cancelled)])
    #expect(events.all.last?.error is Flaky)
    #expect(clock.scheduledCount == 0)
    #expect(budget.balance >= 100, "the token of the retry that did not happen came back")
  }

  @Test("A body in a task cancelled beforehand runs once, like a bare call")
  func cancelledBefore() async throws {
    let attempts = Log<Int>()
    let policy = eager(ManualClock()).0
    let task = Task {
      cancelMyself()
      return try await retry(policy) { attempt in
        attempts.append(attempt)
        return "cleaned up"
      }
    }
    let result = try await task.value
    #expect(result == "cleaned up")
    #expect(attempts.all == [1])
  }

  @Test("P12: a retry under an outer timeout stops as soon as no wait can end in time")
  func outerTimeoutStopsRetry() async {
    let clock = ManualClock()
    let policy = eager(clock).0
    let attempts = Log<Int>()
    async let error = failure {
      try await withTimeout(.milliseconds(3_500), clock: clock) {
        try await retry(policy) { attempt in
          attempts.append(attempt)
          throw Flaky(number: attempt)
        }
      }
    }
    for _ in 1...3 {
      await clock.scheduled(atLeast: 2)
      await clock.advanceToNext()
    }
    #expect(await error as? Flaky == Flaky(number: 4))
    #expect(attempts.all == [1, 2, 3, 4])
  }

  @Test(
    "P11: an attempt cut off by an outer timeout is a timeout, not a cancellation, and is final")
  func outerTimeoutCutsAttempt() async {
    let clock = ManualClock()
    let (policy, asked) = eager(clock)
    let attempts = Log<Int>()
    async let error = failure {
      try await withTimeout(.seconds(5), clock: clock) {
        try await retry(policy) { attempt in
          attempts.append(attempt)
          try await clock.wait(for: .seconds(60))
        }
      }
    }
    await clock.scheduled(atLeast: 2)
    await clock.advanceToNext()
    #expect(await error is TimeoutError)
    #expect(attempts.all == [1])
    #expect(asked.count == 0)
  }

  @Test("P11: an attempt that times out inside the retry is tried again")
  func innerTimeout() async throws {
    let clock = ManualClock()
    var policy = RetryPolicy(backoff: .none)
    policy.clock = clock
    async let result = retry(policy) { attempt in
      try await withTimeout(.seconds(5), clock: clock) {
        if attempt == 1 { try await clock.wait(for: .seconds(60)) }
        return attempt
      }
    }
    await clock.scheduled(atLeast: 2)
    await clock.advanceToNext()
    #expect(try await result == 2)
  }
}

@Suite struct RetryDeadlineTests {
  let steady = RetryPolicy(maxAttempts: 50, backoff: .constant(.seconds(2), jitter: .none))

  @Test(
    "P13: a wait that cannot end before the deadline does not begin; the last real error is thrown")
  func deadline() async {
    let story = await story(steady, deadline: .seconds(5)) { Flaky(number: $0) }
    #expect(story.attempts == 3)
    #expect(story.took == .seconds(4), "no time is wasted on a wait that leads nowhere")
    #expect(story.reason == .deadline)
    #expect(story.error as? Flaky == Flaky(number: 3))
  }

  @Test("P13: a wait that would end exactly at the deadline does not begin")
  func deadlineIsExclusive() async {
    let story = await story(steady, deadline: .seconds(4)) { _ in Flaky() }
    #expect(story.took == .seconds(2))
  }

  @Test("P13: a deadline in the past allows the first attempt only, even without a wait")
  func pastDeadline() async {
    var policy = steady
    policy.backoff = .none
    let story = await story(policy, deadline: .seconds(-1)) { _ in Flaky() }
    #expect(story.attempts == 1)
    #expect(story.reason == .deadline)
  }

  @Test("P13: a server's hint that goes beyond the deadline ends it at once (cenkalti #159)")
  func hintBeyondDeadline() async {
    let story = await story(steady, deadline: .seconds(30)) { _ in
      Classified(retryability: .retryable(after: .seconds(60)))
    }
    #expect(story.attempts == 1)
    #expect(story.reason == .deadline)
    #expect(story.took == .zero)
  }

  @Test("Total time: no attempt starts later than that after the first one")
  func totalTime() async {
    var policy = steady
    policy.totalTime = .seconds(5)
    let story = await story(policy) { Flaky(number: $0) }
    #expect(story.attempts == 3)
    #expect(story.took == .seconds(4))
    #expect(story.reason == .totalTime)
    #expect(story.error as? Flaky == Flaky(number: 3))
  }

  @Test("Total time counts the time the attempts take")
  func totalTimeCountsAttempts() async {
    let clock = ManualClock()
    var policy = steady
    policy.totalTime = .seconds(5)
    policy.clock = clock
    let attempts = Log<Int>()
    let error = await failure { [policy] in
      try await whileTimeFlies(clock) {
        try await retry(policy) { attempt in
          attempts.append(attempt)
          try await clock.wait(for: .seconds(4))
          throw Flaky()
        }
      }
    }
    #expect(error is Flaky)
    #expect(attempts.all == [1])
  }
}
