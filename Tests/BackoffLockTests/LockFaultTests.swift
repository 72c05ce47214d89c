import ReliabilityIO
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import BackoffLock

/// Fails every call of the lock in turn: a typed error or the lock, nothing leaked, nobody forgotten.
@Suite(.offThePool) struct LockFaultTests {
  static let numbers: [ErrorNumber] = [
    .inputOutput, .noLocks, .notSupported, .noSpace, .permissionDenied, .notFound, .staleHandle,
    .noMemory, .badDescriptor, .tooManyOpenFiles,
  ]

  @Test(arguments: LockTests.strategies, numbers)
  func aFailureOfAnyCallLeavesTheLockFreeForOthers(
    strategy: BackoffLock.Strategy, number: ErrorNumber
  ) async throws {
    var n = 1
    while try await story(strategy, FaultyLocks(failing: n, number, persistently: false)) { n += 1 }
    #expect(n > 10, "the story makes too few calls to prove anything")
  }

  @Test(arguments: LockTests.strategies)
  func aFailureOfAnyCallAndAllAfterItLeavesTheLockFreeForOthers(
    strategy: BackoffLock.Strategy
  ) async throws {
    var n = 1
    while try await story(strategy, FaultyLocks(failing: n, .inputOutput, persistently: true)) {
      n += 1
    }
  }

  @Test(arguments: LockTests.strategies)
  func anInterruptionOfAnyCallChangesNothing(strategy: BackoffLock.Strategy) async throws {
    var n = 1
    while try await story(
      strategy, FaultyLocks(failing: n, .interrupted, persistently: false), mustSucceed: true)
    {
      n += 1
    }
  }

  /// A fresh file, an uncontended hold, a contended one, and two more that wait behind it.
  ///
  /// - Returns: Whether the failure was met.
  private func story(
    _ strategy: BackoffLock.Strategy, _ disk: FaultyLocks, mustSucceed: Bool = false
  ) async throws -> Bool {
    let scratch = LockScratch()
    let registry = LockRegistry()
    let other = scratch.lock(in: LockRegistry())
    do {
      let lock = scratch.lock(in: registry, fileSystem: disk.fileSystem) {
        $0.strategy = strategy
        $0.timeout = .seconds(600)
      }
      try await attempt(mustSucceed) { try await lock.withLock { _ in } }
      let held = try await other.tryLock()
      let first = Task { try await attempt(mustSucceed) { try await lock.withLock { _ in } } }
      let second = Task { try await attempt(mustSucceed) { try await lock.withLock { _ in } } }
      // Until both wait or have failed.
      for _ in 0..<20 { await Task.yield() }
      held?.release()
      try await first.value
      try await second.value
      #expect(lock.statistics.waiting == 0 && lock.statistics.holders == 0, "\(disk)")
    }
    // Free for others, and no descriptor is left once the lock is gone.
    try await other.withLock(timeout: .seconds(600)) { _ in }
    try await until { disk.openDescriptors == 0 }
    return disk.faultsMet > 0
  }

  private func attempt(_ mustSucceed: Bool, _ body: () async throws -> Void) async throws {
    do {
      try await body()
    } catch let error as LockError {
      #expect(!mustSucceed, "\(error)")
      #expect(error.cause != nil && !error.path.isEmpty)
    }
  }

  @Test(arguments: [ErrorNumber.noLocks, .notImplemented, .notSupported])
  func lockingThatTheFileSystemLacksIsSaidAndNotReplaced(number: ErrorNumber) async throws {
    for strategy in LockTests.strategies {
      let scratch = LockScratch()
      let disk = FaultyLocks(failingEvery: "fcntl", number)
      let lock = scratch.lock(fileSystem: disk.fileSystem) { $0.strategy = strategy }
      let error = await #expect(throws: LockError.self) { try await lock.withLock { _ in } }
      #expect(error?.code == .unsupported)
    }
  }
}
