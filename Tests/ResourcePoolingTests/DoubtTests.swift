import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import ResourcePooling

@Suite(.offThePool, .timeLimit(.minutes(10))) struct DoubtTests {
  @Test func aCreationThatIgnoresItsCancellationDoesNotKeepOthersFromBeingMade() async throws {
    let gate = Gate()
    let lab = Lab(
      .init(minimum: 0, maximum: 10, leaseTimeout: nil),
      create: { if $0 == 1 { await gate.pass() } },
      configure: { $0.creationTimeout = .seconds(3) })
    let task = Task { try await lab.pool.withResource { $0 } }
    await until { gate.waiting == 1 && lab.clock.scheduledCount == 1 }
    lab.clock.advance(by: .seconds(3))
    #expect(lab.figures.creating == 1 && lab.figures.waiting == 1)
    lab.clock.advance(by: .seconds(1))
    #expect(try await task.value == 2)
    let held = try await lab.pool.held()
    #expect(try await lab.pool.withResource { $0 } == 3)
    held.giveBack()
    gate.open()
    await until { lab.figures.idle == 3 }
    #expect(lab.clock.scheduledCount == 1 && lab.figures.isConserved)
    await lab.pool.stop()
  }

  @Test func aCreationThatHeedsItsCancellationIsToldOfAndTriedOnce() async throws {
    let lab = Lab(
      .init(minimum: 0, maximum: 10, leaseTimeout: nil),
      create: { [clock = ManualClock()] _ in try await clock.wait(for: .seconds(60)) },
      configure: { $0.creationTimeout = .seconds(3) })
    let task = Task { try await lab.pool.withResource { $0 } }
    await until { lab.clock.scheduledCount == 1 }
    lab.clock.advance(by: .seconds(3))
    let error = await failure { try await task.value } as? PoolCreationError
    #expect((error?.cause as? PoolTimeoutError)?.code == .creation && error?.failures == 1)
    #expect(lab.figures.creationErrors == 1 && lab.figures.creating == 0)
    #expect(lab.clock.scheduledCount == 0)
  }

  @Test func aCheckOrRollbackThatIgnoresItsCancellationDoesNotHoldUpTheNextCaller() async throws {
    for isCheck in [true, false] {
      let gate = Gate()
      let lab = Lab(
        .init(
          minimum: 0, maximum: 2, leaseTimeout: nil, idleLimit: nil, maximumAge: nil),
        checkOnLend: { number in
          if isCheck, number == 1 { await gate.pass() }
          return true
        },
        rollback: { if !isCheck, $0 == 1 { await gate.pass() } },
        configure: { $0.upkeepTimeout = .milliseconds(500) })
      try await lab.pool.withResource { #expect($0 == 1) }
      let task = Task { try await lab.pool.withResource { $0 } }
      await until { gate.waiting == 1 && lab.figures.waiting == 1 }
      lab.clock.advance(by: .milliseconds(500))
      #expect(lab.figures.creating == 0 && lab.figures.waiting == 1)
      // Shorter limits mean less patience.
      lab.clock.advance(by: .milliseconds(500))
      #expect(try await task.value == 2)
      gate.open()
      await until { lab.figures.inUpkeep == 0 }
      #expect(lab.figures.isConserved && lab.clock.scheduledCount == 0)
      await lab.pool.stop()
    }
  }

  @Test func aHungAttemptAfterAFailureIsNotTheLastOne() {
    var machine = Self.machine(minimum: 0, maximum: 3)
    #expect(Self.creations(machine.lend(1, deadline: .max, now: 0).1) == [1])
    _ = machine.creationFailed(0, now: 0)
    #expect(Self.creations(machine.lend(2, deadline: .max, now: 100).1) == [2])
    #expect(Self.creations(machine.lend(3, deadline: .max, now: 100).1) == [])
    // Of one that is gone.
    #expect(Self.creations(machine.overran(0, number: 1, now: 100)) == [])
    #expect(Self.creations(machine.overran(0, number: 2, now: 100)) == [3])
    #expect(machine.tally.doubtful == 1 && machine.tally.doubtfulCreating == 1)
    _ = machine.created(0, now: 100)
    #expect(machine.tally.doubtful == 0 && machine.tally.doubtfulCreating == 0)
    #expect(machine.tally.lent == 1 && machine.failures == 0)
  }

  @Test func nobodyWaitsForADoubtfulOneWhenNothingCanBeMade() {
    var machine = Self.machine(minimum: 0, maximum: 3)
    _ = machine.lend(1, deadline: .max, now: 0)
    _ = machine.lend(2, deadline: .max, now: 0)
    _ = machine.overran(0, number: 1, now: 0)
    _ = machine.overran(1, number: 2, now: 0)
    #expect(machine.tally.creating == 3)
    _ = machine.creationFailed(2, now: 0)
    #expect(machine.line.isEmpty && machine.counts.refusals == 2)
    #expect(Self.creations(machine.lend(3, deadline: .max, now: 0).1) == [])
    #expect(machine.line.isEmpty && machine.counts.refusals == 3)
  }

  @Test func whatIsClosedAfterItsRollbackIsNotWaitedFor() {
    var machine = Self.machine(minimum: 0, maximum: 2) { $0.rollsBack = true }
    _ = machine.lend(1, deadline: .max, now: 0)
    _ = machine.created(0, now: 0)
    _ = machine.takeBack(0, number: 1, .discarded, now: 0)
    #expect(machine.tally.returning == 1)
    #expect(Self.creations(machine.lend(2, deadline: .max, now: 0).1) == [2])
    _ = machine.cleanedUp(0, nil, now: 0)
    #expect(machine.tally.doubtful == 0 && machine.tally.closing == 1)
  }

  @Test func attemptsThatFailTogetherAreOneFailure() {
    var machine = Self.machine(minimum: 0, maximum: 10)
    for waiter in 0..<10 { _ = machine.lend(waiter, deadline: .max, now: 0) }
    #expect(machine.tally.creating == 10)
    for slot in 0..<8 { _ = machine.creationFailed(slot, now: 0) }
    #expect(machine.failures == 1 && machine.retryAt == 100)
    _ = machine.created(8, now: 0)
    _ = machine.creationFailed(9, now: 0)
    #expect(machine.failures == 1 && machine.counts.creationErrors == 9)
  }

  @Test func aFailureBegunBeforeASuccessIsTheFirstAgain() {
    var machine = Self.machine(minimum: 0, maximum: 10)
    _ = machine.lend(1, deadline: .max, now: 0)
    _ = machine.creationFailed(0, now: 0)
    _ = machine.lend(2, deadline: .max, now: 100)
    _ = machine.creationFailed(0, now: 100)
    _ = machine.lend(3, deadline: .max, now: 1_000)
    #expect(machine.failures == 2)
    #expect(Self.creations(machine.overran(0, number: 3, now: 1_000)) == [4])
    _ = machine.created(1, now: 1_000)
    _ = machine.creationFailed(0, now: 1_000)
    #expect(machine.failures == 1)
  }

  @Test func aCallerForWhomThereIsRoomIsNotRefusedForAFullLine() async throws {
    let lab = Lab(.init(minimum: 0, maximum: 1, maximumWaiters: 0), checkOnLend: { _ in true })
    for _ in 0..<2 { try await lab.pool.withResource { #expect($0 == 1) } }
    let held = try await lab.pool.held()
    let error = await failure { try await lab.pool.withResource { _ in } } as? PoolUnavailableError
    #expect(error?.code == .queueFull)
    held.giveBack()

    var machine = Self.machine(minimum: 0, maximum: 3) { $0.maximumWaiters = 1 }
    for waiter in 0..<4 { _ = machine.lend(waiter, deadline: .max, now: 0) }
    #expect(machine.line.count == 4)
    _ = machine.lend(4, deadline: .max, now: 0)
    #expect(machine.line.count == 4 && machine.counts.refusals == 1)
  }

  @Test func aPoolWithoutALineTriesAgainAfterAFailure() {
    var machine = Self.machine(minimum: 0, maximum: 3) { $0.maximumWaiters = 0 }
    _ = machine.lend(1, deadline: .max, now: 0)
    _ = machine.creationFailed(0, now: 0)
    #expect(Self.creations(machine.lend(2, deadline: .max, now: 99).1) == [])
    #expect(Self.creations(machine.lend(3, deadline: .max, now: 100).1) == [2])
    // One attempt, and nobody else.
    _ = machine.lend(4, deadline: .max, now: 100)
    #expect(machine.line.count == 1)
  }

  @Test func whatIsBeingMadeDoesNotCountForTheMinimum() {
    var machine = Self.machine(minimum: 1, maximum: 2) { $0.idleLimit = 1_000 }
    _ = machine.lend(1, deadline: .max, now: 0)
    _ = machine.created(0, now: 0)
    _ = machine.lend(2, deadline: .max, now: 0)
    _ = machine.takeBack(0, number: 1, .succeeded, now: 0)
    _ = machine.takeBack(0, number: 1, .succeeded, now: 0)
    #expect(machine.tally.idle == 1 && machine.tally.creating == 1 && machine.alarmAt == .max)
    _ = machine.tick(now: 5_000)
    #expect(machine.tally.idle == 1)
    _ = machine.created(1, now: 5_000)
    _ = machine.tick(now: 5_000)
    #expect(machine.tally.idle == 1 && machine.tally.closing == 1 && machine.idle == [1])
  }

  @Test func limitsBelowANanosecondAreNotZero() {
    let least = Duration(secondsComponent: 0, attosecondsComponent: 1)
    var configuration = PoolConfiguration(idleLimit: least, maximumAge: least)
    configuration.checkAfterIdle = least
    let handlers = PoolHandlers { slot, number, _ in
      PoolItem(slot: slot, number: number, closers: [])
    }
    let rules = PoolRules(configuration, handlers)
    #expect(rules.idleLimit == 1 && rules.maximumAge == 1 && rules.checkAfterIdle == 1)
    configuration.checkAfterIdle = .zero
    #expect(PoolRules(configuration, handlers).checkAfterIdle == 0)
  }

  typealias Machine = PoolStateMachine<Int>

  private static func machine(
    minimum: Int, maximum: Int, _ change: (inout PoolRules) -> Void = { _ in }
  ) -> Machine {
    var rules = PoolRules(minimum: minimum, maximum: maximum, maximumWaiters: 100)
    rules.backoff = .exponential(base: .nanoseconds(100), cap: .nanoseconds(800), jitter: .none)
    change(&rules)
    return Machine(rules, generator: SeededGenerator(seed: 1))
  }

  /// The numbers of what is begun to be made.
  private static func creations(_ actions: [Machine.Action]) -> [Int] {
    actions.compactMap { if case .create(_, let number) = $0 { number } else { nil } }
  }
}
