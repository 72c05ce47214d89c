import BackoffLock
import ReliabilityIO
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import AtomicStore

@Suite(.offThePool) struct FileTransactionStoreTests {
  @Test func changesOfSeveralFilesAreThereTogether() async throws {
    let scratch = ScratchDirectory()
    try scratch.write("old", to: "gone")
    let store = try await TransactionStore(scratch.path)
    let outcome = try await store.commit { transaction in
      try transaction.append("urls.txt", "one")
      try transaction.append("urls.txt", "two")
      try transaction.append("metadata.jsonl", #"{"n":1}"#)
      try transaction.replace("state.json", with: bytes("{}"), mode: 0o600)
      try transaction.remove("gone")
      try transaction.manifest("manifest.json", content: bytes(#"{"mine":true}"#))
    }
    #expect(outcome == .committed(transaction: 1))
    #expect(scratch.read("urls.txt") == "one\ntwo\n")
    #expect(scratch.read("metadata.jsonl") == "{\"n\":1}\n")
    #expect(scratch.read("state.json") == "{}")
    #expect(try scratch.status("state.json").mode == 0o600)
    #expect(scratch.read("gone") == nil)
    #expect(
      scratch.read("manifest.json")
        == #"{"txn":1,"files":{"metadata.jsonl":8,"state.json":2,"urls.txt":8},"content":{"mine":true}}"#
        + "\n")
    try await store.append("urls.txt", "three")
    try await store.replace("state.json", with: bytes("[]"))
    try await store.commit { transaction in
      try transaction.append("urls.txt", "four")
      try transaction.manifest("manifest.json")
    }
    let manifest = try await TransactionStore.readManifest("manifest.json", in: scratch.path)
    #expect(manifest.transaction == 4)
    #expect(manifest.files == ["metadata.jsonl": 8, "state.json": 2, "urls.txt": 19])
    #expect(manifest.content == bytes(#"{"mine":true}"#))
    try await store.append("urls.txt", "not in the manifest")
    #expect(try await manifest.read("urls.txt") == bytes("one\ntwo\nthree\nfour\n"))
    await #expect(throws: StoreError.self) { try await manifest.read("other") }

    #expect(try await TransactionStore.journalStatus(in: scratch.path)?.transactions == 5)
    try await store.close()
    let status = try await TransactionStore.journalStatus(in: scratch.path)
    #expect(status == JournalStatus(transactions: 0, lastTransaction: 5, needsRecovery: false))
    await #expect(throws: StoreError.self) { try await store.append("urls.txt", "x") }
    let again = try await TransactionStore(scratch.path)
    #expect(try await again.commit(FileTransaction()).transaction == 5)
    #expect(try await again.append("urls.txt", "five").transaction == 6)
    #expect(
      scratch.names.filter { $0.hasPrefix(".") } == [".transactions.journal", ".transactions.lock"])
  }

  @Test func aStoreOfADirectoryThatIsMissingIsNotOpened() async {
    let scratch = ScratchDirectory()
    let error = await #expect(throws: StoreError.self) {
      try await TransactionStore(scratch.file("missing"))
    }
    #expect(error?.code == .directoryMissing)
  }

  @Test func whatWasCommittedBeforeAKillIsFoundAsAWholeWhenReopened() throws {
    let scratch = ScratchDirectory()
    var turns = Turns()
    for number in 1...5 {
      var core = try scratch.openCore(&turns)
      let made = try transaction { t throws(StoreError) in
        try t.append("a", "line \(number)")
        try t.replace("b", with: bytes("\(number)"))
      }
      #expect(try core.commit(made, token: turns.next()).isApplied)
      // No close: the journal keeps the record, and the next one makes it again.
    }
    #expect(scratch.read("a") == (1...5).map { "line \($0)\n" }.joined())
    #expect(scratch.read("b") == "5")
  }

  @Test func aHalfLineOfAnotherProgramIsSetOffByALineBreak() throws {
    let scratch = ScratchDirectory()
    var turns = Turns()
    try scratch.write("whole\nhal", to: "a")
    var core = try scratch.openCore(&turns)
    let line = try transaction { t throws(StoreError) in try t.append("a", "ours") }
    _ = try core.commit(line, token: turns.next())
    #expect(scratch.read("a") == "whole\nhal\nours\n")
    try scratch.write("whole\nhal\nours\ntheirs", to: "a")
    _ = try core.commit(line, token: turns.next())
    #expect(scratch.read("a") == "whole\nhal\nours\ntheirs\nours\n")
  }

