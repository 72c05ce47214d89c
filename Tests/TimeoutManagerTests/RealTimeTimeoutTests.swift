import Synchronization
import Testing
import TimeoutManager

/// The few tests of the real timer. Bounds are wide: they run on busy machines.
@Suite struct RealTimeTimeoutTests {
  @Test(.timeLimit(.minutes(1)))
  func limitEndsABodyThatSuspends() async throws {
    let start = ContinuousClock.now
    await #expect(throws: TimeoutError.self) {
      try await withTimeout(.milliseconds(50)) {
        try await ContinuousClock().wait(for: .seconds(3600))
      }
    }
    #expect(start.duration(to: .now) >= .milliseconds(50))
    #expect(start.duration(to: .now) < .seconds(30))
  }

  @Test(.timeLimit(.minutes(1)))
  func limitReachesABodyThatComputesWithoutSuspending() async throws {
    await #expect(throws: TimeoutError.self) {
      try await withTimeout(.milliseconds(20)) {
        while !Task.isCancelled {}
        throw CancellationError()
      }
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func cancellationReachesABodyThatComputesWithoutSuspending() async throws {
    let began = Atomic(false)
    let task = Task.detached {
      try await withTimeout(.seconds(3600)) {
        began.store(true, ordering: .releasing)
        while !Task.isCancelled {}
        throw CancellationError()
      }
    }
    while !began.load(ordering: .acquiring) { await Task.yield() }
    task.cancel()
    #expect(await task.result.failure is CancellationError)
  }

  @Test(.timeLimit(.minutes(1)))
  func cancellationHandlerThatBlocksDoesNotHoldUpOtherDeadlines() async throws {
    let release = Atomic(false)
    async let blocked = Result.of {
      try await withTimeout(.milliseconds(10)) {
        await withTaskCancellationHandler {
          try? await ContinuousClock().wait(for: .seconds(3600))
        } onCancel: {
          while !release.load(ordering: .acquiring) {}
        }
        throw CancellationError()
      }
    }
    await #expect(throws: TimeoutError.self) {
      try await withTimeout(.milliseconds(50)) {
        try await ContinuousClock().wait(for: .seconds(3600))
      }
    }
    release.store(true, ordering: .releasing)
    #expect(await blocked.failure is TimeoutError)
  }

  /// A body that ends just as its limit passes: one outcome, the right one, whoever wins.
  @Test(.timeLimit(.minutes(5)))
  func bodyThatFinishesAtTheLimitHasExactlyOneOutcome() async throws {
    let rounds = 100_000
    let lanes = 4
    let tallies = await withTaskGroup(of: (values: Int, timeouts: Int).self) { group in
      for lane in 0..<lanes {
        group.addTask {
          var tally = (values: 0, timeouts: 0)
          for round in 0..<rounds / lanes {
            do {
              // 70 µs is one tick of the scheduler: limit and body meet within it.
              let value = try await withTimeout(.microseconds(20 + (round + lane) % 90)) {
                let end = ContinuousClock.now + .microseconds(round % 110)
                if round % 3 == 0 { await Task.yield() }
                while ContinuousClock.now < end {
                  if Task.isCancelled && round % 2 == 0 { throw CancellationError() }
                }
                return round
              }
              if value == round { tally.values += 1 }
            } catch is TimeoutError {
              tally.timeouts += 1
            } catch {
              Issue.record("neither a value nor a timeout: \(error)")
            }
          }
          return tally
        }
      }
      return await group.reduce((values: 0, timeouts: 0)) {
        ($0.values + $1.values, $0.timeouts + $1.timeouts)
      }
    }
    #expect(tallies.values + tallies.timeouts == rounds)
    #expect(tallies.values > 0 && tallies.timeouts > 0)
  }

  @Test(.timeLimit(.minutes(1)))
  func waitThatIsCancelledEndsAtOnce() async throws {
    let task = Task { try await ContinuousClock().wait(for: .seconds(3600)) }
    task.cancel()
    #expect(await task.result.failure is CancellationError)
  }
}
