import BackoffLock
import ReliabilityIO
import ReliabilityTesting
import Testing

@testable import AtomicStore

@Suite(.offThePool) struct FileTransactionStoreTests {
  private func open(
    _ scratch: ScratchDirectory, _ turns: inout Turns,
    options: TransactionStoreCore.Options = .small, fileSystem: FileSystem = .real
  ) throws -> TransactionStoreCore {
    try TransactionStoreCore.open(
      scratch.path, token: turns.next(), options: options, fileSystem: fileSystem)
  }

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
      var core = try open(scratch, &turns)
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
    var core = try open(scratch, &turns)
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
    var core = try open(scratch, &turns)
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
    var core = try open(scratch, &turns)
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
    var core = try open(scratch, &turns, options: options)
    let made = try transaction { t throws(StoreError) in
      try t.replace("large", with: large)
      try t.append("a", "x")
    }
    _ = try core.commit(made, token: turns.next())
    #expect(scratch.readBytes("large") == large)
    #expect(scratch.names.contains { JournalName.isSide($0) })
    // As after a kill: made again from the file beside the journal, which then goes.
    try RealFileSystem().unlink(scratch.file("large"), in: nil)
    core = try open(scratch, &turns, options: options)
    #expect(core.problem == nil)
    #expect(scratch.readBytes("large") == large)
    #expect(!scratch.names.contains { JournalName.isSide($0) })
    _ = consume core
  }

  @Test func tooManyLinesForOneTransactionAreRefusedAndNothingIsLeft() throws {
    let scratch = ScratchDirectory()
    var turns = Turns()
    var core = try open(scratch, &turns)
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

  enum Interference: CaseIterable, Sendable { case truncated, replaced, removed, overwritten }

  /// The transaction is committed but not applied when another program changes the file.
  @Test(arguments: Interference.allCases)
  func aFileThatAnotherProgramChangedStopsRecoveryUntilSomeoneDecides(
    interference: Interference
  ) throws {
    let scratch = ScratchDirectory()
    var turns = Turns()
    try scratch.write("one\n", to: "a")
    do {
      // The write to the file itself fails, after that of the journal.
      let disk = FaultyFileSystem()
      var probe = try open(scratch, &turns, fileSystem: disk.fileSystem)
      let line = try transaction { t throws(StoreError) in try t.append("a", "two") }
      _ = try probe.commit(line, token: turns.next())
      try probe.checkpoint(turns.next())
    }
    let line = try transaction { t throws(StoreError) in
      try t.append("a", "three")
      try t.replace("b", with: bytes("new"))
    }
    do {
      let probe = FaultyFileSystem()
      let writes = try Self.writesBefore(scratch, &turns, probe)
      let disk = FaultyFileSystem(.nth("write", writes, .noSpace))
      var core = try open(scratch, &turns, fileSystem: disk.fileSystem)
      let outcome = try core.commit(line, token: turns.next())
      guard case .committedPendingApply(_, let reason) = outcome else {
        Issue.record("expected a transaction that is not applied: \(outcome)")
        return
      }
      #expect(reason.code == .outOfSpace)
    }
    #expect(scratch.read("a") == "one\ntwo\n")
    let files = RealFileSystem()
    let expected: StoreError.Code
    switch interference {
    case .truncated:
      let file = try OpenFile(scratch.file("a"), [.write], fileSystem: .real)
      try file.truncate(to: 4)
      expected = .externallyTruncated
    case .replaced:
      try files.rename(scratch.file("a"), in: nil, to: scratch.file("a.1"), in: nil, .replace)
      try scratch.write("other\n", to: "a")
      expected = .externallyReplaced
    case .removed:
      try files.unlink(scratch.file("a"), in: nil)
      expected = .externallyReplaced
    case .overwritten:
      let file = try OpenFile(scratch.file("a"), [.write, .append], fileSystem: .real)
      try file.writeAll(bytes("foreign").span, at: 8)
      expected = .externallyOverwritten
    }
    let before = scratch.read("a")
    var core = try open(scratch, &turns)
    #expect(core.problem?.code == expected)
    #expect(core.problem?.suggestedActions.isEmpty == false)
    let error = #expect(throws: StoreError.self) { try core.commit(line, token: turns.next()) }
    #expect(error?.code == expected)
    #expect(throws: StoreError.self) { try core.recover(.strict, token: turns.next()) }
    #expect(scratch.read("a") == before)
    #expect(scratch.read("b") == nil)

    try core.recover(.appendAtEnd, token: turns.next())
    #expect(core.problem == nil)
    #expect(scratch.read("b") == "new")
    let after =
      switch interference {
      case .truncated: "one\nthree\n"
      case .replaced: "other\nthree\n"
      case .removed: "three\n"
      case .overwritten: "one\ntwo\nforeign\nthree\n"
      }
    #expect(scratch.read("a") == after)
    #expect(try core.commit(line, token: turns.next()).isApplied)
    #expect(scratch.read("a") == after + "three\n")
  }

  /// The number of the write to the file among all writes: the one after the journal's.
  private static func writesBefore(
    _ scratch: ScratchDirectory, _ turns: inout Turns, _ probe: FaultyFileSystem
  ) throws -> Int {
    let copy = ScratchDirectory()
    var core = try TransactionStoreCore.open(
      copy.path, token: turns.next(), options: .small, fileSystem: .real)
    try core.checkpoint(turns.next())
    _ = consume core
    core = try TransactionStoreCore.open(
      copy.path, token: turns.next(), options: .small, fileSystem: probe.fileSystem)
    let line = try transaction { t throws(StoreError) in try t.append("a", "x") }
    let before = probe.calls.count(where: { $0 == "write" })
    _ = try core.commit(line, token: turns.next())
    _ = scratch
    return before + 2
  }

  @Test func aForeignLineDuringTheCommitGoesFirstAndNothingIsLost() throws {
    let scratch = ScratchDirectory()
    var turns = Turns()
    try scratch.write("one\n", to: "a")
    let syncs = Counter()
    let file = scratch.file("a")
    // Another program appends while the journal is synced.
    let disk = FaultyFileSystem(before: { call in
      guard call == "fsync" else { return }
      if syncs.next() == 4 {
        let other = try? OpenFile(file, [.write, .append], fileSystem: .real)
        try? other?.writeAll(bytes("foreign, longer than ours\n").span, at: 0)
      }
    })
    var core = try open(scratch, &turns, fileSystem: disk.fileSystem)
    let line = try transaction { t throws(StoreError) in
      try t.append("a", "ours")
      try t.replace("b", with: bytes("new"))
    }
    let outcome = try core.commit(line, token: turns.next())
    #expect(outcome.isApplied)
    #expect(scratch.read("a") == "one\nforeign, longer than ours\nours\n")
    #expect(scratch.read("b") == "new")
    core = try open(scratch, &turns)
    #expect(core.problem == nil)
    #expect(scratch.read("a") == "one\nforeign, longer than ours\nours\n")
    _ = consume core
  }

  @Test func aFileThatIsRotatedBetweenCommitsIsBegunAnew() throws {
    let scratch = ScratchDirectory()
    var turns = Turns()
    var core = try open(scratch, &turns)
    let line = try transaction { t throws(StoreError) in try t.append("a", "x") }
    _ = try core.commit(line, token: turns.next())
    try RealFileSystem().rename(
      scratch.file("a"), in: nil, to: scratch.file("a.1"), in: nil, .replace)
    _ = try core.commit(line, token: turns.next())
    #expect(scratch.read("a.1") == "x\n" && scratch.read("a") == "x\n")
    core = try open(scratch, &turns)
    #expect(core.problem == nil)
    #expect(scratch.read("a.1") == "x\n" && scratch.read("a") == "x\n")
    _ = consume core
  }

  @Test func aHolderThatLostItsLockIsTurnedAway() throws {
    let scratch = ScratchDirectory()
    var turns = Turns()
    var late = try open(scratch, &turns)
    let stale = turns.next()
    var core = try open(scratch, &turns)
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
      var core = try open(scratch, &turns)
      for _ in 0..<3 {
        let line = try transaction { t throws(StoreError) in try t.append("a", "x") }
        _ = try core.commit(line, token: turns.next())
      }
    }
    let file = try OpenFile(scratch.file(JournalName.journal), [.write], fileSystem: .real)
    try file.writeAll([0xFF, 0xFF].span, at: Int64(JournalHeader.area + 20))
    let error = #expect(throws: StoreError.self) { _ = try open(scratch, &turns) }
    #expect(error?.code == .journalCorrupt)
    let aside = try await TransactionStore.discardPending(in: scratch.path)
    #expect(aside != nil)
    #expect(try await TransactionStore.discardPending(in: scratch.path) == nil)
    var core = try open(scratch, &turns)
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
