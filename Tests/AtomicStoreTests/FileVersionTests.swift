import AtomicStore
import ReliabilityIO
import ReliabilityTestSupport
import Testing

/// Saves that only replace what was seen, leases, new directories, and sizes beyond 2 GiB.
@Suite(.offThePool) struct FileVersionTests {
  let scratch = ScratchDirectory(inMemory: true)

  @Test func aFileThatIsUnchangedIsReplacedAndTheOutcomeNamesTheNextVersion() async throws {
    let path = scratch.file("target")
    try scratch.write("old", to: "target")
    var version = try #require(try await AtomicFile.version(of: path))
    #expect(try await AtomicFile.contents(of: path)?.version == version)
    for n in 1...3 {
      let outcome = try await AtomicFile.replace(
        path, with: bytes("\(n)"), options: .init(ifUnchanged: version))
      #expect(outcome.version != version)
      version = try #require(outcome.version)
      #expect(try await AtomicFile.version(of: path) == version)
    }
    #expect(scratch.read("target") == "3")
  }

  @Test func aFileThatWasReplacedEditedOrRemovedIsLeftAlone() async throws {
    let path = scratch.file("target")
    for change in ["replaced", "edited", "removed", "touched"] {
      try await AtomicFile.replace(path, with: bytes("old"))
      let version = try await AtomicFile.version(of: path)
      switch change {
      case "replaced": try await AtomicFile.replace(path, with: bytes("old"))
      case "edited": try scratch.write("OLD", to: "target")
      case "removed": try RealFileSystem().unlink(path, in: nil)
      default:
        let file = try OpenFile(path, [.read, .write], fileSystem: .real)
        try RealFileSystem().touch(file.descriptor)
      }
      let before = scratch.read("target")
      let disk = FaultyFileSystem()
      let error = await #expect(throws: StoreError.self) {
        try await AtomicFile.replace(
          path, with: bytes("new"), options: .init(ifUnchanged: version),
          fileSystem: disk.fileSystem)
      }
      #expect(error?.code == .targetChanged && error?.retryability == .notRetryable, "\(change)")
      #expect(scratch.read("target") == before, "\(change)")
      #expect(!disk.calls.contains("write"), "\(change): noticed before anything is written")
    }
  }

  @Test func aChangeWhileTheNewContentIsWrittenIsNoticedBeforeTheRename() async throws {
    let path = scratch.file("target")
    try scratch.write("old", to: "target")
    let version = try await AtomicFile.version(of: path)
    let scratch = scratch
    let disk = FaultyFileSystem(before: { call in
      if call == "fsync" { try? scratch.write("theirs, and longer", to: "target") }
    })
    let error = await #expect(throws: StoreError.self) {
      try await AtomicFile.replace(
        path, with: bytes("new"), options: .init(ifUnchanged: version), fileSystem: disk.fileSystem)
    }
    #expect(error?.code == .targetChanged)
    #expect(scratch.read("target") == "theirs, and longer")
    #expect(scratch.names == ["target"])
  }

  @Test func aVersionOfNothingIsNil() async throws {
    #expect(try await AtomicFile.version(of: scratch.file("absent")) == nil)
    #expect(try await AtomicFile.contents(of: scratch.file("absent")) == nil)
  }

  @Test func aLeasedTargetIsSaidAndWorthAnotherTry() throws {
    try scratch.write("old", to: "target")
    let error = #expect(throws: StoreError.self) {
      try AtomicFile.replace(
        scratch.file("target"), with: bytes("new"),
        fileSystem: FaultyFileSystem(.nth("open", 1, .wouldBlock)).fileSystem)
    }
    #expect(error?.code == .targetIsLeased)
    #expect(error?.retryability == .retryable(after: .milliseconds(100)))
    #expect(error?.cause?.call == "open" && error?.cause?.number == .wouldBlock)
    #expect(scratch.names == ["target"] && scratch.read("target") == "old")
    let reading = #expect(throws: StoreError.self) {
      try AtomicFile.contents(
        of: scratch.file("target"),
        fileSystem: FaultyFileSystem(.nth("open", 1, .wouldBlock)).fileSystem)
    }
    #expect(reading?.code == .targetIsLeased)
  }

  @Test func missingDirectoriesAreMadeAndMadeDurable() throws {
    let options = AtomicFile.Options(createsDirectories: true)
    let disk = FaultyFileSystem()
    let outcome = try AtomicFile.replace(
      scratch.file("a/b//c/target"), with: bytes("new"), options: options,
      fileSystem: disk.fileSystem)
    #expect(outcome.isDurable && scratch.read("a/b/c/target") == "new")
    #expect(disk.calls.count(where: { $0 == "mkdir" }) == 3)
    // Three directories above the new ones, the file, its directory.
    #expect(disk.calls.count(where: { $0 == "fsync" }) == 5)
    #expect(disk.openDescriptors == 0)

    let again = FaultyFileSystem()
    try AtomicFile.replace(
      scratch.file("a/b/c/target"), with: bytes("newer"), options: options,
      fileSystem: again.fileSystem)
    #expect(!again.calls.contains("mkdir") && again.calls.count(where: { $0 == "fsync" }) == 2)
  }

  @Test func missingDirectoriesAreNotMadeUnlessAsked() throws {
    let error = #expect(throws: StoreError.self) {
      try AtomicFile.replace(scratch.file("a/target"), with: bytes("new"))
    }
    #expect(error?.code == .directoryMissing && scratch.names.isEmpty)
  }

  @Test func aNewDirectoryWhoseParentCannotBeSyncedIsSaid() throws {
    let outcome = try AtomicFile.replace(
      scratch.file("a/target"), with: bytes("new"), options: .init(createsDirectories: true),
      fileSystem: FaultyFileSystem(.nth("fsync", 1, .inputOutput)).fileSystem)
    guard case .publishedNotDurable(let reason) = outcome.status else {
      Issue.record("expected not durable")
      return
    }
    #expect(reason.code == .directorySyncFailed && reason.cause?.number == .inputOutput)
  }

  @Test(arguments: [ErrorNumber.noSpace, .inputOutput, .permissionDenied])
  func everyCallThatMakesDirectoriesMayFail(number: ErrorNumber) throws {
    var n = 1
    while true {
      let scratch = ScratchDirectory(inMemory: true)
      let disk = FaultyFileSystem(.once(n, number))
      do throws(StoreError) {
        try AtomicFile.replace(
          scratch.file("a/b/target"), with: bytes("new"),
          options: .init(createsDirectories: true), fileSystem: disk.fileSystem)
        #expect(scratch.read("a/b/target") == "new")
      } catch {
        #expect(scratch.read("a/b/target") == nil && error.cause?.number == number, "call \(n)")
      }
      #expect(disk.openDescriptors == 0, "call \(n)")
      if disk.faultsMet == 0 { break }
      n += 1
    }
    #expect(n > 15)
  }

  /// No kernel takes more than 0x7ffff000 bytes at once, and offsets beyond 2^31 are where 32 bits end.
  @Test func aFileOfFiveGigabytesIsWrittenWithoutAGap() async throws {
    let disk = FaultyFileSystem(writeLimit: 0x7fff_f000 >> 5, discardsContent: true)
    let piece = [UInt8](repeating: 7, count: 80 << 20)
    let file = try await AtomicFile(replacing: scratch.file("target"), fileSystem: disk.fileSystem)
    for _ in 0..<64 { try await file.append(piece) }
    #expect(file.size == 5 << 30)
    #expect(disk.discarded == 5 << 30)
    try await file.publish()
  }

  @Test(
    .enabled(
      if: Shell.isSet("RELIABILITY_LARGE_FILES"),
      "set RELIABILITY_LARGE_FILES to write 2 GiB for real"))
  func moreThanTwoGigabytesInOneCallAreWrittenWhole() throws {
    let scratch = ScratchDirectory()
    var content = [UInt8](repeating: 7, count: (2 << 30) + 4096)
    content[content.count - 1] = 9
    try AtomicFile.replace(
      scratch.file("target"), with: content, options: .init(durability: .none))
    let file = try OpenFile(scratch.file("target"), [.read], fileSystem: .real)
    #expect(try file.status().size == Int64(content.count))
    let end = try [UInt8](capacity: 2) { try file.readAll(into: &$0, at: Int64(content.count - 2)) }
    #expect(end == [7, 9])
  }
}
