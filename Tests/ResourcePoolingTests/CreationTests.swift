import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import ResourcePooling

@Suite(.offThePool, .timeLimit(.minutes(10))) struct CreationTests {
  @Test("A failed creation is told at once, and neither rollback nor close is called")
  func failure() async throws {
    let lab = Lab(rollback: { _ in }, create: { throw Down(number: $0) })
    let error =
      await ResourcePoolingTests.failure { try await lab.pool.withResource { _ in } }
      as? PoolCreationError
    #expect(error?.cause as? Down == Down(number: 1))
    #expect(error?.failures == 1 && error?.pool == "lab" && error?.category == .dependency)
    #expect((error?.retryAfter ?? .zero) >= .milliseconds(50))
    #expect(error?.retryability == .retryable(after: error?.retryAfter))
    #expect(lab.story.all == ["creationFailed #1"])
    let figures = lab.figures
    #expect(figures.created == 0 && figures.creationErrors == 1 && figures.isConserved)
  }

  @Test func whileTheBackoffLastsEverybodyIsToldAtOnceAndNothingIsTried() async throws {
    let lab = Lab(
      create: { throw Down(number: $0) },
      configure: { $0.creationBackoff = .exponential(base: .seconds(1), jitter: .none) })
    for attempt in 1...4 {
      _ = await ResourcePoolingTests.failure { try await lab.pool.withResource { _ in } }
      #expect(lab.figures.creationErrors == attempt)
      for _ in 0..<3 {
        let error =
          await ResourcePoolingTests.failure { try await lab.pool.withResource { _ in } }
          as? PoolCreationError
        #expect(error?.retryAfter == .seconds(1 << (attempt - 1)))
        #expect(error?.cause as? Down == Down(number: attempt))
      }
      #expect(lab.figures.creationErrors == attempt)
      lab.clock.advance(by: .seconds(1 << (attempt - 1)))
    }
  }

  @Test func afterABackoffOneProbeIsMadeAndItsSuccessServesAll() async throws {
    let down = Box(true)
    let gate = Gate()
    let lab = Lab(create: { _ in
      if down.value { throw Down() }
      await gate.pass()
    })
    _ = await ResourcePoolingTests.failure { try await lab.pool.withResource { _ in } }
    lab.clock.advance(by: .seconds(1))
    down.value = false
    let tasks = (0..<3).map { _ in Task { try await lab.pool.withResource { _ in } } }
    await until { lab.figures.waiting == 3 && gate.waiting == 1 }
    #expect(lab.figures.creating == 1)
    gate.open()
    for task in tasks { try await task.value }
  }

  @Test("P37: those who may still get a lent resource go on waiting, and creation is tried again")
  func hope() async throws {
    let down = Box(false)
    let lab = Lab(
      create: { if down.value { throw Down(number: $0) } },
      configure: { $0.creationBackoff = .constant(.seconds(1), jitter: .none) })
    let held = try await lab.pool.held()
    down.value = true
    let task = Task { try await lab.pool.withResource { $0 } }
    // The end of the wait and the next attempt.
    await until { lab.figures.creationErrors == 1 && lab.clock.scheduledCount == 2 }
    #expect(lab.figures.waiting == 1)
    lab.clock.advance(by: .seconds(1))
    await until { lab.figures.creationErrors == 2 && lab.clock.scheduledCount == 2 }
    down.value = false
    lab.clock.advance(by: .seconds(1))
    #expect(try await task.value == 4)
    held.giveBack()
  }

  @Test func aTimeoutSaysWhyNothingCouldBeMade() async throws {
    let down = Box(false)
    let lab = Lab(
      create: { if down.value { throw Down(number: $0) } },
      configure: { $0.creationBackoff = .constant(.seconds(60), jitter: .none) })
    let held = try await lab.pool.held()
    down.value = true
    let task = Task { try await lab.pool.lease(timeout: .seconds(5)).giveBack() }
    await until { lab.figures.creationErrors == 1 && lab.clock.scheduledCount == 2 }
    lab.clock.advance(by: .seconds(5))
    let error = await ResourcePoolingTests.failure { try await task.value } as? PoolTimeoutError
    #expect(error?.causes.first as? Down == Down(number: 2))
    held.giveBack()
  }

  @Test("P10: a creation that hangs is cancelled, and its place is kept until it has ended")
  func hungCreation() async throws {
    let (gate, isCancelled) = (Gate(), Box(false))
    let lab = Lab(
      .init(minimum: 0, maximum: 1, leaseTimeout: nil),
      create: { number in
        if number == 1 {
          await withTaskCancellationHandler {
            await gate.pass()
          } onCancel: {
            isCancelled.value = true
          }
        }
        try Task.checkCancellation()
      },
      configure: {
        $0.creationTimeout = .seconds(3)
        $0.creationBackoff = .constant(.seconds(1), jitter: .none)
      })
    let task = Task { try await lab.pool.withResource { $0 } }
    await until { gate.waiting == 1 && lab.clock.scheduledCount == 1 }
    lab.clock.advance(by: .seconds(3))
    await until { isCancelled.value }
    #expect(lab.figures.creating == 1 && lab.figures.waiting == 1)
    gate.open()
    let error = await ResourcePoolingTests.failure { try await task.value } as? PoolCreationError
    let cause = error?.cause as? PoolTimeoutError
    #expect(cause?.code == .creation && cause?.waited == .seconds(3))
    #expect(error?.category == .timeout)
    lab.clock.advance(by: .seconds(1))
    #expect(try await lab.pool.withResource { $0 } == 2)
  }

  @Test func aCancellationThrownByTheCreationIsNotTheCallers() async throws {
    let lab = Lab(create: { _ in throw CancellationError() })
    let error =
      await ResourcePoolingTests.failure { try await lab.pool.withResource { _ in } }
      as? PoolCreationError
    #expect(error?.causes.isEmpty == true && error?.category == .dependency)
    #expect(error?.retryability.isRetryable == true)
  }

  @Test func anErrorThatCannotBeRetriedSaysSo() async throws {
    struct BadPassword: ClassifiedError {
      var category: ErrorCategory { .validation }
      var retryability: Retryability { .notRetryable }
    }
    let lab = Lab(create: { _ in throw BadPassword() })
    let error =
      await ResourcePoolingTests.failure { try await lab.pool.withResource { _ in } }
      as? PoolCreationError
    #expect(error?.retryability == .notRetryable && error?.category == .validation)
  }

  @Test func theRunKeepsTheMinimumReady() async throws {
    let lab = Lab(.init(minimum: 3, maximum: 5, idleLimit: nil, maximumAge: .seconds(60)))
    let run = Task { await lab.pool.run() }
    await until { lab.figures.idle == 3 && lab.clock.scheduledCount == 1 }
    lab.clock.advance(by: .seconds(60))
    await until { lab.figures.idle == 3 && lab.figures.closed == 3 }
    try await lab.pool.held().discard()
    await until { lab.figures.idle == 3 && lab.figures.closed == 4 }
    run.cancel()
    await run.value
    #expect(lab.figures.closed == 7 && lab.figures.isConserved)
    #expect(lab.clock.scheduledCount == 0)
  }

  @Test func theRunTriesAgainWhenTheMinimumCouldNotBeMade() async throws {
    let down = Box(true)
    let lab = Lab(
      create: { if down.value { throw Down(number: $0) } },
      configure: { $0.creationBackoff = .constant(.seconds(1), jitter: .none) })
    let run = Task { await lab.pool.run() }
    for failures in 2...5 {
      await until {
        lab.figures.creationErrors == failures && lab.figures.creating == 0
          && lab.clock.scheduledCount == 1
      }
      lab.clock.advance(by: .seconds(1))
    }
    await until {
      lab.figures.creationErrors == 6 && lab.figures.creating == 0
        && lab.clock.scheduledCount == 1
    }
    down.value = false
    lab.clock.advance(by: .seconds(1))
    await until { lab.figures.idle == 2 }
    await lab.pool.stop()
    await run.value
  }
}
