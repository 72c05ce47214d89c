import ReliabilityIO
import ReliabilityTestSupport
import ReliabilityTesting
import Synchronization
import Testing

@testable import BackoffLock

/// One process, and several as far as the system can tell.
@Suite(.offThePool) struct LockTests {
  static let strategies: [BackoffLock.Strategy] = [
    .automatic, .queue, .gate, .plain, .polling(.brisk),
  ]

  @Test(arguments: strategies)
  func theBodyRunsWithTheLockAndItsResultComesBack(strategy: BackoffLock.Strategy) async throws {
    let scratch = LockScratch()
    let lock = scratch.lock { $0.strategy = strategy }
    let result = try await lock.withLock { token in "turn \(token)" }
    #expect(result == "turn 1.1.0")
  }

  @Test(arguments: strategies)
  func tokensOfOneProcessFollowEachOther(strategy: BackoffLock.Strategy) async throws {
    let scratch = LockScratch()
    let lock = scratch.lock { $0.strategy = strategy }
    var last: FencingToken?
    for _ in 0..<50 {
      let token = try await lock.withLock { $0 }
      if let last {
        #expect(token > last)
        #expect(token.directlyFollows(last))
      }
      last = token
    }
  }

  @Test(arguments: strategies)
  func aTokenAfterAnotherProcessIsHigherAndDoesNotDirectlyFollow(
    strategy: BackoffLock.Strategy
  ) async throws {
    let scratch = LockScratch()
    let lock = scratch.lock { $0.strategy = strategy }
    let other = scratch.lock(in: LockRegistry()) { $0.strategy = strategy }
    let first = try await lock.withLock { $0 }
    let second = try await other.withLock { $0 }
    let third = try await lock.withLock { $0 }
    #expect(first < second && second < third)
    #expect(!second.directlyFollows(first))
    #expect(!third.directlyFollows(second))
    #expect(!third.directlyFollows(first))
  }

  /// A new epoch begins at turn one again: who had the first turn of the old one must not take it for its own.
  @Test func aTurnOfAnotherEpochIsNobodysOwn() async throws {
    let scratch = LockScratch()
    let lock = scratch.lock { $0.strategy = .queue }
    let other = scratch.lock(in: LockRegistry()) { $0.strategy = .queue }
    var tokens = [try await lock.withLock { $0 }]
    let raised = try await other.acquire(above: FencingToken(epoch: 7, turn: 0))
    tokens.append(raised.token)
    other.release(raised)
    for _ in 0..<3 {
      tokens.append(try await lock.withLock { $0 })
      tokens.append(try await other.withLock { $0 })
    }
    #expect(tokens == tokens.sorted() && Set(tokens).count == tokens.count)
  }

  @Test(arguments: strategies)
  func twoTasksAndTwoProcessesNeverOverlap(strategy: BackoffLock.Strategy) async throws {
    try await LockScratch().expectExclusion(processes: 4, tasks: 3) { $0.strategy = strategy }
  }

  @Test(arguments: strategies)
  func theBlockingFormExcludesTheAsynchronousOne(strategy: BackoffLock.Strategy) async throws {
    let scratch = LockScratch()
    let lock = scratch.lock { $0.strategy = strategy }
    let value = Tally()
    let thread = BlockingThread {
      for _ in 0..<50 { try? lock.withLock { _ in value.value += 1 } }
    }
    for _ in 0..<50 { try await lock.withLock { _ in value.value += 1 } }
    await thread.end()
    #expect(value.value == 100)
  }

  @Test func readersOfSeveralProcessesShareAndAWriterWaitsForAll() async throws {
    let scratch = LockScratch()
    let lock = scratch.lock()
    let other = scratch.lock(in: LockRegistry())
    // A file of this start of the machine, so that readers find a settled epoch.
    try await lock.withLock { _ in }
    var first = try await lock.tryLock(.shared)
    var second = try await other.tryLock(.shared)
    let bothRead = (isHeld(first), isHeld(second))
    #expect(bothRead == (true, true))
    #expect(try await !isFree(lock))
    first = nil
    #expect(try await !isFree(lock))
    second = nil
    #expect(try await isFree(lock))
  }