  @Test func linksAreRefusedOnEveryPartOfThePath() throws {
    let scratch = ScratchDirectory()
    let outside = ScratchDirectory()
    let files = RealFileSystem()
    try outside.write("secret", to: "target")
    try files.makeSymbolicLink(scratch.file("dir"), in: nil, destination: outside.path)
    try files.makeSymbolicLink(
      scratch.file("link"), in: nil, destination: outside.file("target"))
    try files.makeDirectory(scratch.file("real"), in: nil, mode: 0o755)
    var turns = Turns()
    var core = try scratch.openCore(&turns)
    for path in ["dir/target", "link"] {
      for change in 0..<3 {
        let made = try transaction { t throws(StoreError) in
          switch change {
          case 0: try t.append(path, "x")
          case 1: try t.replace(path, with: [])
          default: try t.remove(path)
          }
        }
        let error = #expect(throws: StoreError.self) {
          try core.commit(made, token: turns.next())
        }
        #expect(error?.code == .targetIsSymbolicLink, "\(path) \(change)")
      }
    }
    #expect(outside.read("target") == "secret")
    let missing = try transaction { t throws(StoreError) in try t.append("none/a", "x") }
    let error = #expect(throws: StoreError.self) { try core.commit(missing, token: turns.next()) }
    #expect(error?.code == .directoryMissing)
    let directory = try transaction { t throws(StoreError) in try t.replace("real", with: []) }
    #expect(throws: StoreError.self) { try core.commit(directory, token: turns.next()) }

