import Dispatch
import ReliabilityIO
import ReliabilityTestSupport
import Testing

@testable import AtomicStore

@Suite struct TurnQueueTests {
  @Test func turnsAreTakenOneAtATimeInTheOrderOfTheCalls() async {
    let queue = TurnQueue()
    let order = Record()
    await queue.take()
    await withTaskGroup(of: Void.self) { group in
      for n in 0..<300 {
        group.addTask {
          await queue.take()
          order.add(n)
          queue.give()
        }
        // Until it waits, so that the order of the calls is known.
        while queue.waitingCount < n + 1 { await Task.yield() }
      }
      queue.give()
    }
    #expect(order.entries == Array(0..<300))
    #expect(queue.waitingCount == 0)
    await queue.take()
    queue.give()
  }

  /// Were turns taken on the disk threads, a file shared by eight tasks would stop every save of the process.
  @Test(.holdsDiskThreads, .timeLimit(.minutes(10)))
  func aStuckFileHoldsOneDiskThreadHoweverManyTasksShareIt() async throws {
    let scratch = ScratchDirectory(inMemory: true)
    let door = DispatchSemaphore(value: 0)
    let stuck = Tally()
    let disk = FaultyFileSystem(before: { call in
      guard call == "write" else { return }
      _ = stuck.next()
      door.wait()
    })
    let file = try await AtomicFile(replacing: scratch.file("shared"), fileSystem: disk.fileSystem)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for n in 0..<20 { group.addTask { try await file.append([UInt8(n)]) } }
      while stuck.value < 1 { await Task.yield() }
      // All other disk threads are free.
      for n in 0..<20 { try await AtomicFile.replace(scratch.file("other \(n)"), with: [7]) }
      #expect(stuck.value == 1)
      for _ in 0..<20 { door.signal() }
      try await group.waitForAll()
    }
    #expect(file.size == 20)
    try await file.publish()
    #expect(scratch.readBytes("shared")?.sorted() == (0..<20).map { UInt8($0) })
  }

  @Test func aCancelledTaskKeepsItsTurn() async throws {
    let scratch = ScratchDirectory(inMemory: true)
    let file = try await AtomicFile(replacing: scratch.file("target"))
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<50 { group.addTask { try? await file.append([1]) } }
      group.cancelAll()
    }
    #expect(file.size == 50)
    try await file.publish()
  }
}

/// Notes numbers in the order they come.
private final class Record: Sendable {
  private let list = Lock<[Int]>([])

  var entries: [Int] { list.withLock { $0 } }

  func add(_ n: Int) { list.withLock { $0.append(n) } }
}
