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

/// Every call of the real file system once, and what its error says.
@Suite struct SyscallsTests {
  let scratch = ScratchDirectory()
  var path: String { scratch.path }
  let files = RealFileSystem()

  private func make(_ name: String, _ content: String = "") throws {
    let file = try OpenFile(
      path + "/" + name, [.read, .write, .create, .exclusive], fileSystem: .real)
    try file.writeAll(Array(content.utf8).span, at: 0)
  }

  @Test func namesCanBeMadeLinkedRenamedExchangedListedAndRemoved() throws {
    try make("a", "content of a")
    try make("b", "b")
    let directory = try OpenDirectory(path, fileSystem: .real)
    try directory.link("a", to: "c")
    #expect(try directory.status(of: "c")?.links == 2)
    let exists = #expect(throws: SystemCallError.self) { try directory.link("a", to: "b") }
    #expect(exists?.number == .exists && exists?.path == path + "/b")
    let kept = #expect(throws: SystemCallError.self) {
      try directory.rename("a", to: "b", .noReplace)
    }
    #expect(kept?.number == .exists)
    try directory.rename("a", to: "b", .exchange)
    #expect(try directory.status(of: "b")?.size == 12)
    #expect(try directory.status(of: "a")?.size == 1)
    try directory.rename("a", to: "d", .noReplace)
    try files.makeSymbolicLink("link", in: directory.descriptor, destination: "d")
    #expect(try directory.readLink("link") == "d")
    try files.makeDirectory("sub", in: directory.descriptor, mode: 0o700)
    let sub = try directory.directory("sub")
    #expect(sub.path == path + "/sub")
    #expect(try directory.entries().sorted() == ["b", "c", "d", "link", "sub"])
    #expect(try sub.entries() == [])
    try files.removeDirectory("sub", in: directory.descriptor)
    for name in ["b", "c", "d", "link"] { try directory.unlink(name) }
    #expect(try directory.entries() == [])
    #expect(try directory.status(of: "b") == nil)
    try directory.sync()
  }

  @Test func contentCanBeWrittenReadCutAndSynced() throws {
    try make("a", "0123456789")
    let file = try OpenFile(path + "/a", [.read, .write], fileSystem: .real)
    let bytes = try [UInt8](capacity: 20) { (buffer: inout OutputSpan<UInt8>) in
      try file.readAll(into: &buffer, at: 3)
    }
    #expect(String(decoding: bytes, as: UTF8.self) == "3456789")
    try file.truncate(to: 4)
    for kind in [SyncKind.full, .data, .barrier] { try file.sync(kind) }
    try file.flushAsClosing()
    #expect(try file.status().size == 4)
    // At the descriptor's own position, and at the end when opened to append.
    let log = try OpenFile(path + "/a", [.read, .write, .append], fileSystem: .real)
    #expect(try files.write(log.descriptor, Array("ab".utf8).span, at: nil) == 2)
    let all = try [UInt8](capacity: 9) { (buffer: inout OutputSpan<UInt8>) in
      try file.readAll(into: &buffer, at: 0)
    }
    #expect(String(decoding: all, as: UTF8.self) == "0123ab")
  }

  @Test func locksExcludeEachOtherBetweenDescriptors() throws {
    try make("a")
    let one = try OpenFile(path + "/a", [.read, .write], fileSystem: .real)
    let two = try OpenFile(path + "/a", [.read, .write], fileSystem: .real)
    try one.lock(.shared)
    try two.lock(.shared)
    let refused = #expect(throws: SystemCallError.self) { try one.lock(.exclusive) }
    #expect(refused?.number == .wouldBlock)
    try two.lock(.unlock)
    try one.lock(.exclusive)
  }

  @Test func attributesOfAnySizeCanBeSetListedReadAndRemoved() throws {
    try make("a")
    let file = try OpenFile(path + "/a", [.read, .write], fileSystem: .real)
    let value = (0..<2000).map { UInt8(truncatingIfNeeded: $0) }
    guard (try? file.setAttribute("user.one", value)) != nil else { return }
    try file.setAttribute("user.empty", [])
    #expect(try file.attribute("user.one") == value)
    #expect(try file.attribute("user.empty") == [])
    let names = try file.attributeNames().filter { $0.hasPrefix("user.") }
    #expect(names.sorted() == ["user.empty", "user.one"])
    try file.removeAttribute("user.one")
    let missing = #expect(throws: SystemCallError.self) { try file.attribute("user.one") }
    #expect(missing?.number == .noAttribute)
  }

  @Test func aNameWithANulIsRefusedInsteadOfCut() throws {
    try make("a")
    let directory = try OpenDirectory(path, fileSystem: .real)
    let error = #expect(throws: SystemCallError.self) { try directory.unlink("a\0b") }
    #expect(error?.number == .illegalByteSequence)
    #expect(throws: SystemCallError.self) { try directory.rename("a", to: "b\0c") }
    #expect(try directory.entries() == ["a"])
  }

  @Test func descriptorsAreClosedOnExec() throws {
    try make("a")
    let directory = try OpenDirectory(path, fileSystem: .real)
    let file = try directory.open("a", [.read])
    let copy = try files.duplicate(file.descriptor)
    defer { try? files.close(copy) }
    for descriptor in [directory.descriptor, file.descriptor, copy] {
      #expect(fcntl(descriptor.rawValue, F_GETFD) & FD_CLOEXEC != 0)
    }
  }

  @Test func anErrorSaysCallPathAndReason() {
    let error = #expect(throws: SystemCallError.self) {
      try OpenDirectory(path + "/absent", fileSystem: .real).entries()
    }
    #expect(error == SystemCallError(.notFound, call: "open", path: path + "/absent"))
    #expect(error.map { "\($0)" }?.hasSuffix("/absent: No such file or directory (ENOENT)") == true)
  }

  @Test func aFileTimeIsInNanosecondsSince1970() throws {
    try make("a")
    let status = try files.status(of: path + "/a", in: nil, followingLink: true)
    let year2020: Int64 = 1_577_836_800_000_000_000
    #expect(status.modified > year2020 && status.changed > year2020)
    #expect(status.kind == .regular && status.links == 1 && status.user == geteuid())
  }
}