  @Test func aReaderBehindAWaitingWriterWaitsToo() async throws {
    let scratch = LockScratch()
    let lock = scratch.lock()
    try await lock.withLock { _ in }
    let reader = try await lock.tryLock(.shared)
    let writer = Task { try await lock.withLock { _ in } }
    try await until { lock.statistics.waiting == 1 }
    #expect(try await !isFree(lock, .shared))
    reader?.release()
    try await writer.value
  }

  @Test func aTaskThatAsksAgainGetsAnErrorAtOnce() async throws {
    let scratch = LockScratch()
    let lock = scratch.lock()
    let again = BackoffLock(scratch.path)
    try await lock.withLock { _ in
      for mode in [BackoffLock.Mode.exclusive, .shared] {
        let error = await #expect(throws: LockError.self) {
          try await again.withLock(mode) { _ in }
        }
        #expect(error?.code == .alreadyHeld)
      }
    }
    try await again.withLock { _ in }
  }

  @Test func aThreadThatAsksAgainGetsAnErrorAtOnce() async throws {
    let scratch = LockScratch()
    let lock = scratch.lock()
    let code = Tally()
    let thread = BlockingThread {
      try? lock.withLock { _ in
        do { try lock.withLock { _ in } } catch let error as LockError {
          if error.code == .alreadyHeld { code.value = 1 }
        } catch {}
      }
    }
    await thread.end()
    #expect(code.value == 1)
  }

  @Test(arguments: strategies)
  func aTimeoutOfZeroTriesOnceAndNamesTheHolder(strategy: BackoffLock.Strategy) async throws {
    let scratch = LockScratch()
    let holder = scratch.lock(in: LockRegistry()) { $0.label = "nightly" }
    let lock = scratch.lock { $0.strategy = strategy }
    try await holder.withLock { _ in
      let error = await #expect(throws: LockTimeoutError.self) {
        try await lock.withLock(timeout: .zero) { _ in }
      }
      #expect(error?.owner?.label == "nightly")
      #expect(error?.owner?.processIdentifier == RealFileSystem().processIdentifier)
      #expect(error?.description.contains("\"nightly\") since ") == true)
    }
    // What it asked for arrives later and is given up.
    try await holder.withLock { _ in }
    try await lock.withLock { _ in }
  }

  @Test(arguments: strategies)
  func aCancelledWaiterLeavesAndTheOthersAreServedInOrder(
    strategy: BackoffLock.Strategy
  ) async throws {
    let scratch = LockScratch()
    let holder = scratch.lock(in: LockRegistry())
    let lock = scratch.lock { $0.strategy = strategy }
    let order = Tally()
    let held = try await holder.tryLock()
    let tasks = try await waiters(5, on: lock) { order.value = order.value * 10 + $0 }
    tasks[0].cancel()
    tasks[2].cancel()
    for index in [0, 2] {
      await #expect(throws: CancellationError.self) { try await tasks[index].value }
    }
    held?.release()
    for index in [1, 3, 4] { try await tasks[index].value }
    #expect(order.value == 134)
    #expect(lock.statistics.cancellations == 2)
    #expect(lock.statistics.waiting == 0)
    #expect(lock.statistics.holders == 0)
  }

  @Test(arguments: strategies)
  func whatArrivesAfterEverybodyLeftIsGivenUpAtOnce(strategy: BackoffLock.Strategy) async throws {
    let scratch = LockScratch()
    let holder = scratch.lock(in: LockRegistry())
    let third = scratch.lock(in: LockRegistry())
    let lock = scratch.lock { $0.strategy = strategy }
    let held = try await holder.tryLock()
    let tasks = try await waiters(3, on: lock) { _ in }
    for task in tasks { task.cancel() }
    for task in tasks { _ = await task.result }
    held?.release()
    try await third.withLock { _ in }
    #expect(lock.statistics.acquisitions == 0)
    try await until { lock.statistics.abandonedWaits == 1 }
  }

  private func isHeld(_ held: borrowing HeldLock?) -> Bool {
    switch held {
    case .some: true
    case .none: false
    }
  }

  /// So many tasks that wait in this order.
  private func waiters(
    _ count: Int, on lock: BackoffLock, _ body: @escaping @Sendable (Int) -> Void
  ) async throws -> [Task<Void, any Error>] {
    var tasks: [Task<Void, any Error>] = []
    for index in 0..<count {
      tasks.append(Task { try await lock.withLock { _ in body(index) } })
      try await until { lock.statistics.waiting == index + 1 }
    }
    return tasks
  }
}
