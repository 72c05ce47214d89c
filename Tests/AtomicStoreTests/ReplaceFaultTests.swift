import ReliabilityIO
import ReliabilityTestSupport
import Testing

@testable import AtomicStore

/// Fails every call of a save in turn and looks at what is left.
@Suite(.offThePool) struct ReplaceFaultTests {
  struct Scenario: Sendable, CustomTestStringConvertible {
    var name: String
    var existing = true
    var options = AtomicFile.Options()
    var writeLimit: Int?
    var testDescription: String { name }
  }

  static let scenarios: [Scenario] = [
    Scenario(name: "replacing"),
    Scenario(name: "replacing with another mode", options: .init(mode: 0o640)),
    Scenario(name: "creating", existing: false),
    Scenario(name: "create only", existing: false, options: .init(createOnly: true)),
    Scenario(name: "ordered", options: .init(durability: .ordered)),
    Scenario(name: "no durability", options: .init(durability: .none)),
    Scenario(name: "short writes", writeLimit: 3),
    Scenario(name: "plain", options: .init(keepsOwner: false, keepsAttributes: false)),
  ]

  static let numbers: [ErrorNumber] = [
    .inputOutput, .noSpace, .quotaExceeded, .permissionDenied, .notPermitted, .notFound, .exists,
    .notSupported, .invalidArgument, .readOnlyFileSystem, .busy, .wouldBlock, .notImplemented,
    .noLocks, .fileTooLarge, .tooManyOpenFiles, .noMemory, .staleHandle, .noAttribute,
  ]

  @Test(arguments: scenarios, numbers)
  func aFailureOfAnyCallOnceLeavesOldOrNewContentAndNoTemporaryFile(
    scenario: Scenario, number: ErrorNumber
  ) throws {
    var n = 1
    // A file that is said not to exist lends no mode.
    let checkMode = number != .notFound
    while try run(scenario, fault: .once(n, number), checkMode: checkMode) { n += 1 }
    #expect(n > 8, "the scenario makes too few calls to prove anything")
  }

  /// Without `ENOENT`: an `unlink` that says so of a file that is there would be a lie, not a failure.
  @Test(arguments: scenarios, numbers.filter { $0 != .notFound })
  func aFailureOfAnyCallAndAllAfterItLeavesOldOrNewContent(
    scenario: Scenario, number: ErrorNumber
  ) throws {
    var n = 1
    while try run(scenario, fault: .persistent(n, number)) { n += 1 }
  }

  @Test(arguments: scenarios)
  func anInterruptionOfAnyCallChangesNothing(scenario: Scenario) throws {
    var n = 1
    while try run(scenario, fault: .once(n, .interrupted), mustSucceed: true) { n += 1 }
    #expect(n > 8)
  }

  /// - Returns: Whether the run met its failure.
  private func run(
    _ scenario: Scenario, fault: FaultyFileSystem.Fault, mustSucceed: Bool = false,
    checkMode: Bool = true
  ) throws -> Bool {
    let scratch = ScratchDirectory(inMemory: true)
    if scenario.existing { try scratch.write("old content", to: "target", mode: 0o600) }
    let disk = FaultyFileSystem(fault, writeLimit: scenario.writeLimit)
    let old = scratch.read("target")
    let context = Comment(rawValue: "\(scenario.name), \(fault)")
    var leftover: String?
    do throws(StoreError) {
      let outcome = try AtomicFile.replace(
        scratch.file("target"), with: bytes("the new content"), options: scenario.options,
        fileSystem: disk.fileSystem)
      leftover = outcome.leftover
      #expect(scratch.read("target") == "the new content", context)
      let isDurable = scenario.options.durability == .full && disk.lastDirectorySyncWorked
      #expect(outcome.isDurable == isDurable, context)
      if scenario.existing && checkMode {
        let mode = try? scratch.status("target").mode
        #expect(mode == scenario.options.mode ?? 0o600, context)
      }
    } catch {
      leftover = error.leftover
      #expect(!mustSucceed, "\(context): \(error)")
      #expect(scratch.read("target") == old, context)
      #expect(!error.path.isEmpty && error.userMessage != nil, context)
    }
    let others = scratch.names.filter { $0 != "target" }
    #expect(others.map(scratch.file) == (leftover.map { [$0] } ?? []), context)
    #expect(disk.openDescriptors == 0, context)
    return disk.faultsMet > 0
  }

