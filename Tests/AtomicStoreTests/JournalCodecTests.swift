import BackoffLock
import ReliabilityIO
import ReliabilityTestSupport
import Testing

@testable import AtomicStore

@Suite(.offThePool) struct JournalCodecTests {
  static let record = JournalRecord(
    transaction: 7, token: FencingToken(epoch: 3, turn: 0x1_0002),
    operations: [
      .append(path: "urls.txt", inode: 42, base: 1234, bytes: bytes("https://example.org\n")),
      .append(path: "new/ä.jsonl", inode: 0, base: 0, bytes: []),
      .replace(path: "manifest.json", mode: nil, bytes: bytes("{}")),
      .replace(path: "secret", mode: 0o600, bytes: bytes("s")),
      .replaceFromSide(
        path: "video.mp4", mode: 0o644,
        side: SideFile(name: JournalName.side(9), size: 1 << 33, checksum: 0xDEAD_BEEF)),
      .remove(path: "pending/x"),
    ])
  static let salt: UInt64 = 0x0123_4567_89AB_CDEF

  @Test func aRecordComesBackAsItWas() throws {
    let encoded = try #require(Self.record.encoded(salt: Self.salt))
    #expect(encoded.count.isMultiple(of: JournalRecord.alignment))
    guard
      case .record(let decoded, let size) = JournalRecord.read(
        encoded[...] + [1, 2, 3], salt: Self.salt)
    else {
      Issue.record("no record")
      return
    }
    #expect(decoded == Self.record)
    #expect(size == encoded.count)
  }

  @Test func aRecordWithAnyBitFlippedIsNone() throws {
    let encoded = try #require(Self.record.encoded(salt: Self.salt))
    let length = Int(encoded[JournalRecord.lengthOffset]) + JournalRecord.headerSize
    for bit in 0..<(length * 8) {
      var damaged = encoded
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      switch JournalRecord.read(damaged[...], salt: Self.salt) {
      case .none, .incomplete: break
      default: Issue.record("bit \(bit) was not noticed")
      }
    }
  }

  @Test func aRecordCutAnywhereIsNone() throws {
    let encoded = try #require(Self.record.encoded(salt: Self.salt))
    let length = Int(encoded[JournalRecord.lengthOffset]) + JournalRecord.headerSize
    for count in 0..<length {
      switch JournalRecord.read(encoded[..<count], salt: Self.salt) {
      case .none, .incomplete: break
      default: Issue.record("\(count) bytes were taken for a record")
      }
      let torn = encoded[..<count] + [UInt8](repeating: 0, count: encoded.count - count)
      // What a cut takes away may have been zero already.
      if torn.elementsEqual(encoded) { continue }
      if case .record = JournalRecord.read(torn, salt: Self.salt) {
        Issue.record("\(count) bytes and zeros were taken for a record")
      }
    }
  }

  @Test func aRecordOfAnotherSaltIsNone() throws {
    let encoded = try #require(Self.record.encoded(salt: Self.salt))
    guard case .none = JournalRecord.read(encoded[...], salt: Self.salt + 1) else {
      Issue.record("the salt was not looked at")
      return
    }
  }

  @Test func aRecordThatNeedsMoreThanTheLimitIsRefused() {
    var record = Self.record
    record.operations = [
      .append(
        path: "a", inode: 0, base: 0,
        bytes: [UInt8](repeating: 1, count: JournalRecord.maximumPayload))
    ]
    #expect(record.encoded(salt: 1) == nil)
  }

