import BackoffLock
import ReliabilityIO
import ReliabilityTestSupport
import Testing

@testable import AtomicStore

/// Fails every call of opening, committing and checkpointing in turn and looks at what is left, now and after the next
/// opening.
@Suite(.offThePool) struct FileTransactionFaultTests {
  struct Scenario: Sendable, CustomTestStringConvertible {
    var name: String
    var writeLimit: Int?
    var sideThreshold = 1 << 20
    /// The store has committed before, so that a journal is there and has a record.
    var isWarm = false
    var testDescription: String { name }
  }

  static let scenarios = [
    Scenario(name: "new store"),
    Scenario(name: "short writes", writeLimit: 997),
    Scenario(name: "content beside the journal", sideThreshold: 2),
    Scenario(name: "record to recover", isWarm: true),
  ]
  /// Every scenario with one error, and every error once: which one it was only shows in the code that is thrown.
  static let failures: [(Scenario, ErrorNumber)] =
    scenarios.map { ($0, .inputOutput) } + [
      (scenarios[0], .noSpace), (scenarios[3], .quotaExceeded),
    ]

  @Test(arguments: failures)
  func aFailureOfAnyCallOnceLeavesTheWholeTransactionOrNothing(
    scenario: Scenario, number: ErrorNumber
  ) throws {
    var n = 1
    while try run(scenario, .once(n, number)) { n += 1 }
    #expect(n > 50, "the scenario makes too few calls to prove anything")
  }

  @Test(arguments: scenarios)
  func aFailureOfAnyCallAndAllAfterItLeavesTheWholeTransactionOrNothing(
    scenario: Scenario
  ) throws {
    var n = 1
    while try run(scenario, .persistent(n, .noSpace)) { n += 1 }
    #expect(n > 50)
  }

  @Test(arguments: [scenarios[1], scenarios[3]])
  func anInterruptionOfAnyCallChangesNothing(scenario: Scenario) throws {
    var n = 1
    while try run(scenario, .once(n, .interrupted), mustSucceed: true) { n += 1 }
    #expect(n > 50)
  }

  private static let old = ["one\n", "old", "gone", nil]
  private static let new = ["one\ntwo\n", "new content", nil, "first\n"]

  private func contents(_ scratch: ScratchDirectory) -> [String?] {
    ["a", "b", "c", "d"].map { scratch.read($0) }
  }

