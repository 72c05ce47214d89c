import AtomicStore
import Dispatch
import ReliabilityTestSupport
import Synchronization
import Testing

extension RealTimeLockAndDiskTests {
  /// Were saves made on the cooperative pool, these would hold all its threads, and nobody could let them go on.
  @Test(.holdsDiskThreads, .timeLimit(.minutes(10)))
  func tasksGoOnWhileEverySaveIsStuckInTheDisk() async throws {
    let scratch = ScratchDirectory()
    let saves = 20
    let door = DispatchSemaphore(value: 0)
    let stuck = Tally()
    let disk = FaultyFileSystem(before: { call in
      guard call == "fsync" else { return }
      _ = stuck.next()
      door.wait()
    })
    try await withThrowingTaskGroup { group in
      for index in 0..<saves {
        group.addTask {
          try await AtomicFile.replace(
            scratch.file("f\(index)"), with: [7], fileSystem: disk.fileSystem)
        }
      }
      while stuck.value < 8 { await Task.yield() }
      // The file's sync and the directory's.
      for _ in 0..<saves * 2 { door.signal() }
      try await group.waitForAll()
    }
    #expect(stuck.value == saves * 2)
  }
}
