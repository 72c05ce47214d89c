import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import ResourcePooling

@Suite(.offThePool, .timeLimit(.minutes(10))) struct UpkeepTests {
  @Test func anUnhealthyResourceIsNotLentButClosedAndReplaced() async throws {
    let healthy = Box(true)
    let lab = Lab(checkOnLend: { _ in healthy.value })
    try await lab.pool.withResource { #expect($0 == 1) }
    try await lab.pool.withResource { #expect($0 == 1) }
    healthy.value = false
    // The new one is not asked: it was just made.
    try await lab.pool.withResource { #expect($0 == 2) }
    await lab.rest()
    #expect(lab.saw("unhealthy #1") && lab.saw("evicted #1, unhealthy"))
    #expect(lab.figures.failedChecks == 1 && lab.figures.evictions[.unhealthy] == 1)
    #expect(lab.figures.isConserved)
  }

  @Test func allIdleResourcesThatHaveDiedAreFoundOneAfterTheOther() async throws {
    let dead = Box<Set<Int>>([])
    let lab = Lab(checkOnLend: { !dead.value.contains($0) })
    let held = [try await lab.pool.held(), try await lab.pool.held(), try await lab.pool.held()]
    for one in held { one.giveBack() }
    dead.value = [3, 2]
    try await lab.pool.withResource { #expect($0 == 1) }
    await lab.rest()
    #expect(lab.figures.idle == 1 && lab.figures.closed == 2 && lab.figures.isConserved)
  }

  @Test func aCheckThatThrowsOrHangsCountsAsUnhealthy() async throws {
    let calls = Box(0)
    let lab = Lab(
      checkOnLend: { [clock = ManualClock()] _ in
        let call = calls.update { calls in
          calls += 1
          return calls
        }
        if call == 1 { throw Down() }
        try await clock.wait(for: .seconds(60))
        return true
      }, configure: { $0.upkeepTimeout = .seconds(1) })
    try await lab.pool.withResource { #expect($0 == 1) }
    try await lab.pool.withResource { #expect($0 == 2) }
    let task = Task { try await lab.pool.withResource { #expect($0 == 3) } }
    await until { calls.value == 2 }
    lab.clock.advance(by: .seconds(1))
    try await task.value
    #expect(lab.errors.all.first is Down)
    #expect((lab.errors.all.last as? PoolTimeoutError)?.code == .upkeep)
    #expect(lab.figures.failedChecks == 2)
  }

  @Test func aBusyPoolPaysForNoChecks() async throws {
    let checks = Box(0)
    let lab = Lab(
      checkOnLend: { _ in
        checks.update { $0 += 1 }
        return true
      }, configure: { $0.checkAfterIdle = .seconds(1) })
    for _ in 0..<5 { try await lab.pool.withResource { _ in } }
    lab.clock.advance(by: .milliseconds(999))
    try await lab.pool.withResource { _ in }
    #expect(checks.value == 0)
    lab.clock.advance(by: .seconds(1))
    try await lab.pool.withResource { _ in }
    #expect(checks.value == 1)
  }

  @Test("P37: with checks the line is still first come, first served")
  func fifoWithChecks() async throws {
    let lab = Lab(.init(minimum: 0, maximum: 1), checkOnLend: { _ in true })
    let held = try await lab.pool.held()
    let order = Log<Int>()
    try await withThrowingTaskGroup { group in
      for id in 0..<10 {
        group.addTask { try await lab.pool.withResource { _ in order.append(id) } }
        await until { lab.figures.waiting == id + 1 }
      }
      held.giveBack()
      try await group.waitForAll()
    }
    #expect(order.all == Array(0..<10))
  }

  @Test func aResourceThatComesBackUnhealthyIsClosed() async throws {
    let lab = Lab(checkOnReturn: { $0 != 1 })
    try await lab.pool.withResource { #expect($0 == 1) }
    await lab.rest()
    #expect(lab.figures.idle == 0 && lab.figures.evictions[.unhealthy] == 1)
    for _ in 0..<2 {
      try await lab.pool.withResource { #expect($0 == 2) }
      await lab.rest()
    }
  }

  @Test("A session goes back clean or not at all: rollback and close always, in this order")
  func rollback() async throws {
    let lab = Lab(rollback: { _ in })
    try await lab.pool.withResource { _ in }
    await lab.rest()
    _ = await failure { try await lab.pool.withResource { _ in throw Down() } }
    await lab.rest()
    try await lab.pool.held().drop()
    await lab.rest()
    try await lab.pool.held().discard()
    await lab.rest()
    #expect(
      lab.story.all == [
        "created #1", "rollback 1", "rollback 1", "rollback 1", "rollback 1",
        "evicted #1, discarded", "close 1", "closed #1",
      ])
  }

  @Test("A failing rollback is reported, ends the session, and never replaces the original error")
  func failingRollback() async throws {
    let lab = Lab(rollback: { throw Down(number: $0) })
    let error = await failure { try await lab.pool.withResource { _ in throw Down(number: 42) } }
    #expect(error as? Down == Down(number: 42))
    await lab.rest()
    #expect(
      lab.story.all == [
        "created #1", "rollback 1", "rollbackFailed #1", "evicted #1, rollbackFailed", "close 1",
        "closed #1",
      ])
    #expect(lab.errors.all.map { $0 as? Down } == [Down(number: 1)])
    #expect(lab.figures.rollbackErrors == 1 && lab.figures.totalErrors == 2)
    #expect(try await lab.pool.withResource { $0 } == 2)
  }

  @Test("A failing close is reported and never replaces the original error")
  func failingClose() async throws {
    let lab = Lab(
      close: { throw Down(number: $0) }, configure: { $0.discardAfter = { $0 is Down } })
    let error = await failure { try await lab.pool.withResource { _ in throw Down(number: 42) } }
    #expect(error as? Down == Down(number: 42))
    await lab.rest()
    #expect(lab.saw("closerFailed #1, close") && lab.saw("closed #1"))
    #expect(lab.errors.all.map { $0 as? Down } == [Down(number: 1)])
    #expect(lab.figures.closed == 1 && lab.figures.closerErrors == 1 && lab.figures.isConserved)
  }

  @Test func aResourceIsNotLentWhileItIsRolledBack() async throws {
    let gate = Gate()
    let lab = Lab(.init(minimum: 0, maximum: 1), rollback: { _ in await gate.pass() })
    try await lab.pool.withResource { _ in }
    await until { gate.waiting == 1 }
    #expect(lab.figures.inUpkeep == 1 && !lab.pool.hasIdle)
    let task = Task { try await lab.pool.withResource { $0 } }
    await until { lab.figures.waiting == 1 }
    gate.open()
    #expect(try await task.value == 1)
  }

  @Test("A body that is cancelled doesn't cut the rollback short")
  func rollbackAfterCancellation() async throws {
    let cancelled = Box(false)
    let lab = Lab(rollback: { _ in if Task.isCancelled { cancelled.value = true } })
    let task = Task {
      try await lab.pool.withResource { _ in
        await until { Task.isCancelled }
        try Task.checkCancellation()
      }
    }
    await until { lab.figures.lent == 1 }
    task.cancel()
    #expect(await failure { try await task.value } is CancellationError)
    await lab.rest()
    #expect(lab.saw("rollback 1") && !cancelled.value && lab.figures.idle == 1)
  }

  @Test func theDeadlineOfACallerIsNotThatOfTheResource() async throws {
    let deadlines = Log<Bool>()
    let lab = Lab(
      rollback: { _ in deadlines.append(Deadline.current == nil) },
      create: { _ in deadlines.append(Deadline.current == nil) })
    let scope = DeadlineScope(until: lab.clock.now.advanced(by: .seconds(2)))
    try await Deadline.$scope.withValue(scope) {
      try await lab.pool.withResource { _ in #expect(Deadline.current != nil) }
    }
    await lab.rest()
    #expect(deadlines.all == [true, true])
  }

  @Test func aResourceWithTooManyFailedUsesInARowIsClosed() async throws {
    let lab = Lab()
    for _ in 0..<4 { _ = await failure { try await lab.pool.withResource { _ in throw Down() } } }
    try await lab.pool.withResource { #expect($0 == 1) }
    for _ in 0..<5 { _ = await failure { try await lab.pool.withResource { _ in throw Down() } } }
    #expect(lab.figures.useErrors == 9)
    await lab.rest()
    #expect(lab.figures.evictions[.errors] == 1)
    try await lab.pool.withResource { #expect($0 == 2) }
    #expect(lab.figures.mostErrorsOfOne == 0)
  }

  @Test func anErrorThatMakesAResourceUnfitEndsIt() async throws {
    let lab = Lab(configure: { $0.discardAfter = { $0 is CancellationError } })
    _ = await failure { try await lab.pool.withResource { _ in throw Down() } }
    #expect(lab.figures.idle == 1)
    _ = await failure { try await lab.pool.withResource { _ in throw CancellationError() } }
    await lab.rest()
    #expect(lab.figures.idle == 0 && lab.figures.evictions[.discarded] == 1)
    let loan = try await lab.pool.lease()
    loan.giveBack(after: CancellationError())
    await lab.rest()
    #expect(lab.figures.idle == 0 && lab.figures.useErrors == 1)
  }

  @Test func idleResourcesBeyondTheMinimumEnd() async throws {
    let lab = Lab(.init(minimum: 1, maximum: 5, idleLimit: .seconds(60), maximumAge: nil))
    let held = [try await lab.pool.held(), try await lab.pool.held(), try await lab.pool.held()]
    held[0].giveBack()
    lab.clock.advance(by: .seconds(30))
    held[1].giveBack()
    held[2].giveBack()
    lab.clock.advance(by: .seconds(29))
    #expect(lab.figures.idle == 3)
    lab.clock.advance(by: .seconds(1))
    await lab.rest()
    #expect(lab.figures.idle == 2 && lab.saw("evicted #1, idle"))
    lab.clock.advance(by: .seconds(30))
    await lab.rest()
    #expect(lab.figures.idle == 1 && lab.figures.evictions[.idle] == 2)
    lab.clock.advance(by: .seconds(86_400))
    #expect(lab.figures.idle == 1 && lab.clock.scheduledCount == 0)
  }

  @Test func anOldResourceEndsWhenIdleOrWhenItComesBack() async throws {
    let lab = Lab(.init(minimum: 2, maximum: 5, idleLimit: nil, maximumAge: .seconds(60)))
    let held = [try await lab.pool.held(), try await lab.pool.held()]
    held[0].giveBack()
    lab.clock.advance(by: .seconds(60))
    await lab.rest()
    #expect(lab.figures.idle == 0 && lab.saw("evicted #1, age"))
    #expect(lab.figures.lent == 1)
    held[1].giveBack()
    await lab.rest()
    #expect(lab.saw("evicted #2, age") && lab.figures.closed == 2 && lab.figures.isConserved)
  }

  @Test("Resources that were made together don't all end together")
  func jitter() async throws {
    let lab = Lab(
      .init(minimum: 0, maximum: 50, idleLimit: nil, maximumAge: .seconds(1000)),
      configure: { $0.jitter = 0.5 })
    var held: [Held<Int>] = []
    for _ in 0..<50 { held.append(try await lab.pool.held()) }
    for one in held { one.giveBack() }
    var ends: [Int] = []
    var before = 0
    for second in stride(from: 0, through: 1000, by: 10) {
      await lab.rest()
      if lab.figures.closed > before { ends.append(second) }
      before = lab.figures.closed
      lab.clock.advance(by: .seconds(10))
    }
    await lab.rest()
    #expect(lab.figures.closed == 50)
    #expect(ends.first! >= 500 && ends.last! <= 1000 && ends.count > 15, "\(ends)")
  }
}