    // A directory that is swapped for another is noticed.
    let inside = try transaction { t throws(StoreError) in try t.append("real/a", "x") }
    _ = try core.commit(inside, token: turns.next())
    try files.rename(scratch.file("real"), in: nil, to: scratch.file("old"), in: nil, .replace)
    try files.makeSymbolicLink(scratch.file("real"), in: nil, destination: outside.path)
    #expect(throws: StoreError.self) { try core.commit(inside, token: turns.next()) }
    #expect(outside.names == ["target"])
  }

  @Test func twoNamesOfOneFileAreRefused() throws {
    let scratch = ScratchDirectory()
    try scratch.write("a\n", to: "one")
    try RealFileSystem().link(scratch.file("one"), in: nil, to: scratch.file("two"), in: nil)
    var turns = Turns()
    var core = try scratch.openCore(&turns)
    let both = try transaction { t throws(StoreError) in
      try t.append("one", "1")
      try t.append("two", "2")
    }
    let error = #expect(throws: StoreError.self) { try core.commit(both, token: turns.next()) }
    #expect(error?.code == .conflictingChanges)
    #expect(scratch.read("one") == "a\n")
  }

  @Test func contentTooLargeForTheJournalGoesThroughAFileOfItsOwn() throws {
    let scratch = ScratchDirectory()
    var turns = Turns()
    var options = TransactionStoreCore.Options.small
    options.sideThreshold = 1000
    let large = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    var core = try scratch.openCore(&turns, options: options)
    let made = try transaction { t throws(StoreError) in
      try t.replace("large", with: large)
      try t.append("a", "x")
    }
    _ = try core.commit(made, token: turns.next())
    #expect(scratch.readBytes("large") == large)
    #expect(scratch.names.contains { JournalName.isSide($0) })
    // As after a kill: made again from the file beside the journal, which then goes.
    try RealFileSystem().unlink(scratch.file("large"), in: nil)
    core = try scratch.openCore(&turns, options: options)
    #expect(core.problem == nil)
    #expect(scratch.readBytes("large") == large)
    #expect(!scratch.names.contains { JournalName.isSide($0) })
    _ = consume core
  }

  @Test func tooManyLinesForOneTransactionAreRefusedAndNothingIsLeft() throws {
    let scratch = ScratchDirectory()
    var turns = Turns()
    var core = try scratch.openCore(&turns)
    let names = scratch.names
    let line = [UInt8](repeating: UInt8(ascii: "x"), count: 17 << 20)
    let made = try transaction { t throws(StoreError) in
      try t.append("a", line)
      try t.replace("b", with: line)
    }
    let error = #expect(throws: StoreError.self) { try core.commit(made, token: turns.next()) }
    #expect(error?.code == .transactionTooLarge)
    #expect(scratch.names == names)
  }

  @Test func aHolderThatLostItsLockIsTurnedAway() throws {
    let scratch = ScratchDirectory()
    var turns = Turns()
    var late = try scratch.openCore(&turns)
    let stale = turns.next()
    var core = try scratch.openCore(&turns)
    let line = try transaction { t throws(StoreError) in try t.append("a", "x") }
    _ = try core.commit(line, token: turns.next())
    let error = #expect(throws: StoreError.self) { try late.commit(line, token: stale) }
    #expect(error?.code == .fencedOff)
    #expect(scratch.read("a") == "x\n")
    #expect(throws: StoreError.self) {
      _ = try TransactionStoreCore.open(
        scratch.path, token: stale, options: .small, fileSystem: .real)
    }
    #expect(try late.commit(line, token: turns.next()).isApplied)
  }

  @Test func aJournalOfALaterVersionIsLeftAlone() async throws {
    let scratch = ScratchDirectory()
    _ = try await TransactionStore(scratch.path)
    var content = try #require(scratch.readBytes(JournalName.journal))
    for start in [0, JournalHeader.stride] {
      content[start + 4] = 2
      let crc = CRC32C(Array(content[start..<(start + 44)]).span).value
      for i in 0..<4 { content[start + 44 + i] = UInt8(truncatingIfNeeded: crc >> (8 * UInt32(i))) }
    }
    let file = try OpenFile(scratch.file(JournalName.journal), [.write], fileSystem: .real)
    try file.writeAll(content.span, at: 0)
    let error = await #expect(throws: StoreError.self) { try await TransactionStore(scratch.path) }
    #expect(error?.code == .formatTooNew)
    #expect(scratch.readBytes(JournalName.journal) == content)
  }

  @Test func aDamagedJournalIsReportedAndCanBeSetAside() async throws {
    let scratch = ScratchDirectory()
    var turns = Turns()
    do {
      var core = try scratch.openCore(&turns)
      for _ in 0..<3 {
        let line = try transaction { t throws(StoreError) in try t.append("a", "x") }
        _ = try core.commit(line, token: turns.next())
      }
    }
    let file = try OpenFile(scratch.file(JournalName.journal), [.write], fileSystem: .real)
    try file.writeAll([0xFF, 0xFF].span, at: Int64(JournalHeader.area + 20))
    let error = #expect(throws: StoreError.self) { _ = try scratch.openCore(&turns) }
    #expect(error?.code == .journalCorrupt)
    let aside = try await TransactionStore.discardPending(in: scratch.path)
    #expect(aside != nil)
    #expect(try await TransactionStore.discardPending(in: scratch.path) == nil)
    var core = try scratch.openCore(&turns)
    #expect(core.lastTransaction == 0 && core.problem == nil)
    _ = try core.commit(FileTransaction(), token: turns.next())
    #expect(scratch.read("a") == "x\nx\nx\n")
  }

  @Test func anIdleStoreEmptiesItsJournalAfterASecond() async throws {
    let scratch = ScratchDirectory()
    let clock = ManualClock()
    let store = try await TransactionStore(scratch.path, clock: clock)
    try await store.append("a", "x")
    #expect(try await TransactionStore.journalStatus(in: scratch.path)?.transactions == 1)
    clock.advance(by: .seconds(2))
    // The task that was started waits its turn behind the lock.
    while try await TransactionStore.journalStatus(in: scratch.path)?.transactions == 1 {
      clock.advance(by: .milliseconds(10))
      await Task.yield()
    }
    #expect(try await TransactionStore.journalStatus(in: scratch.path)?.lastTransaction == 1)
    try await store.close()
  }

  @Test func aCancelledTaskCommitsNothing() async throws {
    let scratch = ScratchDirectory()
    let store = try await TransactionStore(scratch.path)
    let task = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      return try await store.append("a", "x")
    }
    await #expect(throws: (any Error).self) { try await task.value }
    #expect(scratch.read("a") == nil)
    try await store.append("a", "y")
    #expect(scratch.read("a") == "y\n")
  }

  @Test(arguments: [
    TransactionStore.Configuration(lockTimeout: .zero), .init(checkpointSize: -1),
    .init(idleCheckpoint: .zero), .init(checkpointSize: 1 << 30),
  ])
  func aConfigurationFromOutsideIsChecked(configuration: TransactionStore.Configuration) {
    #expect(throws: ConfigurationError.self) { try configuration.validate() }
  }
}