  @Test func aHeaderWithAnyBitFlippedIsDamagedAndTheOtherCopyCounts() {
    let old = JournalHeader(
      generation: 4, salt: 5, lastTransaction: 6, token: FencingToken(epoch: 7, turn: 8))
    var new = old
    new.generation = 5
    new.salt = 9
    var area = [UInt8](repeating: 0, count: JournalHeader.area)
    for header in [old, new] {
      for (index, byte) in header.encoded.enumerated() { area[Int(header.offset) + index] = byte }
    }
    #expect(old.offset != new.offset)
    #expect(JournalHeader.read(area) == .header(new))
    for bit in 0..<(JournalHeader.size * 8) {
      var damaged = area
      damaged[Int(new.offset) + bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(JournalHeader.read(damaged) == .header(old), "bit \(bit)")
    }
    for count in 0..<JournalHeader.size {
      var torn = area
      for index in count..<JournalHeader.size { torn[Int(new.offset) + index] = 0 }
      #expect(JournalHeader.read(torn) == .header(old) || torn == area, "\(count) bytes")
    }
    #expect(JournalHeader.read([]) == .damaged)
    #expect(JournalHeader.read([UInt8](repeating: 0, count: JournalHeader.area)) == .damaged)
  }

  /// Version 1, byte for byte: later versions must go on reading it.
  @Test func theBytesOfVersionOneAreTheDocumentedOnes() throws {
    let header = JournalHeader(
      generation: 1, salt: 2, lastTransaction: 3, token: FencingToken(epoch: 4, turn: 5))
    #expect(
      hexadecimal(header.encoded)
        == "524c4a4801000000" + "0100000000000000" + "0200000000000000" + "0300000000000000"
        + "04000000" + "0500000000000000" + hexadecimal(checksum(header.encoded.dropLast(4))))
    let record = JournalRecord(
      transaction: 1, token: FencingToken(epoch: 2, turn: 3),
      operations: [
        .append(path: "a", inode: 4, base: 5, bytes: [0x78, 0x0A]),
        .replace(path: "b", mode: 0o644, bytes: [0x79]), .remove(path: "c"),
      ])
    let encoded = try #require(record.encoded(salt: 6))
    let payload =
      "03000000" + "01" + "010061" + "0400000000000000" + "0500000000000000" + "02000000" + "780a"
      + "02" + "010062" + "a401" + "01000000" + "79" + "03" + "010063"
    let head =
      "524c4a3101000000" + "0600000000000000" + "0100000000000000" + "02000000"
      + "0300000000000000" + "2d000000"
    let crc = hexadecimal(checksum(encoded[..<40] + encoded[44..<(44 + 45)]))
    #expect(hexadecimal(encoded) == head + crc + payload + "0000000000" + "0000")
  }

  private func checksum(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    let value = CRC32C(Array(bytes).span).value
    return (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) }
  }

  private func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  @Test func aLaterMajorVersionIsSaidToBeOne() {
    var bytes = JournalHeader(
      generation: 2, salt: 1, lastTransaction: 0, token: FencingToken(epoch: 0, turn: 0)
    ).encoded
    bytes[4] = 2
    bytes.replaceSubrange(44..<48, with: checksum(bytes[..<44]))
    bytes += [UInt8](repeating: 0, count: JournalHeader.area)
    #expect(JournalHeader.read(bytes) == .newer(major: 2))
  }
}

@Suite(.offThePool) struct JournalScanTests {
  static let salt: UInt64 = 77

  static func record(_ transaction: UInt64, _ text: String = "line\n") -> [UInt8] {
    JournalRecord(
      transaction: transaction, token: FencingToken(epoch: 1, turn: transaction),
      operations: [.append(path: "a", inode: 1, base: 0, bytes: bytes(text))]
    ).encoded(salt: salt) ?? []
  }

  @Test func recordsCountUntilTheFirstThatIsNone() throws {
    let content = Self.record(5) + Self.record(6) + [UInt8](repeating: 0, count: 500)
    let scan = try JournalScan(content, salt: Self.salt, after: 4)
    #expect(scan.records.map(\.transaction) == [5, 6])
    #expect(scan.size == Self.record(5).count * 2)
    #expect(!scan.isMarkedApplied)
  }

  @Test func aTornLastRecordIsIgnoredAtEveryLength() throws {
    let whole = Self.record(1)
    let torn = Self.record(2, String(repeating: "x", count: 100) + "\n")
    for count in 0..<(torn.count - 8) {
      let content = whole + torn[..<count] + [UInt8](repeating: 0, count: 300)
      let scan = try JournalScan(content, salt: Self.salt, after: 0)
      #expect(scan.records.map(\.transaction) == [1], "\(count) bytes")
    }
  }

