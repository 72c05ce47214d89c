import AtomicStore
import ReliabilityIO
import ReliabilityTestSupport
import Synchronization
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// A save gives nobody access that they did not have, at no moment.
@Suite(.offThePool) struct AccessRightsTests {
  static let isRoot = geteuid() == 0
  static let list = "system.posix_acl_access"
  let scratch = ScratchDirectory()

  /// Owner rw, user 1234 rw, the owning group nothing, mask rw, others nothing: the mode shows `0660`.
  private static let privateList: [UInt8] = {
    var list: [UInt8] = [2, 0, 0, 0]
    for (tag, permissions, id) in [
      (0x01, 6, UInt32.max), (0x02, 6, 1234), (0x04, 0, .max), (0x10, 6, .max), (0x20, 0, .max),
    ] as [(UInt8, UInt8, UInt32)] {
      list += [tag, 0, permissions, 0] + (0..<4).map { UInt8(truncatingIfNeeded: id >> ($0 * 8)) }
    }
    return list
  }()

  /// Makes a target that its group may not read although the mode says `0660`.
  ///
  /// - Returns: `false` where the file system has no lists.
  private func makeListedTarget() throws -> Bool {
    try scratch.write("old", to: "target", mode: 0o600)
    let old = try OpenFile(scratch.file("target"), [.read, .write], fileSystem: .real)
    guard (try? old.setAttribute(Self.list, Self.privateList)) != nil else { return false }
    #expect(try old.status().mode == 0o660)
    return true
  }

  private func hasList(_ name: String) throws -> Bool {
    try OpenFile(scratch.file(name), [.read], fileSystem: .real).attributeNames()
      .contains(Self.list)
  }

  @Test func theGroupNeverSeesAFileWhoseListKeepsItOut() throws {
    guard try makeListedTarget() else { return }
    let scratch = scratch
    let open = Lock<[String]>([])
    let disk = FaultyFileSystem(before: { call in
      for name in scratch.names where name.hasSuffix(".rtmp") {
        guard let file = try? OpenFile(scratch.file(name), [.read], fileSystem: .real),
          let status = try? file.status(), let attributes = try? file.attributeNames()
        else { continue }
        if status.mode.rawValue & 0o070 != 0 && !attributes.contains(Self.list) {
          open.withLock { $0.append(call) }
        }
      }
    })
    let outcome = try AtomicFile.replace(
      scratch.file("target"), with: bytes("secret"), fileSystem: disk.fileSystem)
    #expect(outcome.attributesNotKept.isEmpty)
    #expect(open.withLock { $0 } == [], "calls before which the group could read the new file")
    #expect(try scratch.status("target").mode == 0o660)
    let new = try OpenFile(scratch.file("target"), [.read], fileSystem: .real)
    #expect(try new.attribute(Self.list) == Self.privateList)
  }

  /// The mode's group bits are then the mask of a list that is not there any more.
  @Test func aListThatIsNotKeptLeavesTheGroupWhatItHad() throws {
    guard try makeListedTarget() else { return }
    try AtomicFile.replace(
      scratch.file("target"), with: bytes("new"), options: .init(keepsAttributes: false))
    #expect(try !hasList("target"))
    #expect(try scratch.status("target").mode == 0o600)
  }

  @Test func aListThatIsRefusedLeavesTheGroupWhatItHadAndIsReported() throws {
    guard try makeListedTarget() else { return }
    let disk = FaultyFileSystem(.every("fsetxattr", .notPermitted))
    let outcome = try AtomicFile.replace(
      scratch.file("target"), with: bytes("new"), fileSystem: disk.fileSystem)
    #expect(outcome.attributesNotKept == [Self.list])
    #expect(try scratch.status("target").mode == 0o600)
  }

  @Test(.enabled(if: isRoot, "only root may make a file of another owner"))
  func aListIsNotGivenToAnotherOwnersFile() throws {
    for keepsOwner in [true, false] {
      try? RealFileSystem().unlink(scratch.file("target"), in: nil)
      guard try makeListedTarget() else { return }
      #expect(unsafe chown(scratch.file("target"), 1234, 0) == 0)
      let disk = FaultyFileSystem(.every("fchown", .notPermitted))
      let outcome = try AtomicFile.replace(
        scratch.file("target"), with: bytes("new"), options: .init(keepsOwner: keepsOwner),
        fileSystem: disk.fileSystem)
      #expect(try !hasList("target"))
      #expect(try scratch.status("target").mode == 0o600)
      #expect(outcome.attributesNotKept == [Self.list])
    }
  }

  #if os(Linux)
    @Test(.enabled(if: isRoot, "needs another user to become"))
    func theAttributesOfAReadOnlyFileAreKept() async {
      await #expect(processExitsWith: .success) { try AccessRightsTests.readOnlyFile() }
    }

    private static func readOnlyFile() throws {
      let scratch = ScratchDirectory()
      try scratch.write("old", to: "target", mode: 0o644)
      let old = try OpenFile(scratch.file("target"), [.read, .write], fileSystem: .real)
      guard (try? old.setAttribute("user.origin", bytes("here"))) != nil else { return }
      #expect(unsafe chmod(scratch.file("target"), 0o444) == 0)
      #expect(unsafe chown(scratch.file("target"), 65534, 65534) == 0)
      #expect(unsafe chown(scratch.path, 65534, 65534) == 0)
      #expect(setegid(65534) == 0 && seteuid(65534) == 0)
      let outcome = try AtomicFile.replace(scratch.file("target"), with: bytes("new"))
      #expect(outcome.ownerKept && outcome.attributesNotKept.isEmpty)
      let new = try OpenFile(scratch.file("target"), [.read], fileSystem: .real)
      #expect(try new.attribute("user.origin") == bytes("here"))
      #expect(try new.status().mode == 0o444)
      #expect(seteuid(0) == 0)
    }
  #endif

  @Test(.enabled(if: isRoot, "needs a link of another user"), arguments: ["mine", "absent"])
  func aLinkPlantedInASharedDirectoryIsNotFollowed(destination: String) throws {
    #expect(unsafe mkdir(scratch.file("shared"), 0o755) == 0)
    #expect(unsafe chmod(scratch.file("shared"), 0o1777) == 0)
    try scratch.write("old", to: "mine", mode: 0o600)
    let link = scratch.file("shared/report")
    #expect(unsafe symlink("../" + destination, link) == 0)
    #expect(unsafe lchown(link, 1234, 1234) == 0)
    let error = #expect(throws: StoreError.self) {
      try AtomicFile.replace(link, with: bytes("new"))
    }
    #expect(error?.code == .notPermitted)
    #expect(error?.cause?.number == .permissionDenied)
    #expect(scratch.read("mine") == "old")
    #expect(scratch.names == ["mine", "shared"])

    // Our own links, those of the directory's owner, and directories that are not shared are no danger.
    #expect(unsafe lchown(link, geteuid(), 0) == 0)
    try AtomicFile.replace(link, with: bytes("own"))
    #expect(unsafe lchown(link, 1234, 1234) == 0)
    #expect(unsafe chown(scratch.file("shared"), 1234, 1234) == 0)
    try AtomicFile.replace(link, with: bytes("directory owner's"))
    #expect(unsafe chown(scratch.file("shared"), 0, 0) == 0)
    #expect(unsafe chmod(scratch.file("shared"), 0o755) == 0)
    try AtomicFile.replace(link, with: bytes("not shared"))
    #expect(scratch.read(destination) == "not shared")
  }
}
