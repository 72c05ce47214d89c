import Dispatch
import ReliabilityIO
import ReliabilityTestSupport
import Testing

@testable import AtomicStore

@Suite(.offThePool) struct AppendLogGroupTests {
  @Test(.timeLimit(.minutes(10)))
  func manyCallersShareWritesAndSyncsAndEachRecordIsThereOnce() async throws {
    let scratch = ScratchDirectory()
    let log = try await AppendLog(scratch.file("log"))
    let receipts = try await withThrowingTaskGroup(of: [AppendLog.Receipt].self) { group in
      for task in 0..<64 {
        group.addTask {
          var receipts: [AppendLog.Receipt] = []
          for n in 0..<10 { receipts.append(try await log.append(record(task * 10 + n))) }
          return receipts
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    let texts = try await log.texts()
    #expect(Set(texts) == Set((0..<640).map { record($0) }))
    #expect(texts.count == 640)
    let allDurable = receipts.allSatisfy { $0.isDurable }
    #expect(allDurable)
    #expect(Set(receipts.map(\.start)).count == 640)
    #expect(log.health.counts.syncs < 400, "\(log.health.counts)")
    #expect(log.health.counts.records == 640)
  }

  @Test(.timeLimit(.minutes(10)))
  func twoLogsOnOneFileInterleaveWholeRecords() async throws {
    let scratch = ScratchDirectory()
    let logs = [try await AppendLog(scratch.file("log")), try await AppendLog(scratch.file("log"))]
    try await withThrowingTaskGroup { group in
      for (index, log) in logs.enumerated() {
        for task in 0..<4 {
          group.addTask {
            for n in 0..<25 {
              try await log.append(
                record(index * 100 + task * 25 + n, size: 300), durability: .none)
            }
          }
        }
      }
      try await group.waitForAll()
    }
    let texts = try await logs[0].texts()
    #expect(texts.count == 200)
    #expect(Set(texts) == Set((0..<200).map { record($0, size: 300) }))
    #expect(logs[0].health.badRecords.isEmpty)
  }

  @Test(.timeLimit(.minutes(10)))
  func anotherProcessCompactingIsNoticedByAppenders() async throws {
    let scratch = ScratchDirectory()
    let first = try await AppendLog(scratch.file("log"))
    let second = try await AppendLog(scratch.file("log"))
    let end = try await first.append(record(1)).end
    try await second.append(record(2))
    let compaction = try await first.compact(upTo: end, replacingWith: [bytes(record(100))])
    let receipt = try await second.append(record(3))
    #expect(receipt.start.generation == 2)
    #expect(compaction.generation == 2)
    for log in [first, second] {
      #expect(try await log.texts() == [record(100), record(2), record(3)])
    }
    let error = await #expect(throws: StoreError.self) { try await first.texts(from: end) }
    #expect(error?.code == .stalePosition)
  }

  /// Stops the first sync of a log's own round, so that others queue behind it.
  @Test(.holdsDiskThreads, .timeLimit(.minutes(10)))
  func aCancelledCallerIsWithdrawnOrCompletes() async throws {
    let scratch = ScratchDirectory()
    let door = DispatchSemaphore(value: 0)
    let armed = Tally()
    let stuck = Tally()
    let disk = FaultyFileSystem(before: { call in
      guard call == "fsync", armed.value > 0 else { return }
      if stuck.next() == 0 { door.wait() }
    })
    let log = try await AppendLog(scratch.file("log"), fileSystem: disk.fileSystem)
    try await log.append(record(0))
    _ = armed.next()
    let taken = Task { try await log.append(record(1)) }
    while stuck.value == 0 { await Task.yield() }
    let waiting = Task { try await log.append(record(2)) }
    let staying = Task { try await log.append(record(3)) }
    while log.shared.withLock({ $0.queue.waiting.count }) < 2 { await Task.yield() }
    waiting.cancel()
    taken.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    door.signal()
    _ = try await taken.value
    _ = try await staying.value
    #expect(try await log.texts() == [record(0), record(1), record(3)])
    // And before it began.
    let late = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      return try await log.append(record(4))
    }
    await #expect(throws: CancellationError.self) { try await late.value }
    #expect(try await log.texts().count == 3)
  }

  @Test(.timeLimit(.minutes(10)))
  func cancellingAtRandomLosesNoAcknowledgementAndNoTurn() async throws {
    let scratch = ScratchDirectory(inMemory: true)
    let log = try await AppendLog(scratch.file("log"))
    let seed = UInt64.random(in: 0 ... .max)
    var random = SeededGenerator(seed: seed)
    for round in 0..<40 {
      let tasks = (0..<8).map { n in
        Task { try await log.append(record(round * 8 + n)) }
      }
      for task in tasks where random.next() % 3 == 0 {
        if random.next() % 2 == 0 { await Task.yield() }
        task.cancel()
      }
      var done: [String] = []
      var withdrawn: [String] = []
      for (n, task) in tasks.enumerated() {
        switch await task.result {
        case .success: done.append(record(round * 8 + n))
        case .failure(let error):
          #expect(error is CancellationError, "seed \(seed)")
          withdrawn.append(record(round * 8 + n))
        }
      }
      let texts = Set(try await log.texts())
      #expect(texts.isSuperset(of: done), "seed \(seed)")
      #expect(texts.isDisjoint(with: withdrawn), "seed \(seed)")
    }
    try await log.close()
  }

  @Test(.holdsDiskThreads, .timeLimit(.minutes(10)))
  func tasksGoOnWhileTwentyWaitForASync() async throws {
    let scratch = ScratchDirectory()
    let door = DispatchSemaphore(value: 0)
    let stuck = Tally()
    let armed = Tally()
    let disk = FaultyFileSystem(before: { call in
      guard call == "fsync", armed.value > 0 else { return }
      if stuck.next() == 0 { door.wait() }
    })
    let log = try await AppendLog(scratch.file("log"), fileSystem: disk.fileSystem)
    _ = armed.next()
    try await withThrowingTaskGroup { group in
      for n in 0..<20 { group.addTask { _ = try await log.append(record(n)) } }
      while stuck.value < 1 { await Task.yield() }
      door.signal()
      try await group.waitForAll()
    }
    #expect(try await log.texts().count == 20)
  }
}

@Suite(.offThePool) struct LogQueueTests {
  final class Entry: @unchecked Sendable {}

  @Test func theFirstLeadsAndTheOthersJoinItsRounds() {
    var queue = LogQueue<Entry>()
    var admission = LogQueue<Entry>.Admission.wait
    let entries = (0..<4).map { _ in Entry() }
    admission = queue.add(entries[0])
    #expect(admission == .lead)
    admission = queue.add(entries[1])
    #expect(admission == .wait)
    let round = queue.takeRound(limit: 10) { _ in 1 }
    #expect(round.map(ObjectIdentifier.init) == entries[..<2].map(ObjectIdentifier.init))
    admission = queue.add(entries[2])
    #expect(admission == .wait)
    let next = queue.endTurn()
    #expect(next === entries[2])
    #expect(queue.hasLeader)
    let second = queue.takeRound(limit: 10) { _ in 1 }
    #expect(second.count == 1)
    let nobody = queue.endTurn()
    #expect(nobody == nil)
    #expect(!queue.hasLeader)
    admission = queue.add(entries[3])
    #expect(admission == .lead)
  }

  @Test func aRoundHasALimitButTakesOneInAnyCase() {
    var queue = LogQueue<Entry>()
    for _ in 0..<5 { _ = queue.add(Entry()) }
    let two = queue.takeRound(limit: 20) { _ in 10 }
    let one = queue.takeRound(limit: 5) { _ in 10 }
    #expect(two.count == 2 && one.count == 1)
    #expect(queue.waiting.count == 2)
  }

  @Test func nobodyGetsInAfterTheLastOneUnlessItIsWithdrawn() {
    var queue = LogQueue<Entry>()
    var admission = LogQueue<Entry>.Admission.wait
    let last = Entry()
    admission = queue.close(with: last)
    #expect(admission == .lead)
    admission = queue.add(Entry())
    #expect(admission == .refused)
    let first = queue.withdraw(last)
    let again = queue.withdraw(last)
    #expect(first && !again)
    queue.reopen()
    let next = queue.endTurn()
    #expect(next == nil)
    admission = queue.add(last)
    #expect(admission == .lead)
  }
}
