import BackoffLock
import Dispatch
import ReliabilityIO
import ReliabilityTestSupport
import Testing

@testable import AtomicStore

/// Those who wait for a lock leave the threads alone that its holder needs to finish.
@Suite(.realTime, .serialized) struct RealTimeLockAndDiskTests {
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

  @Test(.holdsDiskThreads, .timeLimit(.minutes(10)))
  func anUnrelatedSleeperWakesOnTimeWhileTwentyTasksWaitForALockAndTwentyForTheDisk() async throws {
    let scratch = ScratchDirectory()
    let lock = BackoffLock(scratch.file("lock"))
    let other = BackoffLock(scratch.file("lock"), registry: LockRegistry())
    let clock = ContinuousClock()
    let door = DispatchSemaphore(value: 0)
    let stuck = Tally()
    let disk = FaultyFileSystem(before: { call in
      guard call == "fsync" else { return }
      stuck.next()
      door.wait()
    })
    let hold = try await other.acquire()
    try await withThrowingTaskGroup { group in
      // First the lock: to open its file takes a disk thread, and soon there is none.
      for _ in 0..<20 { group.addTask { try await lock.withLock { _ in } } }
      while lock.statistics.waiting < 20 { try await clock.wait(for: .milliseconds(1)) }
      for index in 0..<20 {
        group.addTask {
          try await AtomicFile.replace(
            scratch.file("\(index)"), with: [7], fileSystem: disk.fileSystem)
        }
      }
      while stuck.value < 8 { try await clock.wait(for: .milliseconds(1)) }
      // Nobody goes on before the sleeper has woken on time. A machine that is busy with other things may be late once; one whose
      // pool is blocked is late for ever.
      var late: Duration
      repeat {
        let start = clock.now
        try await clock.wait(for: .milliseconds(50))
        late = clock.now - start - .milliseconds(50)
      } while late > .milliseconds(100)
      // The file's sync and the directory's.
      for _ in 0..<40 { door.signal() }
      other.release(hold)
      try await group.waitForAll()
    }
    #expect(lock.statistics.acquisitions == 20)
  }
}
