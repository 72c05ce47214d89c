import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import ResourcePooling

@Suite(.offThePool, .timeLimit(.minutes(10))) struct LendingTests {
  @Test func aResourceIsMadeOnDemandAndLentAgain() async throws {
    let lab = Lab()
    #expect(lab.figures.created == 0)
    for _ in 0..<5 {
      let number = try await lab.pool.withResource { $0 }
      #expect(number == 1)
    }
    let figures = lab.figures
    #expect(figures.loans == 5 && figures.resourcesReused == 4 && figures.reuseRatio == 0.8)
    #expect(figures.created == 1 && figures.idle == 1 && figures.isConserved)
    #expect(lab.pool.description == "lab: 0 of 10 lent, 1 idle, 0 waiting")
  }

  @Test func theOneUsedLastIsLentFirst() async throws {
    let lab = Lab()
    let first = try await lab.pool.held()
    let second = try await lab.pool.held()
    first.giveBack()
    second.giveBack()
    #expect(try await lab.pool.withResource { $0 } == 2)
  }

  @Test func neverMoreThanTheMaximumExist() async throws {
    let lab = Lab(.init(minimum: 0, maximum: 2))
    let (first, second) = (try await lab.pool.held(), try await lab.pool.held())
    let waiting = Task { try await lab.pool.withResource { $0 } }
    await until { lab.figures.waiting == 1 }
    #expect(lab.figures.creating == 0)
    second.giveBack()
    #expect(try await waiting.value == 2)
    first.giveBack()
    #expect(lab.figures.created == 2)
  }

  @Test func aLoanThatIsDroppedGoesBackOnce() async throws {
    let lab = Lab()
    do {
      let loan = try await lab.pool.lease()
      #expect(loan.resource == 1)
    }
    #expect(lab.figures.idle == 1 && lab.figures.lent == 0)
    func thrower() async throws {
      let loan = try await lab.pool.lease()
      if loan.resource > 0 { throw Down() }
      loan.giveBack()
    }
    #expect(await failure { try await thrower() } is Down)
    #expect(lab.figures.idle == 1 && lab.figures.lent == 0)
    let held = try await lab.pool.held()
    held.drop()
    held.drop()
    #expect(lab.figures.idle == 1 && lab.figures.isConserved)
  }

  @Test func aDiscardedResourceIsClosedAndReplaced() async throws {
    let lab = Lab()
    try await lab.pool.held().discard()
    await lab.rest()
    #expect(lab.story.all == ["created #1", "evicted #1, discarded", "close 1", "closed #1"])
    #expect(try await lab.pool.withResource { $0 } == 2)
    #expect(lab.figures.isConserved)
  }

  @Test func leaseIfIdleNeverWaitsAndNeverMakes() async throws {
    let lab = Lab()
    #expect(!lab.pool.hasIdle)
    #expect(lab.figures.created == 0)
    try await lab.pool.held().giveBack()
    if let loan = lab.pool.leaseIfIdle() {
      #expect(loan.resource == 1)
      #expect(!lab.pool.hasIdle)
    } else {
      Issue.record("one is idle")
    }
    #expect(lab.figures.idle == 1)
  }

  @Test("P45: the body's result keeps its type, also one that can't be copied")
  func resultTypes() async throws {
    struct Receipt: ~Copyable { var number: Int }
    let lab = Lab()
    let receipt = try await lab.pool.withResource { Receipt(number: $0) }
    #expect(receipt.number == 1)
    let nothing: Int? = try await lab.pool.withResource { _ in nil }
    #expect(nothing == nil)
  }

  @MainActor @Test func aBodyOnTheMainActorMayUseWhatIsNotSendable() async throws {
    final class Tally { var count = 0 }
    let tally = Tally()
    let lab = Lab()
    try await lab.pool.withResource { number in
      MainActor.assertIsolated()
      tally.count += number
      await Task.yield()
      MainActor.assertIsolated()
    }
    let loan = try await lab.pool.lease()
    tally.count += loan.resource
    loan.giveBack()
    #expect(tally.count == 2)
  }

  @Test("P37: who waits is served first come, first served")
  func fifo() async throws {
    let lab = Lab(.init(minimum: 0, maximum: 1))
    let held = try await lab.pool.held()
    let order = Log<Int>()
    try await withThrowingTaskGroup { group in
      for id in 0..<20 {
        group.addTask { try await lab.pool.withResource { _ in order.append(id) } }
        await until { lab.figures.waiting == id + 1 }
      }
      // Nobody passes those in line, not even one that does not wait.
      #expect(!lab.pool.hasIdle)
      held.giveBack()
      try await group.waitForAll()
    }
    #expect(order.all == Array(0..<20))
    #expect(lab.figures.created == 1)
  }

  @Test("P33: a wait ends when its time is up, and says so")
  func timeout() async throws {
    let lab = Lab(.init(minimum: 0, maximum: 1))
    let held = try await lab.pool.held()
    let waiting = Task { try await lab.pool.lease(timeout: .seconds(5)).giveBack() }
    await until { lab.figures.waiting == 1 && lab.clock.scheduledCount == 1 }
    lab.clock.advance(by: .milliseconds(4_999))
    #expect(lab.figures.waiting == 1)
    lab.clock.advance(by: .milliseconds(1))
    let error = await failure { try await waiting.value } as? PoolTimeoutError
    #expect(error?.code == .waited && error?.waited == .seconds(5))
    #expect(error?.lent == 1 && error?.maximum == 1 && error?.category == .overload)
    #expect("\(error!)" == "pool lab: waited after 5.0 seconds, 1 of 1 lent")
    #expect(lab.figures.timeouts == 1 && lab.saw("timedOut"))
    held.giveBack()
    #expect(lab.figures.idle == 1)
  }

  @Test func theConfiguredTimeoutHoldsUnlessOneIsGiven() async throws {
    let lab = Lab(.init(minimum: 0, maximum: 1, leaseTimeout: .seconds(3)))
    let held = try await lab.pool.held()
    let waiting = Task { try await lab.pool.withResource { _ in } }
    await until { lab.figures.waiting == 1 && lab.clock.scheduledCount == 1 }
    lab.clock.advance(by: .seconds(3))
    #expect(await failure { try await waiting.value } is PoolTimeoutError)
    held.giveBack()
  }

  @Test func aDeadlineShortensTheWaitAndOneThatHasPassedRefusesAtOnce() async throws {
    let lab = Lab(.init(minimum: 0, maximum: 1))
    let held = try await lab.pool.held()
    let scope = DeadlineScope(until: lab.clock.now.advanced(by: .seconds(2)))
    let waiting = Task {
      try await Deadline.$scope.withValue(scope) { try await lab.pool.withResource { _ in } }
    }
    await until { lab.figures.waiting == 1 && lab.clock.scheduledCount == 1 }
    lab.clock.advance(by: .seconds(2))
    let late = await failure { try await waiting.value } as? PoolTimeoutError
    #expect(late?.waited == .seconds(2))
    let error = await failure {
      try await Deadline.$scope.withValue(scope) { try await lab.pool.withResource { _ in } }
    }
    #expect((error as? PoolTimeoutError)?.code == .noTimeLeft)
    for timeout in [Duration.zero, .seconds(-1), .seconds(Int64.min)] {
      let error = await failure { try await lab.pool.lease(timeout: timeout).giveBack() }
      #expect((error as? PoolTimeoutError)?.code == .noTimeLeft)
    }
    held.giveBack()
    // What is idle needs no time.
    try await Deadline.$scope.withValue(scope) { try await lab.pool.withResource { _ in } }
    try await lab.pool.lease(timeout: .zero).giveBack()
  }

  @Test func hugeTimeoutsWaitAndDoNotTrap() async throws {
    let lab = Lab(.init(minimum: 0, maximum: 1, leaseTimeout: nil))
    let held = try await lab.pool.held()
    let tasks = [Duration.seconds(Int64.max), .nanoseconds(Int64.max), nil].map { timeout in
      Task { try await lab.pool.lease(timeout: timeout).giveBack() }
    }
    await until { lab.figures.waiting == 3 }
    lab.clock.advance(by: .seconds(86_400))
    #expect(lab.figures.waiting == 3)
    held.giveBack()
    for task in tasks { try await task.value }
  }

  @Test("P9: cancelling a wait at any place of the line takes nothing and disturbs nobody")
  func cancellation() async throws {
    for position in 0..<5 {
      let lab = Lab(.init(minimum: 0, maximum: 1))
      let held = try await lab.pool.held()
      let order = Log<Int>()
      var tasks: [Task<Void, any Error>] = []
      for id in 0..<5 {
        tasks.append(Task { try await lab.pool.withResource { _ in order.append(id) } })
        await until { lab.figures.waiting == id + 1 }
      }
      tasks[position].cancel()
      #expect(await failure { try await tasks[position].value } is CancellationError)
      #expect(lab.figures.waiting == 4 && lab.figures.cancelledWaits == 1)
      held.giveBack()
      for (id, task) in tasks.enumerated() where id != position { try await task.value }
      #expect(order.all == (0..<5).filter { $0 != position })
      #expect(lab.figures.idle == 1 && lab.figures.isConserved)
    }
  }

  @Test func aCancelledTaskBorrowsNothing() async throws {
    let lab = Lab()
    try await lab.pool.held().giveBack()
    let task = Task {
      await until { Task.isCancelled }
      try await lab.pool.withResource { _ in }
    }
    task.cancel()
    #expect(await failure { try await task.value } is CancellationError)
    #expect(lab.figures.loans == 1 && lab.figures.idle == 1)
  }

  @Test func cancellationInTheBodyIsNoErrorOfTheResource() async throws {
    let lab = Lab()
    let task = Task {
      try await lab.pool.withResource { _ in
        await until { Task.isCancelled }
        throw Down()
      }
    }
    await until { lab.figures.lent == 1 }
    task.cancel()
    #expect(await failure { try await task.value } is Down)
    _ = await failure { try await lab.pool.withResource { _ in throw CancellationError() } }
    #expect(lab.figures.totalErrors == 0 && lab.figures.idle == 1)
  }

  @Test("P10: a resource made for a caller who left is the next one's")
  func orphanedCreation() async throws {
    let gate = Gate()
    let lab = Lab(.init(minimum: 0, maximum: 1), create: { _ in await gate.pass() })
    let first = Task { try await lab.pool.withResource { $0 } }
    await until { gate.waiting == 1 }
    let second = Task { try await lab.pool.withResource { $0 } }
    await until { lab.figures.waiting == 2 }
    first.cancel()
    #expect(await failure { try await first.value } is CancellationError)
    #expect(lab.figures.creating == 1)
    gate.open()
    #expect(try await second.value == 1)
    #expect(lab.figures.created == 1)
  }

  @Test func aResourceThatNobodyWaitsForAnyMoreBecomesIdle() async throws {
    let gate = Gate()
    let lab = Lab(create: { _ in await gate.pass() })
    let task = Task { try await lab.pool.withResource { $0 } }
    await until { gate.waiting == 1 }
    task.cancel()
    _ = await failure { try await task.value }
    gate.open()
    await until { lab.figures.idle == 1 }
    #expect(lab.figures.isConserved && lab.figures.loans == 0)
  }

  @Test func aFullLineRefusesAtOnce() async throws {
    let lab = Lab(.init(minimum: 0, maximum: 1, maximumWaiters: 1))
    let held = try await lab.pool.held()
    let waiting = Task { try await lab.pool.withResource { _ in } }
    await until { lab.figures.waiting == 1 }
    let error = await failure { try await lab.pool.withResource { _ in } } as? PoolUnavailableError
    #expect(error == PoolUnavailableError(pool: "lab", code: .queueFull))
    #expect(error?.retryability == .retryable())
    held.giveBack()
    try await waiting.value
  }
}
