import ReliabilityIO
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import BackoffLock

/// What is in the file, and what happens when something else is.
@Suite(.offThePool) struct LockFileTests {
  @Test func aFileOfVersionOneIsReadAsItWasWritten() throws {
    let record = try LockRecord(Self.versionOne)
    #expect(record.epoch == 3)
    #expect(record.turn == 42)
    #expect(record.since == WallTime(secondsSince1970: 1_736_951_422))
    #expect(record.isDurable)
    #expect(record.bootIdentifier == Array(0..<16))
    #expect(record.encoded == Self.versionOne)
  }

  @Test func anEmptyOrZeroedFileIsANewOne() throws {
    #expect(try LockRecord([]) == LockRecord())
    #expect(try LockRecord([UInt8](repeating: 0, count: 64)) == LockRecord())
  }

  @Test func bytesThatThisVersionDoesNotKnowAreKept() throws {
    var bytes = Self.versionOne
    bytes[19] = 7  // minor version
    bytes[58] = 9
    var record = try LockRecord(Self.sealed(bytes))
    record.turn += 1
    #expect(record.encoded[19] == 7)
    #expect(record.encoded[58] == 9)
  }

  @Test func aFlippedBitIsFoundAnywhere() {
    for index in 0..<64 {
      var bytes = Self.versionOne
      bytes[index] ^= 4
      #expect(throws: LockRecord.Problem.self) { try LockRecord(bytes) }
    }
  }

  static let refused: [(String, [UInt8], LockError.Code)] = [
    ("a document", Array("{\"urls\": [1, 2, 3]}".utf8), .notALockFile),
    ("a short text", Array("x".utf8), .notALockFile),
    ("a damaged header", Array(versionOne.dropLast()) + [0xAA], .damaged),
    ("half a header", Array(versionOne.prefix(30)), .damaged),
    ("a later version", versionOne.prefix(16) + [0, 2] + versionOne.dropFirst(18), .newerFormat),
  ]

  @Test(arguments: refused)
  func somethingElseIsLeftAsItIs(name: String, content: [UInt8], code: LockError.Code) async throws
  {
    let scratch = LockScratch()
    try scratch.write(content)
    let lock = scratch.lock { $0.strategy = .plain }
    let error = await #expect(throws: LockError.self) { try await lock.withLock { _ in } }
    #expect(error?.code == code, "\(name)")
    #expect(scratch.bytes == content)
    #expect(lock.statistics.failures == 1)
  }

  /// A lock file as the first version left it: header, two epochs, the turn.
  static let fileOfVersionOne: [UInt8] = {
    func sector(_ bytes: [UInt8]) -> [UInt8] {
      bytes + [UInt8](repeating: 0, count: 512 - bytes.count)
    }
    var older = LockRecord()
    older.epoch = 2
    return sector(LockRecord().encoded) + sector(older.encoded) + sector(versionOne)
      + sector(versionOne) + [UInt8](repeating: 0, count: 8)
  }()

  @Test func theMachinesNextStartBeginsANewEpochDurably() async throws {
    let scratch = LockScratch()
    try scratch.write(Self.fileOfVersionOne)
    let token = try await scratch.lock().withLock { $0 }
    #expect(token == FencingToken(epoch: 4, turn: 1 << 16))
    // In the place of the older epoch; the newer one still stands.
    #expect(try LockRecord(Array(scratch.bytes[512..<576])).epoch == 4)
    #expect(try LockRecord(Array(scratch.bytes[1024..<1088])).epoch == 3)
    #expect(try LockRecord(Array(scratch.bytes[1536..<1600])).isDurable)
  }

  /// A power cut may leave anything in a sector that was being written: the turn, and one of the epochs.
  @Test(arguments: [[512, 1536], [1024, 1536], [1536], [512], [1024]])
  func tornSectorsNeverLowerTheTokenNorLockAnybodyOut(torn: [Int]) async throws {
    let scratch = LockScratch()
    let before = try await scratch.lock().withLock { $0 }
    var bytes = scratch.bytes
    // The machine was started anew since: nothing of this start is in the file but what was synced.
    for slot in [512, 1024, 1536] {
      guard var record = try? LockRecord(Array(bytes[slot..<slot + 64])), record.epoch > 0 else {
        continue
      }
      record.bootIdentifier = Array(repeating: 9, count: 16)
      bytes.replaceSubrange(slot..<slot + 64, with: record.encoded)
    }
    let written = [512, 1024].filter { bytes[$0] != 0 }
    for sector in torn where !(written == [sector]) {
      bytes.replaceSubrange(
        sector..<min(sector + 512, bytes.count), with: (0..<512).map { UInt8($0 % 251) })
    }
    try scratch.write(Array(bytes.prefix(2056)))
    let after = try await scratch.lock(in: LockRegistry()).withLock { $0 }
    #expect(after > before)
    let next = try await scratch.lock(in: LockRegistry()).withLock { $0 }
    #expect(next > after)
  }

