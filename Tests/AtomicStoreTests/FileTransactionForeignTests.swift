import BackoffLock
import ReliabilityIO
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import AtomicStore

/// What others do to a store's directory while it is open, and what is at the limits.
@Suite(.offThePool) struct FileTransactionForeignTests {
  private func line(_ path: String, _ text: String) throws -> FileTransaction {
    try transaction { t throws(StoreError) in try t.append(path, text) }
  }

  @Test func aJournalThatIsRemovedIsMissedAtTheNextCommitAlsoWhenNobodyElseHadTheLock() throws {
    let scratch = ScratchDirectory()
    var turns = Turns()
    var core = try scratch.openCore(&turns)
    let first = FencingToken(epoch: 1, turn: 5 << 16)
    let second = FencingToken(epoch: 1, turn: 5 << 16 + 1)
    #expect(second.directlyFollows(first))
    _ = try core.commit(line("a", "one"), token: first)
    try RealFileSystem().unlink(scratch.file(JournalName.journal), in: nil)
    let error = #expect(throws: StoreError.self) {
      try core.commit(line("a", "two"), token: second)
    }
    #expect(error?.code == .closed)
    #expect(scratch.read("a") == "one\n")
  }

  @Test func aDirectoryThatIsRemovedIsReported() async throws {
    let scratch = ScratchDirectory()
    let files = RealFileSystem()
    let path = scratch.file("store")
    try files.makeDirectory(path, in: nil, mode: 0o755)
    let store = try await TransactionStore(path)
    try await store.append("a", "one")
    for name in scratch.names(in: "store") { try files.unlink(path + "/" + name, in: nil) }
    try files.removeDirectory(path, in: nil)
    let error = await #expect(throws: (any Error).self) { try await store.append("a", "two") }
    #expect(
      (error as? StoreError)?.code == .directoryMissing || (error as? StoreError)?.code == .closed)
    #expect(scratch.names.isEmpty)
  }

  @Test func aDirectoryThatIsSwappedForAnotherIsNotWrittenUnderTheWrongLock() async throws {
    let scratch = ScratchDirectory()
    let files = RealFileSystem()
    let path = scratch.file("store")
    try files.makeDirectory(path, in: nil, mode: 0o755)
    let clock = ManualClock()
    let store = try await TransactionStore(path, clock: clock)
    try await store.append("a", "one")
    try files.rename(path, in: nil, to: scratch.file("moved"), in: nil, .replace)
    try files.makeDirectory(path, in: nil, mode: 0o755)
    clock.advance(by: .seconds(1))
    await #expect(throws: StoreError.self) { try await store.append("a", "two") }
    #expect(scratch.read("moved/a") == "one\n")
    #expect(scratch.read("store/a") == nil)
  }

  @Test func aLockFileThatIsRemovedLosesNothing() async throws {
    let scratch = ScratchDirectory()
    let clock = ManualClock()
    let first = try await TransactionStore(scratch.path, clock: clock)
    try await first.append("a", "one")
    clock.advance(by: .milliseconds(100))
    try RealFileSystem().unlink(scratch.file(JournalName.lock), in: nil)
    // Tokens begin anew with the file: the store is refused until they have caught up, or serves at once.
    var lines = 1
    for _ in 0..<5 {
      do {
        let second = try await TransactionStore(scratch.path, clock: clock)
        try await second.append("a", "more")
        lines += 1
      } catch let error as StoreError {
        #expect(error.code == .fencedOff)
      }
      do {
        try await first.append("a", "more")
        lines += 1
      } catch let error as StoreError {
        #expect(error.code == .fencedOff)
      }
      clock.advance(by: .milliseconds(100))
    }
    let text = try #require(scratch.read("a"))
    #expect(text == "one\n" + String(repeating: "more\n", count: lines - 1))
    #expect(lines > 1)
  }

  @Test func oneDirectoryByThreeSpellingsIsOneStore() async throws {
    let scratch = ScratchDirectory()
    let files = RealFileSystem()
    try files.makeDirectory(scratch.file("store"), in: nil, mode: 0o755)
    try files.makeSymbolicLink(scratch.file("link"), in: nil, destination: "store")
    let paths = ["store", "link", "store/../link/."].map { scratch.file($0) }
    try await withThrowingTaskGroup { group in
      for path in paths {
        group.addTask {
          let store = try await TransactionStore(path)
          for number in 0..<10 {
            try await store.commit { transaction in
              try transaction.append("a", "\(path) \(number)")
              try transaction.append("b", "\(path) \(number)")
            }
          }
        }
      }
      try await group.waitForAll()
    }
    let text = try #require(scratch.read("store/a"))
    #expect(text == scratch.read("store/b"))
    #expect(Set(text.split(separator: "\n")).count == 30)
    #expect(try await TransactionStore.journalStatus(in: paths[0])?.lastTransaction == 30)
  }

  @Test(arguments: ["new\nline", String(repeating: "n", count: 255), " ", "\u{301}é", "-rf", "*"])
  func aNameThatIsUnusualIsANameLikeAnyOther(name: String) async throws {
    let scratch = ScratchDirectory()
    let document = String(name.dropLast()) + "2"
    // Without a checkpoint in between, however slow the machine is.
    var configuration = TransactionStore.Configuration()
    configuration.idleCheckpoint = nil
    let store = try await TransactionStore(scratch.path, configuration: configuration)
    try await store.commit { transaction in
      try transaction.append(name, "line")
      try transaction.replace(document, with: bytes("whole"))
      try transaction.manifest("manifest.json")
    }
    let manifest = try await TransactionStore.readManifest("manifest.json", in: scratch.path)
    #expect(manifest.files == [name: 5, document: 5])
    #expect(try await manifest.read(name) == bytes("line\n"))
    // Made again from the journal.
    try RealFileSystem().unlink(scratch.file(name), in: nil)
    try RealFileSystem().unlink(scratch.file(document), in: nil)
    let again = try await TransactionStore(scratch.path)
    #expect(await again.problem == nil)
    #expect(scratch.read(name) == "line\n" && scratch.read(document) == "whole")
  }

  @Test func tenThousandLinesAreOneTransaction() async throws {
    let scratch = ScratchDirectory(inMemory: true)
    let store = try await TransactionStore(scratch.path)
    let outcome = try await store.commit { transaction in
      for number in 0..<10_000 { try transaction.append("f\(number % 100)", "line \(number)") }
    }
    #expect(outcome == .committed(transaction: 1))
    let lines = (0..<100).reduce(0) { count, file in
      count + (scratch.read("f\(file)")?.split(separator: "\n").count ?? 0)
    }
    #expect(lines == 10_000)
    let again = try await TransactionStore(scratch.path)
    #expect(await again.problem == nil)
  }

  @Test func aTransactionWithoutChangesWritesNothing() throws {
    let scratch = ScratchDirectory()
    var turns = Turns()
    var core = try scratch.openCore(&turns)
    let before = scratch.readBytes(JournalName.journal)
    #expect(
      try core.commit(FileTransaction(), token: turns.next()) == .committed(transaction: 0))
    #expect(scratch.readBytes(JournalName.journal) == before)
  }

  @Test(arguments: [0, 1]) func aRecordMayTakeSixteenMebibytesAndNotAByteMore(more: Int) throws {
    let scratch = ScratchDirectory(inMemory: true)
    var turns = Turns()
    var core = try scratch.openCore(&turns)
    // Count of operations, kind, path with its length, inode, base, length; and the line break.
    let overhead = 4 + 1 + 3 + 8 + 8 + 4 + 1
    let count = JournalRecord.maximumPayload - overhead + more
    let change = try transaction { t throws(StoreError) in
      try t.append("a", [UInt8](repeating: UInt8(ascii: "x"), count: count))
    }
    if more == 0 {
      #expect(try core.commit(change, token: turns.next()).isApplied)
      #expect(try scratch.status("a").size == Int64(count + 1))
      core = try scratch.openCore(&turns)
      #expect(core.problem == nil && core.lastTransaction == 1)
    } else {
      let error = #expect(throws: StoreError.self) {
        try core.commit(change, token: turns.next())
      }
      #expect(error?.code == .transactionTooLarge)
      #expect(scratch.read("a") == nil)
    }
    _ = consume core
  }
}
