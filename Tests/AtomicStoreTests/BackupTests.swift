import AtomicStore
import ReliabilityIO
import ReliabilityTestSupport
import Testing

/// Backup generations of a save.
@Suite(.offThePool) struct BackupTests {
  let scratch = ScratchDirectory(inMemory: true)

  private func save(
    _ text: String, backups: Int, on disk: FaultyFileSystem = FaultyFileSystem()
  ) throws -> PublishOutcome {
    try AtomicFile.replace(
      scratch.file("target"), with: bytes(text), options: .init(backups: backups),
      fileSystem: disk.fileSystem)
  }

  @Test func eachSaveMovesTheGenerationsOnByOne() throws {
    #expect(try save("1", backups: 3).backup == .none)
    for n in 2...6 {
      #expect(try save("\(n)", backups: 3).backup == .made(scratch.file("target.bak")))
    }
    #expect(scratch.names == ["target", "target.bak", "target.bak.2", "target.bak.3"])
    #expect(scratch.names.map(scratch.read) == ["6", "5", "4", "3"])
    #expect(try scratch.status("target").links == 1)
  }

  @Test func fewerBackupsThanBeforeLeaveTheOlderOnesAlone() throws {
    for n in 1...3 { _ = try save("\(n)", backups: 2) }
    for n in 4...5 { _ = try save("\(n)", backups: 1) }
    #expect(scratch.read("target.bak") == "4")
    #expect(scratch.read("target.bak.2") == "1")
  }

  @Test func aMissingGenerationIsNoObstacle() throws {
    for n in 1...4 { _ = try save("\(n)", backups: 3) }
    try RealFileSystem().unlink(scratch.file("target.bak.2"), in: nil)
    _ = try save("5", backups: 3)
    #expect(scratch.read("target.bak") == "4" && scratch.read("target.bak.2") == "3")
    #expect(scratch.read("target.bak.3") == "1")
  }

  /// No copy is made: the backup is the very file that was the target.
  @Test func theBackupIsTheOldFileItself() throws {
    try scratch.write("old", to: "target", mode: 0o640)
    let old = try scratch.status("target")
    _ = try save("new", backups: 1)
    let kept = try scratch.status("target.bak")
    #expect(kept.inode == old.inode && kept.mode == 0o640 && kept.modified == old.modified)
  }

