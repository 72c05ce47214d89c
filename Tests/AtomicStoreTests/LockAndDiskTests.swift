import BackoffLock
import ReliabilityIO
import Testing

@testable import AtomicStore

/// Those who wait for a lock leave the threads alone that its holder needs to finish.
@Suite(.serialized) struct RealTimeLockAndDiskTests {
  @Test(.timeLimit(.minutes(10)))
  func fourTimesAsManyWaitersAsDiskThreadsDoNotStopAHolderThatSaves() async throws {
    let scratch = ScratchDirectory()
    let lock = BackoffLock(scratch.file("lock"))
    let other = BackoffLock(scratch.file("lock"), registry: LockRegistry())
    try await withThrowingTaskGroup { group in
      try await other.withLock { _ in
        for index in 0..<32 {
          let waiter = index.isMultiple(of: 2) ? lock : other
          group.addTask { try await waiter.withLock { _ in } }
        }
        while lock.statistics.waiting + other.statistics.waiting < 32 {
          try await ContinuousClock().wait(for: .milliseconds(1))
        }
        for _ in 0..<10 {
          try await AtomicFile.replace(scratch.file("document"), with: bytes("saved"))
        }
      }
      try await group.waitForAll()
    }
    #expect(scratch.read("document") == "saved")
    #expect(lock.statistics.acquisitions + other.statistics.acquisitions == 33)
  }

  @Test(.timeLimit(.minutes(10)))
  func anUnrelatedSleeperWakesOnTimeWhileTwentyTasksWaitForALock() async throws {
    let scratch = ScratchDirectory()
    let lock = BackoffLock(scratch.file("lock"))
    let other = BackoffLock(scratch.file("lock"), registry: LockRegistry())
    let clock = ContinuousClock()
    try await withThrowingTaskGroup { group in
      try await other.withLock { _ in
        for _ in 0..<20 { group.addTask { try await lock.withLock { _ in } } }
        while lock.statistics.waiting < 20 { try await clock.wait(for: .milliseconds(1)) }
        let start = clock.now
        try await clock.wait(for: .milliseconds(50))
        // Far below what one blocked thread of the pool would cost: the lock is held until this is done.
        #expect(clock.now - start < .milliseconds(500))
      }
      try await group.waitForAll()
    }
  }
}