  @Test func theLockFileIsWholeWheneverItHasItsName() async throws {
    let scratch = LockScratch()
    try await scratch.lock().withLock { _ in }
    #expect(Array(scratch.bytes.prefix(64)) == LockRecord().encoded)
    #expect(try OpenDirectory(scratch.directory, fileSystem: .real).entries().count == 1)
  }

  @Test func aCounterThatWasLostIsRaisedAboveAToken() async throws {
    let scratch = LockScratch()
    let lock = scratch.lock()
    let known = FencingToken(epoch: 7, turn: 99 << 16 | 3)
    let hold = try await lock.acquire(above: known)
    #expect(hold.token > known)
    lock.release(hold)
    let next = try await lock.withLock { $0 }
    #expect(next.directlyFollows(hold.token))
    let other = try await scratch.lock(in: LockRegistry()).withLock { $0 }
    #expect(other > next)
  }

  @Test(arguments: LockTests.strategies)
  func aLockFileThatWasReplacedIsOpenedAnew(strategy: BackoffLock.Strategy) async throws {
    let scratch = LockScratch()
    let lock = scratch.lock { $0.strategy = strategy }
    for _ in 0..<3 {
      try await lock.withLock { _ in }
      try RealFileSystem().unlink(scratch.path, in: nil)
      let other = scratch.lock(in: LockRegistry())
      let held = try await other.tryLock()
      await #expect(throws: LockTimeoutError.self) {
        try await lock.withLock(timeout: .zero) { _ in }
      }
      held?.release()
    }
  }

  @Test func aSymbolicLinkAndADirectoryAreRefused() async throws {
    let scratch = LockScratch()
    try RealFileSystem().makeSymbolicLink(
      scratch.path, in: nil, destination: scratch.directory + "/elsewhere")
    let link = await #expect(throws: LockError.self) {
      try await scratch.lock().withLock { _ in }
    }
    #expect(link?.code == .symbolicLink)
    let directory = await #expect(throws: LockError.self) {
      try await BackoffLock(scratch.directory).withLock { _ in }
    }
    #expect(directory?.code == .notRegularFile)
  }

  @Test func aMissingDirectoryIsAnErrorAndNobodyOwnsAMissingFile() async throws {
    let scratch = LockScratch()
    let error = await #expect(throws: LockError.self) {
      try await BackoffLock(scratch.directory + "/no/lock").withLock { _ in }
    }
    #expect(error?.cause?.number == .notFound)
    #expect(try await scratch.lock().owner() == nil)
    #expect(scratch.bytes.isEmpty)
  }

  @Test func theOwnerIsShownWhileTheLockIsHeldAndNotAfter() async throws {
    let scratch = LockScratch()
    let lock = scratch.lock { $0.label = "line\nbreak\t=" }
    let other = scratch.lock(in: LockRegistry())
    try await lock.withLock { _ in
      for one in [lock, other] {
        let owner = try await one.owner()
        #expect(owner?.processIdentifier == RealFileSystem().processIdentifier)
        #expect(owner?.label == "line break =")
        #expect(owner?.processStart == LockProcess.current.startTime)
      }
    }
    #expect(try await other.owner() == nil)
  }

  @Test func anOwnersLineOfLongNamesIsCutAndReadBack() {
    let owner = LockOwner(
      processIdentifier: .max, processStart: .max,
      processNamespace: String(repeating: "n", count: 99),
      host: String(repeating: "ü", count: 99), program: String(repeating: "p", count: 999),
      label: String(repeating: "l", count: 999), since: WallTime(secondsSince1970: 0))
    #expect(owner.line.count <= LockOwnerField.maximumLine)
    let read = LockOwner(line: owner.line, since: owner.since)
    #expect(read?.host == String(repeating: "ü", count: 50))
    #expect(read?.description.hasSuffix("since 00:00:00") == true)
  }

  /// A record as the first version wrote it.
  static let versionOne: [UInt8] =
    Array("reliability-lock".utf8) + [0, 1, 0, 0, 0, 0, 0, 3] + Array(0..<16)
    + [0, 0, 0, 0, 0, 0, 0, 42] + [0x18, 0x1A, 0xE4, 0x1D, 0x94, 0x6B, 0x6C, 0x00]
    + [1, 0, 0, 0] + [0x3D, 0xBD, 0xB2, 0x7C]

  private static func sealed(_ bytes: [UInt8]) -> [UInt8] {
    let sum = CRC32C(bytes.span.extracting(0..<60)).value
    return Array(bytes.prefix(60)) + (0..<4).map { UInt8(truncatingIfNeeded: sum >> (24 - 8 * $0)) }
  }
}