  /// - Returns: Whether the run met its failure.
  private func run(
    _ scenario: Scenario, _ fault: FaultyFileSystem.Fault, mustSucceed: Bool = false
  ) throws -> Bool {
    let scratch = ScratchDirectory(inMemory: true)
    var turns = Turns()
    var options = TransactionStoreCore.Options.small
    options.sideThreshold = scenario.sideThreshold
    try scratch.write(scenario.isWarm ? "" : "one\n", to: "a")
    try scratch.write("old", to: "b")
    try scratch.write("gone", to: "c")
    if scenario.isWarm {
      var core = try TransactionStoreCore.open(
        scratch.path, token: turns.next(), options: options, fileSystem: .real)
      let line = try transaction { t throws(StoreError) in try t.append("a", "one") }
      _ = try core.commit(line, token: turns.next())
    }
    let change = try transaction { t throws(StoreError) in
      try t.append("a", "two")
      try t.replace("b", with: bytes("new content"))
      try t.remove("c")
      try t.append("d", "first")
    }
    let disk = FaultyFileSystem(fault, writeLimit: scenario.writeLimit)
    let context = Comment(rawValue: "\(scenario.name), \(fault)")
    enum Result { case nothing, unknown, committed, applied }
    var result = Result.nothing
    do {
      var core = try TransactionStoreCore.open(
        scratch.path, token: turns.next(), options: options, fileSystem: disk.fileSystem)
      let outcome = try core.commit(change, token: turns.next())
      result = outcome.isApplied ? .applied : .committed
      if result == .applied { #expect(contents(scratch) == Self.new, context) }
      try core.checkpoint(turns.next())
    } catch let error as StoreError {
      #expect(!mustSucceed, "\(context): \(error)")
      #expect(error.userMessage?.isEmpty == false && !error.path.isEmpty, context)
      if result == .nothing && error.code == .outcomeUnknown { result = .unknown }
    }
    #expect(disk.openDescriptors == 0, context)
    if result == .nothing && !scenario.isWarm { #expect(contents(scratch) == Self.old, context) }

    // The next process finds all or nothing, and what was promised.
    var core = try TransactionStoreCore.open(
      scratch.path, token: turns.next(), options: options, fileSystem: .real)
    #expect(core.problem == nil, context)
    let found = contents(scratch)
    switch result {
    case .nothing: #expect(found == Self.old, context)
    case .unknown: #expect(found == Self.old || found == Self.new, context)
    case .committed, .applied: #expect(found == Self.new, context)
    }
    try core.checkpoint(turns.next())
    if case .once = fault {
      let own = [JournalName.journal, "a", "b", "c", "d"]
      let left = scratch.names.filter { !own.contains($0) && !$0.hasSuffix(".rtmp") }
      #expect(left.isEmpty || left == [JournalName.newJournal], context)
    }
    return disk.faultsMet > 0
  }

  @Test func aFailedSyncOfTheJournalIsNeverRepeatedAndItsRecordNeverCounts() throws {
    let scratch = ScratchDirectory()
    var turns = Turns()
    // Syncs: journal and directory when made; file and directory of the first append; then the commit.
    let disk = FaultyFileSystem(.nth("fsync", 5, .inputOutput))
    var core = try TransactionStoreCore.open(
      scratch.path, token: turns.next(), options: .small, fileSystem: disk.fileSystem)
    try scratch.write("one\n", to: "a")
    let change = try transaction { t throws(StoreError) in
      try t.append("a", "two")
      try t.replace("b", with: bytes("x"))
    }
    let inode = try scratch.status(JournalName.journal).inode
    let error = #expect(throws: StoreError.self) { try core.commit(change, token: turns.next()) }
    #expect(error?.code == .syncFailed)
    #expect(error?.retryability == .retryable())
    #expect(try scratch.status(JournalName.journal).inode != inode)
    #expect(scratch.read("a") == "one\n" && scratch.read("b") == nil)
    do {
      let other = try TransactionStoreCore.open(
        scratch.path, token: turns.next(), options: .small, fileSystem: .real)
      #expect(other.lastTransaction == 0)
      #expect(scratch.read("a") == "one\n" && scratch.read("b") == nil)
    }
    #expect(try core.commit(change, token: turns.next()) == .committed(transaction: 1))
    #expect(scratch.read("a") == "one\ntwo\n")
  }

  @Test func whenNotEvenTheJournalCanBeReplacedTheOutcomeIsUnknownAndNothingMoreIsTaken() throws {
    let scratch = ScratchDirectory()
    var turns = Turns()
    try scratch.write("one\n", to: "a")
    let change = try transaction { t throws(StoreError) in try t.append("a", "two") }
    // All calls of opening and of a commit, up to and without its sync.
    let probe = FaultyFileSystem()
    do {
      let other = ScratchDirectory()
      try other.write("one\n", to: "a")
      var core = try TransactionStoreCore.open(
        other.path, token: turns.next(), options: .small, fileSystem: probe.fileSystem)
      _ = try core.commit(change, token: turns.next())
    }
    let sync = try #require(probe.calls.lastIndex(of: "fsync")) + 1
    let disk = FaultyFileSystem(.persistent(sync, .inputOutput))
    var core = try TransactionStoreCore.open(
      scratch.path, token: turns.next(), options: .small, fileSystem: disk.fileSystem)
    for _ in 0..<3 {
      let error = #expect(throws: StoreError.self) { try core.commit(change, token: turns.next()) }
      #expect(error?.code == .outcomeUnknown)
      #expect(error?.suggestedActions.isEmpty == false)
    }
    #expect(scratch.read("a") == "one\n")
    // A new store finds out: the record had reached the file, so it is committed.
    core = try TransactionStoreCore.open(
      scratch.path, token: turns.next(), options: .small, fileSystem: .real)
    #expect(core.lastTransaction == 1)
    #expect(scratch.read("a") == "one\ntwo\n")
    _ = consume core
  }

  @Test func aFileWhoseSyncFailedAtACheckpointIsWrittenAgainFromTheJournal() throws {
    let scratch = ScratchDirectory()
    var turns = Turns()
    let probe = FaultyFileSystem()
    let change = try transaction { t throws(StoreError) in try t.append("a", "x") }
    do {
      let other = ScratchDirectory()
      var core = try TransactionStoreCore.open(
        other.path, token: turns.next(), options: .small, fileSystem: probe.fileSystem)
      _ = try core.commit(change, token: turns.next())
    }
    let syncs = probe.calls.count(where: { $0 == "fsync" })
    let disk = FaultyFileSystem(.nth("fsync", syncs + 1, .inputOutput))
    var core = try TransactionStoreCore.open(
      scratch.path, token: turns.next(), options: .small, fileSystem: disk.fileSystem)
    #expect(try core.commit(change, token: turns.next()).isApplied)
    #expect(throws: StoreError.self) { try core.checkpoint(turns.next()) }
    #expect(core.problem?.code == .syncFailed)
    let writes = disk.calls.count(where: { $0 == "write" })
    #expect(try core.commit(change, token: turns.next()).isApplied)
    #expect(disk.calls.count(where: { $0 == "write" }) >= writes + 4)
    try core.checkpoint(turns.next())
    #expect(scratch.read("a") == "x\nx\n")
  }
}