  @Test func theCallsOfASaveWithOneBackupAreTheDocumentedOnes() throws {
    _ = try save("1", backups: 1)
    _ = try save("2", backups: 1)
    let disk = FaultyFileSystem()
    _ = try save("3", backups: 1, on: disk)
    #expect(
      disk.calls == [
        "opendir", "fstatat", "create", "flock", "fstat", "write", "open", "flistxattr", "close",
        "flistxattr", "fchmod", "fsync", "fstatat", "fstatat", "link", "rename", "rename", "fsync",
        "fstat", "close", "close",
      ])
  }

  @Test(arguments: [ErrorNumber.notPermitted, .notSupported, .notImplemented])
  func aFileSystemWithoutHardLinksIsReportedAndTheSaveGoesOn(number: ErrorNumber) throws {
    try scratch.write("old", to: "target")
    try scratch.write("older", to: "target.bak")
    let outcome = try save("new", backups: 2, on: FaultyFileSystem(.every("link", number)))
    guard case .failed(let failure) = outcome.backup else {
      Issue.record("expected a failed backup, got \(outcome.backup)")
      return
    }
    #expect(failure.isUnsupported && failure.cause.number == number)
    #expect("\(failure)".contains("linkat"))
    #expect(outcome.isDurable && scratch.read("target") == "new")
    #expect(scratch.read("target.bak") == "older", "an old backup moves only for a new one")
    #expect(scratch.names == ["target", "target.bak"])
  }

  @Test func aBackupNameThatIsADirectoryIsReportedAndTheSaveGoesOn() throws {
    try scratch.write("old", to: "target")
    try RealFileSystem().makeDirectory(scratch.file("target.bak"), in: nil, mode: 0o755)
    let outcome = try save("new", backups: 1)
    guard case .failed(let failure) = outcome.backup else {
      Issue.record("expected a failed backup")
      return
    }
    #expect(failure.cause.call == "renameat" && failure.leftover == nil && !failure.isUnsupported)
    #expect(scratch.read("target") == "new")
    #expect(scratch.names == ["target", "target.bak"])
  }

  @Test func aTemporaryLinkThatCannotBeRemovedIsNamed() throws {
    try scratch.write("old", to: "target")
    try RealFileSystem().makeDirectory(scratch.file("target.bak"), in: nil, mode: 0o755)
    let outcome = try save(
      "new", backups: 1, on: FaultyFileSystem(.nth("unlink", 1, .inputOutput)))
    guard case .failed(let failure) = outcome.backup, let leftover = failure.leftover else {
      Issue.record("expected a leftover")
      return
    }
    #expect(scratch.names.map(scratch.file).contains(leftover))
    #expect("\(failure)".contains(leftover))
  }

  @Test func aSweeperThatTakesTheTemporaryLinkIsOutlasted() throws {
    try scratch.write("old", to: "target")
    let scratch = scratch
    let removed = Once()
    let linked = Tally()
    let disk = FaultyFileSystem(before: { call in
      if call == "link" { _ = linked.next() }
      guard call == "rename", removed.isFirst() else { return }
      // Of the two temporary names the one that is another name of the target.
      for name in scratch.names where name.hasSuffix(".rtmp") {
        if (try? scratch.status(name).links) == 2 {
          try? RealFileSystem().unlink(scratch.file(name), in: nil)
        }
      }
    })
    #expect(try save("new", backups: 1, on: disk).backup == .made(scratch.file("target.bak")))
    #expect(linked.value == 2)
    #expect(scratch.read("target.bak") == "old" && scratch.read("target") == "new")
  }

  /// Crashed or failed between the two renames, target and backup are one file: no generation is lost to a copy.
  @Test func aBackupThatExistsAlreadyIsNotMadeTwice() throws {
    _ = try save("1", backups: 2)
    _ = try save("2", backups: 2)
    _ = try save("3", backups: 2)
    let disk = FaultyFileSystem(.nth("rename", 3, .inputOutput))
    #expect(throws: StoreError.self) { try save("never", backups: 2, on: disk) }
    #expect(scratch.read("target") == "3" && scratch.read("target.bak") == "3")
    #expect(scratch.read("target.bak.2") == "2")
    let strict = AtomicFile.Options(hardLinks: .refuse, backups: 2)
    let outcome = try AtomicFile.replace(
      scratch.file("target"), with: bytes("4"), options: strict)
    #expect(outcome.otherHardLinks == 0, "its own backup is no other name")
    #expect(scratch.read("target.bak") == "3" && scratch.read("target.bak.2") == "2")
    #expect(scratch.names == ["target", "target.bak", "target.bak.2"])
  }

  @Test func theTargetIsThereAtEveryCallOfASaveWithBackups() throws {
    for n in 1...3 { _ = try save("\(n)", backups: 2) }
    let scratch = scratch
    let missing = Tally()
    let disk = FaultyFileSystem(before: { _ in
      if scratch.read("target") == nil { _ = missing.next() }
    })
    _ = try save("4", backups: 2, on: disk)
    #expect(missing.value == 0)
  }

  static let numbers: [ErrorNumber] = [.noSpace, .inputOutput, .quotaExceeded, .permissionDenied]

  @Test(arguments: numbers, [nil, 2])
  func aFailureAtAnyCallKeepsEveryGenerationAndLeavesNothing(
    number: ErrorNumber, writeLimit: Int?
  ) throws {
    var n = 1
    while true {
      let scratch = ScratchDirectory(inMemory: true)
      let path = scratch.file("target")
      let options = AtomicFile.Options(backups: 2, recordsChecksum: true)
      for text in ["old 1", "old 2", "old 3"] {
        try AtomicFile.replace(path, with: bytes(text), options: options)
      }
      let disk = FaultyFileSystem(.once(n, number), writeLimit: writeLimit)
      let context: Comment = "call \(n), \(number)"
      var leftover: String?
      do throws(StoreError) {
        let outcome = try AtomicFile.replace(
          path, with: bytes("new content"), options: options, fileSystem: disk.fileSystem)
        #expect(scratch.read("target") == "new content", context)
        leftover = outcome.leftover
        switch outcome.backup {
        case .failed(let failure):
          #expect(failure.cause.number == number, context)
          leftover = leftover ?? failure.leftover
        case .made: #expect(scratch.read("target.bak") == "old 3", context)
        case .none: Issue.record("a backup was asked for, \(context)")
        }
      } catch {
        #expect(scratch.read("target") == "old 3", context)
        #expect(error.cause?.number == number && error.cause?.call != nil, context)
        #expect(error.cause?.path.isEmpty == false, context)
        leftover = error.leftover
      }
      let kept = Set(scratch.names.filter { $0.contains("bak") }.compactMap(scratch.read))
      #expect(kept.contains("old 2"), context)
      let others = scratch.names.filter { !$0.hasPrefix("target") }.map(scratch.file)
      #expect(others == (leftover.map { [$0] } ?? []), context)
      #expect(disk.openDescriptors == 0, context)
      if disk.faultsMet == 0 { break }
      n += 1
    }
    #expect(n > 20)
  }
}