  @Test func aFailedSyncOfTheFileIsNeverRepeated() throws {
    let scratch = ScratchDirectory()
    try scratch.write("old", to: "target")
    let disk = FaultyFileSystem(.nth("fsync", 1, .inputOutput))
    let error = #expect(throws: StoreError.self) {
      try AtomicFile.replace(
        scratch.file("target"), with: bytes("new"), fileSystem: disk.fileSystem)
    }
    #expect(error?.code == .syncFailed)
    #expect(error?.retryability == .retryable())
    #expect(disk.calls.count(where: { $0 == "fsync" }) == 1)
    #expect(!disk.calls.contains("rename"))
    #expect(scratch.read("target") == "old")
    #expect(scratch.names == ["target"])
  }

  @Test(arguments: [ErrorNumber.invalidArgument, .notSupported, .badDescriptor])
  func aDirectoryThatCannotBeSyncedIsSaidInTheOutcome(number: ErrorNumber) throws {
    let scratch = ScratchDirectory()
    let disk = FaultyFileSystem(.nth("fsync", 2, number))
    let outcome = try AtomicFile.replace(
      scratch.file("target"), with: bytes("new"), fileSystem: disk.fileSystem)
    guard case .publishedNotDurable(let reason) = outcome.status else {
      Issue.record("expected not durable")
      return
    }
    #expect(reason.code == .directorySyncUnsupported)
    #expect(reason.cause?.number == number)
    #expect(scratch.read("target") == "new")
  }

  @Test func aFailedDirectorySyncIsPublishedButNotDurable() throws {
    let scratch = ScratchDirectory()
    let disk = FaultyFileSystem(.nth("fsync", 2, .inputOutput))
    let outcome = try AtomicFile.replace(
      scratch.file("target"), with: bytes("new"), fileSystem: disk.fileSystem)
    guard case .publishedNotDurable(let reason) = outcome.status else {
      Issue.record("expected not durable")
      return
    }
    #expect(reason.code == .directorySyncFailed)
    #expect(disk.calls.count(where: { $0 == "fsync" }) == 2)
  }

  @Test func aWriteThatTakesNothingIsAnError() throws {
    let scratch = ScratchDirectory()
    let disk = FaultyFileSystem(writeLimit: 0)
    let error = #expect(throws: StoreError.self) {
      try AtomicFile.replace(
        scratch.file("target"), with: bytes("new"), fileSystem: disk.fileSystem)
    }
    #expect(
      error?.cause
        == SystemCallError(
          .inputOutput, call: "write", path: error?.cause?.path ?? ""))
    #expect(scratch.names.isEmpty)
  }

  @Test(arguments: [1, 2, 7, 4096])
  func shortWritesGiveTheSameBytes(limit: Int) throws {
    let scratch = ScratchDirectory()
    let disk = FaultyFileSystem(writeLimit: limit)
    let content = (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    try AtomicFile.replace(scratch.file("target"), with: content, fileSystem: disk.fileSystem)
    #expect(scratch.readBytes("target") == content)
    #expect(disk.calls.count(where: { $0 == "write" }) == (content.count + limit - 1) / limit)
  }

  @Test func anErrorAfterAShortWriteSaysCallPathAndReason() throws {
    let scratch = ScratchDirectory()
    try scratch.write("old", to: "target")
    let disk = FaultyFileSystem(.nth("write", 3, .noSpace), writeLimit: 2)
    let error = #expect(throws: StoreError.self) {
      try AtomicFile.replace(
        scratch.file("target"), with: bytes("0123456789"), fileSystem: disk.fileSystem)
    }
    #expect(error?.code == .outOfSpace)
    #expect(error?.cause?.number == .noSpace)
    #expect(error?.cause?.call == "write")
    #expect(error?.retryability == .notRetryable)
    #expect(error?.userMessage?.contains("full") == true)
    #expect(scratch.read("target") == "old")
  }

  @Test func aTemporaryFileThatCannotBeRemovedIsNamedInTheError() throws {
    let scratch = ScratchDirectory()
    // The sync fails and from then on everything does.
    let probe = FaultyFileSystem()
    try AtomicFile.replace(
      scratch.file("other"), with: bytes("new"), fileSystem: probe.fileSystem)
    let sync = try #require(probe.calls.firstIndex(of: "fsync")) + 1
    let disk = FaultyFileSystem(.persistent(sync, .inputOutput))
    let error = #expect(throws: StoreError.self) {
      try AtomicFile.replace(
        scratch.file("target"), with: bytes("new"), fileSystem: disk.fileSystem)
    }
    let leftover = try #require(error?.leftover)
    #expect(scratch.names.map(scratch.file).contains(leftover))
    #expect(error?.suggestedActions.last?.contains(leftover) == true)
  }

  @Test func theCallsOfAFullReplaceAreTheDocumentedOnes() throws {
    let scratch = ScratchDirectory()
    try scratch.write("old", to: "target")
    let disk = FaultyFileSystem()
    try AtomicFile.replace(
      scratch.file("target"), with: bytes("new"), fileSystem: disk.fileSystem)
    #expect(
      disk.calls == [
        "opendir", "fstatat", "create", "flock", "fstat", "write", "open", "flistxattr", "close",
        "flistxattr", "fchmod", "fsync", "rename", "fsync", "close", "close",
      ])
  }

  @Test func theCallsOfAFullCreateAreTheDocumentedOnes() throws {
    let scratch = ScratchDirectory()
    let disk = FaultyFileSystem()
    try AtomicFile.replace(
      scratch.file("target"), with: bytes("new"), fileSystem: disk.fileSystem)
    #expect(
      disk.calls == [
        "opendir", "fstatat", "create", "flock", "fstat", "write", "fsync", "rename", "fsync",
        "close", "close",
      ])
  }

  @Test func emptyContentIsSyncedToo() throws {
    let scratch = ScratchDirectory()
    let disk = FaultyFileSystem()
    let outcome = try AtomicFile.replace(
      scratch.file("target"), with: [UInt8](), fileSystem: disk.fileSystem)
    #expect(outcome.isDurable)
    #expect(disk.calls.count(where: { $0 == "fsync" }) == 2)
    #expect(scratch.readBytes("target") == [])
  }
}