  @Test func aDamagedRecordBeforeAWholeOneIsCorruption() {
    let first = Self.record(1)
    for bit in stride(from: 0, to: 40 * 8, by: 7) {
      var content = first + Self.record(2) + Self.record(3)
      content[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: JournalScan.Damage.corrupt(offset: first.count), "bit \(bit)") {
        try JournalScan(content, salt: Self.salt, after: 0)
      }
    }
  }

  @Test func recordsOfAnEarlierSaltBehindTheEndAreLeftovers() throws {
    let old = JournalRecord(
      transaction: 9, token: FencingToken(epoch: 1, turn: 1), operations: [.remove(path: "a")]
    ).encoded(salt: 1)
    let content = Self.record(10) + (old ?? []) + [UInt8](repeating: 0, count: 64)
    let scan = try JournalScan(content, salt: Self.salt, after: 9)
    #expect(scan.records.map(\.transaction) == [10])
  }

  @Test func aCopyOfTheJournalInsideARecordIsNoLaterRecord() throws {
    let first = Self.record(1)
    let outer =
      JournalRecord(
        transaction: 2, token: FencingToken(epoch: 1, turn: 2),
        operations: [.replace(path: "copy", mode: nil, bytes: first)]
      ).encoded(salt: Self.salt) ?? []
    let torn = outer.dropLast(8) + [UInt8](repeating: 1, count: 8)
    let scan = try JournalScan(first + torn, salt: Self.salt, after: 0)
    #expect(scan.records.map(\.transaction) == [1])
  }

  @Test func theMarkSaysThatEverythingIsApplied() throws {
    let mark = AppliedMark(salt: Self.salt, transaction: 1).encoded
    #expect(
      try JournalScan(Self.record(1) + mark, salt: Self.salt, after: 0).isMarkedApplied)
    let older = AppliedMark(salt: Self.salt, transaction: 0).encoded
    #expect(
      try !JournalScan(Self.record(1) + older, salt: Self.salt, after: 0).isMarkedApplied)
  }

  @Test func whatALaterReplacementOvertakesIsNotMadeAgain() {
    func record(_ operations: JournalOperation...) -> JournalRecord {
      JournalRecord(
        transaction: 0, token: FencingToken(epoch: 0, turn: 0), operations: operations)
    }
    let a = JournalOperation.append(path: "a", inode: 1, base: 0, bytes: [1])
    let a2 = JournalOperation.append(path: "a", inode: 1, base: 1, bytes: [2])
    let b = JournalOperation.append(path: "b", inode: 2, base: 0, bytes: [3])
    let b2 = JournalOperation.replace(path: "b", mode: nil, bytes: [4])
    let b3 = JournalOperation.remove(path: "b")
    #expect(RecoveryPlan([record(a, b), record(a2, b2)]).steps.map(\.operation) == [a, a2, b2])
    #expect(
      RecoveryPlan([record(a, b), record(b2), record(a2, b3)]).steps.map(\.operation) == [
        a, a2, b3,
      ])
    #expect(RecoveryPlan([]).steps.isEmpty)
  }

  @Test func anAppendWaitsForACheckpointWhereTheJournalWouldSpeakOfAnotherFile() {
    var epoch = JournalEpoch()
    epoch.note(.append(path: "a", inode: 5, base: 10, bytes: [1, 2]))
    epoch.note(.replace(path: "d/b", mode: nil, bytes: []))
    #expect(!epoch.mustCheckpoint(beforeAppendTo: "a", inode: 5, size: 12))
    #expect(!epoch.mustCheckpoint(beforeAppendTo: "a", inode: 5, size: 20))
    #expect(epoch.mustCheckpoint(beforeAppendTo: "a", inode: 5, size: 11))
    #expect(epoch.mustCheckpoint(beforeAppendTo: "a", inode: 6, size: 12))
    #expect(epoch.mustCheckpoint(beforeAppendTo: "a", inode: nil, size: 0))
    #expect(epoch.mustCheckpoint(beforeAppendTo: "d/b", inode: 7, size: 0))
    #expect(!epoch.mustCheckpoint(beforeAppendTo: "c", inode: nil, size: 0))
    #expect(epoch.directories == ["d"])
  }
}
