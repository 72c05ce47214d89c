import BackoffLock
import ReliabilityIO
import ReliabilityTestSupport
import Testing

@testable import AtomicStore

/// Other programs change the files of a store: between commits, during one, and before it is applied.
@Suite(.offThePool) struct FileTransactionInterferenceTests {
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
      var probe = try scratch.openCore(&turns, fileSystem: disk.fileSystem)
      let line = try transaction { t throws(StoreError) in try t.append("a", "two") }
      _ = try probe.commit(line, token: turns.next())
      try probe.checkpoint(turns.next())
    }
    let line = try transaction { t throws(StoreError) in
      try t.append("a", "three")
      try t.replace("b", with: bytes("new"))
    }
    do {
      let writes = try Self.writesBefore(&turns, FaultyFileSystem())
      let disk = FaultyFileSystem(.nth("write", writes, .noSpace))
      var core = try scratch.openCore(&turns, fileSystem: disk.fileSystem)
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
    var core = try scratch.openCore(&turns)
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
  private static func writesBefore(_ turns: inout Turns, _ probe: FaultyFileSystem) throws -> Int {
    let copy = ScratchDirectory()
    var core = try copy.openCore(&turns)
    try core.checkpoint(turns.next())
    core = try copy.openCore(&turns, fileSystem: probe.fileSystem)
    let line = try transaction { t throws(StoreError) in try t.append("a", "x") }
    let before = probe.calls.count(where: { $0 == "write" })
    _ = try core.commit(line, token: turns.next())
    return before + 2
  }

  @Test func aForeignLineDuringTheCommitGoesFirstAndNothingIsLost() throws {
    let scratch = ScratchDirectory()
    var turns = Turns()
    try scratch.write("one\n", to: "a")
    let syncs = Tally()
    let file = scratch.file("a")
    // Another program appends while the journal is synced.
    let disk = FaultyFileSystem(before: { call in
      guard call == "fsync" else { return }
      if syncs.next() == 4 {
        let other = try? OpenFile(file, [.write, .append], fileSystem: .real)
        try? other?.writeAll(bytes("foreign, longer than ours\n").span, at: 0)
      }
    })
    var core = try scratch.openCore(&turns, fileSystem: disk.fileSystem)
    let line = try transaction { t throws(StoreError) in
      try t.append("a", "ours")
      try t.replace("b", with: bytes("new"))
    }
    let outcome = try core.commit(line, token: turns.next())
    #expect(outcome.isApplied)
    #expect(scratch.read("a") == "one\nforeign, longer than ours\nours\n")
    #expect(scratch.read("b") == "new")
    core = try scratch.openCore(&turns)
    #expect(core.problem == nil)
    #expect(scratch.read("a") == "one\nforeign, longer than ours\nours\n")
    _ = consume core
  }

  @Test func aFileThatIsRotatedBetweenCommitsIsBegunAnew() throws {
    let scratch = ScratchDirectory()
    var turns = Turns()
    var core = try scratch.openCore(&turns)
    let line = try transaction { t throws(StoreError) in try t.append("a", "x") }
    _ = try core.commit(line, token: turns.next())
    try RealFileSystem().rename(
      scratch.file("a"), in: nil, to: scratch.file("a.1"), in: nil, .replace)
    _ = try core.commit(line, token: turns.next())
    #expect(scratch.read("a.1") == "x\n" && scratch.read("a") == "x\n")
    core = try scratch.openCore(&turns)
    #expect(core.problem == nil)
    #expect(scratch.read("a.1") == "x\n" && scratch.read("a") == "x\n")
    _ = consume core
  }
}
