import ReliabilityTesting
import Testing
import TimeoutManager

/// Serialized: the statistics belong to the process.
@Suite(.serialized) struct AbandoningTimeoutTests {
  let clock = ManualClock()
  let statistics = TimeoutStatistics.shared

  struct Broken: Error, Equatable {}

  @Test func bodyThatIgnoresCancellationIsLeftBehindAndCountedUntilItEnds() async throws {
    let gate = Gate()
    let (abandoned, running) = (statistics.abandonedCount, statistics.abandonedRunningCount)
    let ended = Gate()
    async let outcome = Result.of {
      try await withTimeout(abandoningAfter: .seconds(5), clock: clock) {
        await gate.wait()
        ended.open()
        return 1
      }
    }
    await clock.scheduled(atLeast: 1)
    clock.advance(by: .seconds(5))
    let error = try #require(await outcome.failure as? TimeoutError)
    #expect(error.limit == .seconds(5))
    #expect(error.elapsed == .seconds(5))
    #expect(statistics.abandonedCount == abandoned + 1)
    #expect(statistics.abandonedRunningCount == running + 1)
    gate.open()
    await ended.wait()
    while statistics.abandonedRunningCount != running { await Task.yield() }
  }

  @Test func bodyThatEndsInTimeGivesItsOutcome() async throws {
    let value = try await withTimeout(abandoningAfter: .seconds(5), clock: clock) { "done" }
    #expect(value == "done")
    await #expect(throws: Broken()) {
      try await withTimeout(abandoningAfter: .seconds(5), clock: clock) { throw Broken() }
    }
    #expect(clock.scheduledCount == 0)
  }

  @Test func cancellationOfTheCallerAbandonsTheBodyAtOnce() async throws {
    let gate = Gate()
    let task = Task {
      try await withTimeout(abandoningAfter: .seconds(5), clock: clock) { await gate.wait() }
    }
    await clock.scheduled(atLeast: 1)
    task.cancel()
    #expect(await task.result.failure is CancellationError)
    #expect(clock.scheduledCount == 0)
    gate.open()
  }

  @Test func abandonedBodyIsCancelledAllTheSame() async throws {
    let cancelled = Gate()
    async let outcome = Result.of {
      try await withTimeout(abandoningAfter: .seconds(5), clock: clock) {
        try? await clock.wait(for: .seconds(100))
        if Task.isCancelled { cancelled.open() }
      }
    }
    await clock.scheduled(atLeast: 2)
    clock.advance(by: .seconds(5))
    #expect(await outcome.failure is TimeoutError)
    await cancelled.wait()
  }

  @Test(.timeLimit(.minutes(10))) func taskThatTheBodyLeavesBehindDoesNotKeepTheResult()
    async throws
  {
    final class Held: Sendable {}
    let (body, stray) = (Gate(), Gate())
    for isWaiting in [false, true] {
      let reference = try await Task {
        async let held = withTimeout(abandoningAfter: .seconds(5), clock: clock) {
          Task { await stray.wait() }
          if isWaiting { await body.wait() }
          return Held()
        }
        if isWaiting {
          await clock.scheduled(atLeast: 1)
          body.open()
        }
        return try await WeakReference(held)
      }.value
      while reference.object != nil, !Task.isCancelled { await Task.yield() }
      #expect(reference.object == nil)
    }
    stray.open()
  }

  @Test func noTimeLeftThrowsAtOnce() async {
    await #expect(throws: TimeoutError.self) {
      try await withTimeout(abandoningAfter: .zero, clock: clock) { Issue.record("the body ran") }
    }
  }

  @Test func deadlineIsVisibleAndAnEarlierOuterOneCounts() async throws {
    let start = clock.now
    try await withTimeout(.seconds(3), clock: clock) {
      try await withTimeout(abandoningAfter: .seconds(5), clock: clock) {
        #expect(Deadline.current?.instant == start + .seconds(3))
      }
    }
  }
}
