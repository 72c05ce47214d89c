import ReliabilityIO
import ReliabilityTestSupport
import Testing

@testable import AtomicStore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// The checksum beside the content.
@Suite(.offThePool) struct FileChecksumTests {
  let scratch = ScratchDirectory(inMemory: true)
  let options = AtomicFile.Options(recordsChecksum: true)

  /// Version 1, as it is in files out there.
  static let fixture = "1:e3069283,9,1767225600123456789"

  @Test func theRecordOfVersion1IsReadAndWritten() {
    let checksum = FileChecksum(
      crc: CRC32C(bytes("123456789").span).value, size: 9, modified: 1_767_225_600_123_456_789)
    #expect(String(decoding: checksum.record, as: UTF8.self) == Self.fixture)
    #expect(FileChecksum(record: bytes(Self.fixture)) == checksum)
    let onTheWay = FileChecksum(crc: 10, size: 0, modified: nil)
    #expect(String(decoding: onTheWay.record, as: UTF8.self) == "1:0000000a,0,-")
    #expect(FileChecksum(record: onTheWay.record) == onTheWay)
  }

  @Test func moreFieldsAreIgnoredAndAnotherVersionIsNoChecksum() {
    #expect(FileChecksum(record: bytes(Self.fixture + ",later,more")) != nil)
    for record in [
      "2:e3069283,9,1767225600123456789", "", "1:", "1:e3069283", "1:e3069283,9", "1:xyz,9,1",
      "1:e306928,9,1", "1:e3069283,-1,1", "1:e3069283,9,", "11:e3069283,9,1",
    ] {
      #expect(FileChecksum(record: bytes(record)) == nil, "\(record)")
    }
    #expect(FileChecksum(record: [0xff, 0xfe]) == nil)
  }

  @Test func damageIsToldFromAnEdit() throws {
    var status = try RealFileSystem().status(of: scratch.path, in: nil, followingLink: true)
    (status.size, status.modified) = (9, 77)
    let checksum = FileChecksum(crc: 1, size: 9, modified: 77)
    #expect(checksum.integrity(crc: 1, status: status) == .verified)
    #expect(checksum.integrity(crc: 2, status: status) == .corrupt)
    status.modified = 78
    #expect(checksum.integrity(crc: 2, status: status) == .edited)
    #expect(checksum.integrity(crc: 1, status: status) == .verified, "touched, not changed")
    status.size = 10
    #expect(checksum.integrity(crc: 2, status: status) == .edited)
    let cutShort = FileChecksum(crc: 1, size: 9, modified: nil)
    #expect(cutShort.integrity(crc: 2, status: status) == .corrupt)
  }

  @Test func aSavedFileIsVerifiedAndItsContentUntouched() async throws {
    let path = scratch.file("target")
    guard try await keepsAttributes(path) else { return }
    let content = try #require(try await AtomicFile.contents(of: path))
    #expect(content.integrity == .verified)
    #expect(scratch.readBytes("target") == content.bytes)
  }

  /// What flips a bit on a disk does not set the time.
  @Test func aFlippedBitIsDamageAndAnEditIsNot() async throws {
    let path = scratch.file("target")
    guard try await keepsAttributes(path) else { return }
    try scratch.damage("target", at: 3)
    #expect(try await AtomicFile.contents(of: path)?.integrity == .corrupt)
    try scratch.write("edited by hand", to: "target")
    #expect(try await AtomicFile.contents(of: path)?.integrity == .edited)
  }

  @Test func aChecksumIsNotPassedOnToOtherContent() async throws {
    let path = scratch.file("target")
    guard try await keepsAttributes(path) else { return }
    try await AtomicFile.replace(path, with: bytes("without"))
    #expect(try await AtomicFile.contents(of: path)?.integrity == .notRecorded)
  }

  @Test func piecesCutsAndReadOnlyModesHaveTheRightChecksum() async throws {
    let path = scratch.file("target")
    guard try await keepsAttributes(path) else { return }
    for cut in [0, 4, 11] as [Int64] {
      var options = options
      options.mode = 0o400
      let file = try await AtomicFile(replacing: path, options: options)
      try await file.append(bytes("first "))
      try await file.append(bytes("piece"))
      try await file.truncate(to: cut)
      try await file.append(bytes(" and last"))
      #expect(try await file.publish().checksum == .recorded)
      #expect(try await AtomicFile.contents(of: path)?.integrity == .verified, "cut at \(cut)")
    }
  }

  @Test(arguments: [ErrorNumber.notSupported, .noSpace, .notPermitted, .inputOutput])
  func aChecksumThatCannotBeRecordedIsReportedAndTheSaveGoesOn(number: ErrorNumber) throws {
    let outcome = try AtomicFile.replace(
      scratch.file("target"), with: bytes("new"), options: options,
      fileSystem: FaultyFileSystem(.every("fsetxattr", number)).fileSystem)
    guard case .notRecorded(let cause) = outcome.checksum else {
      Issue.record("expected no checksum")
      return
    }
    #expect(cause.number == number && outcome.isDurable)
    #expect(scratch.read("target") == "new")
  }

  private func keepsAttributes(_ path: String) async throws -> Bool {
    let outcome = try await AtomicFile.replace(path, with: bytes("content"), options: options)
    if case .notRecorded = outcome.checksum { return false }
    #expect(outcome.checksum == .recorded)
    return true
  }
}

extension ScratchDirectory {
  /// Flips a bit of a file and puts its time back, as a failing disk does.
  func damage(_ name: String, at offset: Int64, mask: UInt8 = 0x01) throws {
    let file = try OpenFile(file(name), [.read, .write], fileSystem: .real)
    let status = try file.status()
    var byte = try [UInt8](capacity: 1) { try file.readAll(into: &$0, at: offset) }
    byte[0] ^= mask
    try file.writeAll(byte.span, at: offset)
    let time = timespec(
      tv_sec: Int(status.modified / 1_000_000_000), tv_nsec: Int(status.modified % 1_000_000_000))
    var times = [time, time]
    try #require(unsafe utimensat(AT_FDCWD, self.file(name), &times, 0) == 0)
    try #require(try file.status().modified == status.modified)
  }
}
