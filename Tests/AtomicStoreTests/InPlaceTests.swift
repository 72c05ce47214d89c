import AtomicStore
import ReliabilityIO
import ReliabilityTestSupport
import Testing

/// Files that can't be replaced, written in place by explicit option.
@Suite(.offThePool) struct InPlaceTests {
  let scratch = ScratchDirectory(inMemory: true)
  let options = AtomicFile.Options(recordsChecksum: true, unreplaceable: .inPlaceWithBackup())

  private func mountPoint() -> FaultyFileSystem { FaultyFileSystem(mountPoint: "target") }

  @Test func aMountPointIsWrittenInPlaceAfterADurableBackup() throws {
    try scratch.write("the old content, longer", to: "target", mode: 0o644)
    let inode = try scratch.status("target").inode
    let disk = mountPoint()
    let outcome = try AtomicFile.replace(
      scratch.file("target"), with: bytes("new"), options: options, fileSystem: disk.fileSystem)
    #expect(outcome.method == .inPlace && outcome.isDurable)
    #expect(outcome.backup == .made(scratch.file("target.bak")))
    #expect(scratch.read("target") == "new")
    #expect(scratch.read("target.bak") == "the old content, longer")
    #expect(try scratch.status("target").inode == inode)
    #expect(try scratch.status("target.bak").mode == 0o600, "a copy is private")
    #expect(scratch.names == ["target", "target.bak"] && disk.openDescriptors == 0)
    if outcome.checksum == .recorded {
      #expect(try AtomicFile.contents(of: scratch.file("target"))?.integrity == .verified)
    }
  }

  @Test func withoutTheOptionNothingIsWrittenInPlace() throws {
    try scratch.write("old", to: "target")
    let error = #expect(throws: StoreError.self) {
      try AtomicFile.replace(
        scratch.file("target"), with: bytes("new"), fileSystem: mountPoint().fileSystem)
    }
    #expect(error?.code == .targetIsMountPoint)
    #expect(scratch.read("target") == "old" && scratch.names == ["target"])
  }

  @Test func anUnwritableDirectoryNeedsABackupElsewhere() throws {
    try scratch.write("old", to: "target")
    try RealFileSystem().makeDirectory(scratch.file("elsewhere"), in: nil, mode: 0o700)
    let beside = #expect(throws: StoreError.self) {
      try AtomicFile.replace(
        scratch.file("target"), with: bytes("new"), options: options,
        fileSystem: FaultyFileSystem(.every("create", .permissionDenied)).fileSystem)
    }
    #expect(beside?.code == .backupFailed)
    #expect(scratch.read("target") == "old")

    var elsewhere = options
    elsewhere.unreplaceable = .inPlaceWithBackup(at: scratch.file("elsewhere/target.old"))
    let outcome = try AtomicFile.replace(
      scratch.file("target"), with: bytes("new"), options: elsewhere,
      fileSystem: FaultyFileSystem(.nth("create", 1, .permissionDenied)).fileSystem)
    #expect(outcome.method == .inPlace)
    #expect(scratch.read("elsewhere/target.old") == "old" && scratch.read("target") == "new")
  }

  @Test func aFileThatDoesNotExistIsNotMadeInPlace() {
    let error = #expect(throws: StoreError.self) {
      try AtomicFile.replace(
        scratch.file("target"), with: bytes("new"), options: options,
        fileSystem: FaultyFileSystem(.every("create", .permissionDenied)).fileSystem)
    }
    #expect(error?.code == .directoryNotWritable)
  }

  /// At each call in turn: either the old content is in the target, or the error says that it is in the backup.
  @Test(arguments: [ErrorNumber.noSpace, .inputOutput, .quotaExceeded])
  func aFailureAtAnyCallKeepsTheOldContentInOneOfTheTwoFiles(number: ErrorNumber) throws {
    var n = 1
    while true {
      let scratch = ScratchDirectory(inMemory: true)
      try scratch.write("the old content, longer", to: "target")
      let disk = FaultyFileSystem(.once(n, number), writeLimit: 3, mountPoint: "target")
      let context: Comment = "call \(n), \(number)"
      do throws(StoreError) {
        let outcome = try AtomicFile.replace(
          scratch.file("target"), with: bytes("new content"), options: options,
          fileSystem: disk.fileSystem)
        #expect(scratch.read("target") == "new content" && outcome.method == .inPlace, context)
      } catch {
        #expect(error.cause != nil, context)
        if error.code == .writtenInPart {
          #expect(scratch.read("target.bak") == "the old content, longer", context)
        } else {
          #expect(scratch.read("target") == "the old content, longer", context)
        }
      }
      #expect(disk.openDescriptors == 0, context)
      if disk.faultsMet == 0 { break }
      n += 1
    }
    #expect(n > 30)
  }

  @Test func anInstanceWrittenInPiecesNeverWritesInPlace() async throws {
    try scratch.write("old", to: "target")
    let file = try await AtomicFile(
      replacing: scratch.file("target"), options: options, fileSystem: mountPoint().fileSystem)
    try await file.append(bytes("new"))
    let error = await #expect(throws: StoreError.self) { try await file.publish() }
    #expect(error?.code == .targetIsMountPoint && scratch.read("target") == "old")
  }
}
