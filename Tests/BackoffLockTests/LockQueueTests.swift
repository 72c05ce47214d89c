import ReliabilityIO
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import BackoffLock

/// The queue of processes: what stays locked, and for how long.
@Suite(.offThePool) struct LockQueueTests {
  /// A lock in what the system takes for another process, and the file as a third one sees it.
  private func lock(_ scratch: LockScratch) -> BackoffLock {
    scratch.lock(in: LockRegistry()) { $0.strategy = .queue }
  }

  @Test(.timeLimit(.minutes(10)))
  func whoeverIsNextComesOnlyWhenTheOneBeforeIsDone() async throws {
    let scratch = LockScratch()
    let holder = try await lock(scratch).acquire()
    let outside = try LockFile.open(scratch.path, .native, .real)
    #expect(try !outside.isAwaited())
    let second = lock(scratch)
    let waiter = Task { try await second.acquire() }
    try await until { (try? outside.isAwaited()) == true }
    holder.lock.release(holder)
    let hold = try await waiter.value
    // It keeps the place in the queue from which it came, so that the next one sleeps once and is woken once.
    #expect(try outside.isAwaited())
    #expect(try !outside.take(.main, .exclusive, waits: false))
    #expect(try !hold.core.file!.isAwaited())
    second.release(hold)
    #expect(try !outside.isAwaited())
    #expect(try outside.take(.main, .exclusive, waits: false))
  }

  @Test(.timeLimit(.minutes(10)))
  func readersThatCameThroughTheQueueHoldTogether() async throws {
    let scratch = LockScratch()
    let first = lock(scratch)
    let writer = try await first.acquire()
    let others = (0..<3).map { _ in lock(scratch) }
    let readers = others.map { other in Task { try await other.acquire(.shared) } }
    for other in others { try await until { other.statistics.waiting == 1 } }
    first.release(writer)
    var holds: [LockHold] = []
    for reader in readers { holds.append(try await reader.value) }
    #expect(others.map(\.statistics.holders) == [1, 1, 1])
    #expect(try await !isFree(first))
    for (other, hold) in zip(others, holds) { other.release(hold) }
    #expect(try await isFree(first))
  }

  @Test(.timeLimit(.minutes(10)))
  func processesAreServedInTheOrderInWhichTheyCame() async throws {
    let scratch = LockScratch()
    let first = lock(scratch)
    let outside = try LockFile.open(scratch.path, .native, .real, creating: true)
    for _ in 0..<5 {
      let holder = try await first.acquire()
      let order = Tally()
      var waiters: [Task<Void, any Error>] = []
      for number in 1...6 {
        let other = lock(scratch)
        let before = try outside.lastPlace()
        waiters.append(
          Task { try await other.withLock { _ in order.value = order.value * 10 + number } })
        // With a place, nobody who comes later can be before it.
        try await until { (try? outside.lastPlace()) != before }
      }
      first.release(holder)
      for waiter in waiters { try await waiter.value }
      #expect(order.value == 123_456)
    }
  }

  @Test(.timeLimit(.minutes(10)))
  func whoTriesOnceLeavesNoTrace() async throws {
    let scratch = LockScratch()
    let first = lock(scratch)
    let hold = try await first.acquire()
    let before = scratch.bytes
    let outside = try LockFile.open(scratch.path, .native, .real)
    let other = lock(scratch)
    for _ in 0..<3 { #expect(try await !isFree(other)) }
    #expect(try !outside.isAwaited())
    #expect(scratch.bytes == before)
    first.release(hold)
  }

  @Test func aLockThatNobodyElseWantsCostsFiveCalls() async throws {
    let scratch = LockScratch()
    let files = FaultyLocks(isNetwork: false)
    let lock = scratch.lock(fileSystem: files.fileSystem) { $0.strategy = .queue }
    try await lock.withLock { _ in }
    let before = files.calls
    try await lock.withLock { _ in }
    // Is anybody there, take, what is at the path, whose turn was it, give up. On the machine's own file system one look
    // at the file stands for the third and the fourth.
    #expect(files.calls - before == 5)
  }
}

extension LockFile {
  /// The number of the last place in the queue.
  fileprivate func lastPlace() throws -> [UInt8] { try read(at: Self.placeOffset, count: 8) }
}
