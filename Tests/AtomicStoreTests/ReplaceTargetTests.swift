import AtomicStore
import ReliabilityIO
import ReliabilityTestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// What a save keeps of the file it replaces, what it follows and what it refuses.
@Suite(.offThePool) struct ReplaceTargetTests {
  let scratch = ScratchDirectory()
  static let isRoot = geteuid() == 0

  private func error(
    _ name: String, options: AtomicFile.Options = .init()
  ) -> StoreError? {
    #expect(throws: StoreError.self) {
      try AtomicFile.replace(scratch.file(name), with: bytes("new"), options: options)
    }
  }

  @Test func aNewFileGetsTheModeOfTheUmaskAndIsDurable() throws {
    let plain = try OpenFile(
      scratch.file("plain"), [.write, .create], mode: 0o666, fileSystem: .real)
    let outcome = try AtomicFile.replace(scratch.file("target"), with: bytes("new"))
    #expect(outcome.status == .durable)
    #expect(outcome.replacedExisting == false)
    #expect(outcome.path == scratch.file("target"))
    #expect(try scratch.status("target").mode == plain.status().mode)
    #expect(scratch.names == ["plain", "target"])
  }

  @Test(arguments: [0o600, 0o644, 0o755, 0o400, 0o666, 0o4755, 0o2755] as [FileMode])
  func theModeOfTheOldFileIsKept(mode: FileMode) throws {
    try scratch.write("old", to: "target", mode: mode)
    let outcome = try AtomicFile.replace(scratch.file("target"), with: bytes("new"))
    #expect(try scratch.status("target").mode == mode)
    #expect(outcome.replacedExisting && outcome.ownerKept)
    #expect(scratch.read("target") == "new")
  }

  @Test func anAskedModeIsGivenWhateverTheUmask() throws {
    try AtomicFile.replace(scratch.file("a"), with: bytes("s"), options: .init(mode: 0o600))
    #expect(try scratch.status("a").mode == 0o600)
    try AtomicFile.replace(scratch.file("a"), with: bytes("s"), options: .init(mode: 0o666))
    #expect(try scratch.status("a").mode == 0o666)
  }

  @Test(.enabled(if: isRoot, "only root may give files away"))
  func ownerAndGroupOfTheOldFileAreKept() throws {
    try scratch.write("old", to: "target", mode: 0o640)
    #expect(unsafe chown(scratch.file("target"), 1234, 2345) == 0)
    let outcome = try AtomicFile.replace(scratch.file("target"), with: bytes("new"))
    let status = try scratch.status("target")
    #expect(status.user == 1234 && status.group == 2345 && status.mode == 0o640)
    #expect(outcome.ownerKept)
  }

  @Test(.enabled(if: isRoot, "only root may make a file of another owner"))
  func anOwnerThatCannotBeKeptIsReportedAndNobodyGainsAccess() throws {
    try scratch.write("old", to: "target", mode: 0o4664)
    #expect(unsafe chown(scratch.file("target"), 1234, 2345) == 0)
    #expect(unsafe chmod(scratch.file("target"), 0o4664) == 0)
    let disk = FaultyFileSystem(.every("fchown", .notPermitted))
    let outcome = try AtomicFile.replace(
      scratch.file("target"), with: bytes("new"), fileSystem: disk.fileSystem)
    #expect(!outcome.ownerKept)
    #expect(disk.calls.count(where: { $0 == "fchown" }) == 2, "both, then the group alone")
    // No set-user-id for another owner, and the new group gets only what others have.
    #expect(try scratch.status("target").mode == 0o644)
  }

  @Test func userAttributesAreKept() throws {
    try scratch.write("old", to: "target")
    let old = try OpenFile(scratch.file("target"), [.read, .write], fileSystem: .real)
    do throws(SystemCallError) {
      try old.setAttribute("user.origin", bytes("https://example.org"))
      try old.setAttribute("user.empty", [])
    } catch {
      return  // No attributes on this file system: nothing to keep.
    }
    let outcome = try AtomicFile.replace(scratch.file("target"), with: bytes("new"))
    let new = try OpenFile(scratch.file("target"), [.read], fileSystem: .real)
    #expect(try new.attribute("user.origin") == bytes("https://example.org"))
    #expect(try new.attribute("user.empty") == [])
    #expect(outcome.attributesNotKept.isEmpty)

    try AtomicFile.replace(
      scratch.file("target"), with: bytes("newer"), options: .init(keepsAttributes: false))
    let newer = try OpenFile(scratch.file("target"), [.read], fileSystem: .real)
    #expect(try newer.attributeNames().filter { $0.hasPrefix("user.") } == [])
  }

  @Test func attributesThatAreRefusedAreReported() throws {
    try scratch.write("old", to: "target")
    let old = try OpenFile(scratch.file("target"), [.read, .write], fileSystem: .real)
    guard (try? old.setAttribute("user.origin", bytes("x"))) != nil else { return }
    let disk = FaultyFileSystem(.every("fsetxattr", .notPermitted))
    let outcome = try AtomicFile.replace(
      scratch.file("target"), with: bytes("new"), fileSystem: disk.fileSystem)
    #expect(outcome.attributesNotKept == ["user.origin"])
    #expect(outcome.isDurable)
  }

  /// The directory's default list would let user 1234 read a file that only its owner could.
  @Test func anAccessControlListIsNotInheritedByAReplacedFile() throws {
    try scratch.write("old", to: "target", mode: 0o640)
    let directory = try OpenFile(scratch.path, [.read, .directory], fileSystem: .real)
    // Version 2; owner rwx, user 1234 rwx, group rwx, mask rwx, other ---.
    var list: [UInt8] = [2, 0, 0, 0]
    for (tag, permissions, id) in [
      (0x01, 7, UInt32.max), (0x02, 7, 1234), (0x04, 7, .max), (0x10, 7, .max), (0x20, 0, .max),
    ] as [(UInt8, UInt8, UInt32)] {
      list += [tag, 0, permissions, 0] + (0..<4).map { UInt8(truncatingIfNeeded: id >> ($0 * 8)) }
    }
    guard (try? directory.setAttribute("system.posix_acl_default", list)) != nil else { return }
    let outcome = try AtomicFile.replace(scratch.file("target"), with: bytes("new"))
    let new = try OpenFile(scratch.file("target"), [.read], fileSystem: .real)
    #expect(try new.attributeNames().contains("system.posix_acl_access") == false)
    #expect(try new.status().mode == 0o640)

    // A list the old file has of its own is kept.
    let access = [UInt8](list)
    try new.setAttribute("system.posix_acl_access", access)
    try AtomicFile.replace(scratch.file("target"), with: bytes("newer"))
    let newer = try OpenFile(scratch.file("target"), [.read], fileSystem: .real)
    #expect(try newer.attribute("system.posix_acl_access") == access)
    // But not against a mode that was asked for.
    try AtomicFile.replace(
      scratch.file("target"), with: bytes("newest"), options: .init(mode: 0o600))
    let newest = try OpenFile(scratch.file("target"), [.read], fileSystem: .real)
    #expect(try newest.status().mode == 0o600)
    #expect(try newest.attributeNames().contains("system.posix_acl_access") == false)
    #expect(outcome.isDurable)
  }

  @Test func aSymbolicLinkIsFollowedAndStays() throws {
    #expect(unsafe mkdir(scratch.file("sub"), 0o755) == 0)
    try scratch.write("old", to: "sub/real")
    #expect(unsafe symlink("sub/middle", scratch.file("link")) == 0)
    #expect(unsafe symlink("real", scratch.file("sub/middle")) == 0)
    let outcome = try AtomicFile.replace(scratch.file("link"), with: bytes("new"))
    #expect(scratch.read("sub/real") == "new")
    #expect(try scratch.status("link").kind == .symbolicLink)
    #expect(try scratch.status("sub/middle").kind == .symbolicLink)
    #expect(outcome.path == scratch.file("sub/real"))
  }

  @Test func aDanglingLinkCreatesItsDestination() throws {
    #expect(unsafe symlink(scratch.file("absent"), scratch.file("link")) == 0)
    let outcome = try AtomicFile.replace(scratch.file("link"), with: bytes("new"))
    #expect(outcome.path == scratch.file("absent"))
    #expect(!outcome.replacedExisting)
    #expect(scratch.read("absent") == "new")
    #expect(try scratch.status("link").kind == .symbolicLink)
  }

  @Test func aSymbolicLinkIsRefusedOnRequest() throws {
    #expect(unsafe symlink("absent", scratch.file("link")) == 0)
    #expect(error("link", options: .init(symbolicLinks: .refuse))?.code == .targetIsSymbolicLink)
    #expect(scratch.names == ["link"])
  }

  @Test func aCircleOfLinksIsRefused() throws {
    #expect(unsafe symlink("b", scratch.file("a")) == 0)
    #expect(unsafe symlink("a", scratch.file("b")) == 0)
    #expect(error("a")?.code == .tooManySymbolicLinks)
  }

  @Test(arguments: [40, 41])
  func fortyLinksAreFollowedAndNoMore(count: Int) throws {
    for i in 0..<count {
      let destination = i == count - 1 ? "target" : "link\(i + 1)"
      #expect(unsafe symlink(destination, scratch.file("link\(i)")) == 0)
    }
    if count == 40 {
      try AtomicFile.replace(scratch.file("link0"), with: bytes("new"))
      #expect(scratch.read("target") == "new")
    } else {
      #expect(error("link0")?.code == .tooManySymbolicLinks)
    }
  }

  @Test func otherHardLinksKeepTheOldContentAndAreCounted() throws {
    try scratch.write("old", to: "target")
    #expect(unsafe link(scratch.file("target"), scratch.file("other")) == 0)
    #expect(error("target", options: .init(hardLinks: .refuse))?.code == .targetHasHardLinks)
    let outcome = try AtomicFile.replace(scratch.file("target"), with: bytes("new"))
    #expect(outcome.otherHardLinks == 1)
    #expect(scratch.read("other") == "old")
    #expect(scratch.read("target") == "new")
  }

  @Test func whatIsNotARegularFileIsRefused() throws {
    #expect(unsafe mkdir(scratch.file("directory"), 0o755) == 0)
    #expect(unsafe mkfifo(scratch.file("fifo"), 0o644) == 0)
    #expect(unsafe symlink("directory", scratch.file("link")) == 0)
    #expect(unsafe symlink("directory/", scratch.file("slash")) == 0)
    for name in ["directory", "fifo", "link", "slash"] {
      #expect(error(name)?.code == .targetIsNotRegularFile, "\(name)")
    }
    #expect(
      #expect(throws: StoreError.self) { try AtomicFile.replace("/dev/null", with: bytes("new")) }?
        .code == .targetIsNotRegularFile)
    #expect(scratch.names == ["directory", "fifo", "link", "slash"])
  }

  @Test(arguments: ["", "/", ".", "..", "x/", "x/.", "x/..", "a\0b"])
  func aPathThatNamesNoFileIsRefused(path: String) {
    let error = #expect(throws: StoreError.self) {
      try AtomicFile.replace(path, with: bytes("new"))
    }
    #expect(error?.code == .invalidPath)
    #expect(error?.category == .validation)
  }

  @Test func aMissingDirectoryIsSaid() throws {
    #expect(error("absent/target")?.code == .directoryMissing)
    try scratch.write("x", to: "file")
    #expect(error("file/target")?.code == .directoryMissing)
  }

  @Test func aNameThatIsTooLongFailsBeforeAnythingIsMade() throws {
    let error = error(String(repeating: "n", count: 256))
    #expect(error?.cause?.number == .nameTooLong)
    #expect(scratch.names.isEmpty)
  }

  @Test func theLongestNameAndNamesInOtherScriptsWork() throws {
    for name in [
      String(repeating: "n", count: 255), String(repeating: "ж", count: 127), "猫 and 🐈‍⬛",
      String(repeating: "x", count: 179) + "🐈", "-", "a\nb", ".hidden",
    ] {
      try AtomicFile.replace(scratch.file(name), with: bytes(name))
      #expect(scratch.read(name) == name)
    }
    #expect(scratch.names.count == 7)
  }

  @Test func createOnlyNeverReplaces() throws {
    let only = AtomicFile.Options(createOnly: true)
    let outcome = try AtomicFile.replace(
      scratch.file("target"), with: bytes("first"), options: only)
    #expect(outcome.isDurable)
    #expect(error("target", options: only)?.code == .targetExists)
    #expect(unsafe symlink("absent", scratch.file("link")) == 0)
    #expect(error("link", options: only)?.code == .targetExists)
    #expect(scratch.read("target") == "first")
    #expect(scratch.names == ["link", "target"])
  }

  @Test(arguments: [nil, ErrorNumber.invalidArgument, .notImplemented])
  func createOnlyLosesToAFileThatAppearsMeanwhile(renameFailure: ErrorNumber?) throws {
    // Someone creates the target between the look and the rename.
    let path = scratch.file("target")
    let fault = renameFailure.map { FaultyFileSystem.Fault.every("renameat2", $0) } ?? .none
    let disk = FaultyFileSystem(
      fault,
      before: { call in
        guard call == "renameat2" else { return }
        try? OpenFile(path, [.write, .create], fileSystem: .real)
          .writeAll(bytes("theirs").span, at: 0)
      })
    let error = #expect(throws: StoreError.self) {
      try AtomicFile.replace(
        path, with: bytes("ours"), options: .init(createOnly: true), fileSystem: disk.fileSystem)
    }
    #expect(error?.code == .targetExists)
    #expect(scratch.read("target") == "theirs")
    #expect(scratch.names == ["target"])
  }

  @Test func createOnlyWorksWithoutExclusiveRename() throws {
    let disk = FaultyFileSystem(.every("renameat2", .invalidArgument))
    let outcome = try AtomicFile.replace(
      scratch.file("target"), with: bytes("new"), options: .init(createOnly: true),
      fileSystem: disk.fileSystem)
    #expect(outcome.isDurable && outcome.leftover == nil)
    #expect(disk.calls.contains("link") && disk.calls.contains("unlink"))
    #expect(try scratch.status("target").links == 1)
    #expect(scratch.names == ["target"])
  }

  @Test func aTakenTemporaryNameIsLeftAloneAndAnotherIsUsed() throws {
    // The first save keeps its name busy; the second gets the same random bits first.
    let first = try AtomicFile(
      replacing: scratch.file("target"), fileSystem: FaultyFileSystem(random: { _ in 7 }).fileSystem
    )
    try first.append(bytes("first"))
    let disk = FaultyFileSystem(random: { $0 == 0 ? 7 : 8 })
    try AtomicFile.replace(
      scratch.file("target"), with: bytes("second"), fileSystem: disk.fileSystem)
    #expect(disk.calls.count(where: { $0 == "create" }) == 2)
    #expect(scratch.read("target") == "second")
    try first.publish()
    #expect(scratch.read("target") == "first")
  }

  @Test func aSweeperThatTakesTheNewTemporaryFileIsNoticed() throws {
    // Between creation and lock a sweeper removes the file: the name is gone, the descriptor is not.
    let scratch = scratch
    let removed = Once()
    let disk = FaultyFileSystem(before: { call in
      guard call == "flock", removed.isFirst() else { return }
      for name in scratch.names where name.hasSuffix(".rtmp") {
        try? RealFileSystem().unlink(scratch.file(name), in: nil)
      }
    })
    try AtomicFile.replace(
      scratch.file("target"), with: bytes("new"), fileSystem: disk.fileSystem)
    #expect(scratch.read("target") == "new")
    #expect(disk.calls.count(where: { $0 == "create" }) == 2)
    #expect(scratch.names == ["target"])
    #expect(disk.openDescriptors == 0)
  }

  @Test func theTemporaryFileIsLockedHiddenPrivateAndNamedExactly() throws {
    try scratch.write("old", to: "target", mode: 0o644)
    let file = try AtomicFile(replacing: scratch.file("target"))
    let name = try #require(scratch.names.first { $0 != "target" })
    #expect(scratch.file(name) == file.temporaryPath)
    let pid = String(getpid(), radix: 16)
    #expect(
      name.wholeMatch(of: /\.target\.([0-9a-f]+)\.([0-9a-f]{16})\.rtmp/)?.output.1
        == Substring(pid))
    #expect(try scratch.status(name).mode == 0o600)
    let other = try OpenFile(file.temporaryPath, [.read, .write], fileSystem: .real)
    #expect(throws: SystemCallError.self) { try other.lock(.exclusive) }
    try file.discard()
    #expect(scratch.names == ["target"])
  }
}

/// Says `true` to the first who asks.
final class Once: Sendable {
  private let asked = Tally()

  func isFirst() -> Bool { asked.next() == 0 }
}
