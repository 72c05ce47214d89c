import ReliabilityIO
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import BackoffLock

/// Many at once, most of whom change their mind; and the forms of locking that other systems use.
@Suite(.offThePool) struct LockStormTests {
  @Test(arguments: [false, true], [UInt64(1), 2])
  func aThousandTasksOfWhichTwoThirdsAreCancelledLoseNobody(
    usesWholeFiles: Bool, seed: UInt64
  ) async throws {
    let scratch = LockScratch()
    var generator = SeededGenerator(seed: seed)
    let locks = (0..<4).map { _ in
      scratch.lock(in: LockRegistry(), usesWholeFiles: usesWholeFiles)
    }
    let inside = Tally()
    let served = Tally()
    var tasks: [Task<Void, any Error>] = []
    var doomed: [Int] = []
    for index in 0..<1000 {
      let lock = locks[index % locks.count]
      let isReader = Int.random(in: 0..<4, using: &generator) == 0
      let mode = isReader ? BackoffLock.Mode.shared : .exclusive
      tasks.append(
        Task {
          try await lock.withLock(mode) { _ in
            guard mode == .exclusive else { return }
            #expect(inside.value == 0)
            inside.value = 1
            served.value += 1
            await Task.yield()
            inside.value = 0
          }
        })
      if Int.random(in: 0..<3, using: &generator) < 2 { doomed.append(index) }
      if Bool.random(using: &generator) { await Task.yield() }
      if doomed.count > 20, let victim = doomed.randomElement(using: &generator) {
        tasks[victim].cancel()
      }
    }
    doomed.shuffle(using: &generator)
    for index in doomed { tasks[index].cancel() }
    for (index, task) in tasks.enumerated() {
      do {
        try await task.value
      } catch is CancellationError {
        #expect(doomed.contains(index), "task \(index), seed \(seed)")
      }
    }
    for lock in locks {
      let statistics = lock.statistics
      #expect(statistics.waiting == 0 && statistics.holders == 0, "seed \(seed)")
      #expect(statistics.acquisitions + statistics.cancellations == statistics.attempts)
      #expect(statistics.timeouts == 0 && statistics.failures == 0, "seed \(seed)")
    }
    let last = scratch.lock(in: LockRegistry(), usesWholeFiles: usesWholeFiles)
    try await last.withLock(timeout: .seconds(600)) { _ in }
  }

  @Test(arguments: [BackoffLock.Strategy.automatic, .gate, .plain, .polling(.brisk)])
  func lockingOfWholeFilesExcludesAndServesEverybody(strategy: BackoffLock.Strategy) async throws {
    try await LockScratch().expectExclusion(processes: 3, tasks: 2, usesWholeFiles: true) {
      $0.strategy = strategy
    }
  }

  @Test func aQueueOfProcessesIsRefusedWhereOnlyWholeFilesCanBeLocked() async throws {
    let scratch = LockScratch()
    let lock = scratch.lock(usesWholeFiles: true) { $0.strategy = .queue }
    let error = await #expect(throws: LockError.self) { try await lock.withLock { _ in } }
    #expect(error?.code == .unsupported)
  }

  @Test(arguments: [BackoffLock.Strategy.automatic, .queue, .polling(.brisk)])
  func onANetworkEveryCallOfTheLockIsMadeOnItsOwnThread(
    strategy: BackoffLock.Strategy
  ) async throws {
    let scratch = LockScratch()
    let disk = FaultyLocks(isNetwork: true)
    let lock = scratch.lock(fileSystem: disk.fileSystem) {
      $0.strategy = strategy
      $0.idleHold = .milliseconds(1)
    }
    let other = scratch.lock(in: LockRegistry())
    // Makes the file: that is for a disk thread, as is opening it.
    try await other.withLock { _ in }
    try await lock.withLock { _ in }
    // Waits for the end of the idle hold.
    let held = try await other.acquire()
    let waiter = Task { try await lock.withLock { _ in } }
    let leaver = Task { try await lock.withLock { _ in } }
    try await until { lock.statistics.waiting == 2 }
    leaver.cancel()
    other.release(held)
    try await waiter.value
    await #expect(throws: LockTimeoutError.self) {
      try await other.withLock { _ in try await lock.withLock(timeout: .zero) { _ in } }
    }
    for call in ["fcntl", "write", "fstatat"] {
      #expect(disk.threads(of: call) == ["lock-wait"], "\(call)")
    }
  }
}
