import ReliabilityIO
import ReliabilityTestSupport
import Testing

@testable import AtomicStore

@Suite(.offThePool) struct AppendLogHealingTests {
  private static let header = LogHeader(generation: 1, content: nil).line

  private static func line(_ n: Int, size: Int = 20) -> [UInt8] {
    var bytes: [UInt8] = []
    LogLine.append(Array(record(n, size: size).utf8), to: &bytes)
    return bytes
  }

  /// Reads and heals what is in a scratch file, appends, and looks at it all.
  private func heal(
    _ content: [UInt8], in scratch: ScratchDirectory, good: [String], torn: Int, _ context: String
  ) async throws {
    try scratch.write(content, to: "log")
    let log = try await AppendLog(scratch.file("log"))
    #expect(try await log.texts() == good, "\(context)")
    #expect(log.health.tornTails.map(\.length) == (torn > 0 ? [Int64(torn)] : []), "\(context)")
    if let saved = log.health.tornTails.first?.savedAs {
      let name = saved.split(separator: "/").last.map(String.init) ?? ""
      #expect(scratch.readBytes(name) == Array(content.suffix(torn)), "\(context)")
      try RealFileSystem().unlink(saved, in: nil)
    }
    try await log.append(record(99), durability: .none)
    #expect(try await log.texts() == good + [record(99)], "\(context)")
    #expect(log.health.badRecords.isEmpty, "\(context)")
  }

  static let tears: [(size: Int, step: Int)] = [(1024, 1), (4096, 7), (100_000, 997)]

  @Test(arguments: tears)
  func aLineTornAtAnyByteIsKeptAsideAndCutOff(size: Int, step: Int) async throws {
    let scratch = ScratchDirectory(inMemory: true)
    let line = Self.line(2, size: size)
    let before = Self.header + Self.line(1)
    var cuts = Set(stride(from: 1, to: line.count, by: step))
    for sector in stride(from: 512, to: line.count, by: 512 * (step / 100 + 1)) {
      for cut in [sector - before.count % 512 - 1, sector - before.count % 512, sector]
      where cut > 0 && cut < line.count { cuts.insert(cut) }
    }
    cuts.insert(line.count - 1)
    for cut in cuts.sorted() {
      try await heal(
        before + line.prefix(cut), in: scratch, good: [record(1)], torn: cut, "cut at \(cut)")
    }
    try await heal(
      before + line, in: scratch, good: [record(1), record(2, size: size)], torn: 0, "whole")
  }

  @Test(arguments: [1, 511, 512, 4096, 70_000])
  func aTailOfNULsIsKeptAsideAndCutOff(count: Int) async throws {
    let scratch = ScratchDirectory(inMemory: true)
    let nuls = [UInt8](repeating: 0, count: count)
    let good = Self.header + Self.line(1)
    try await heal(good + nuls, in: scratch, good: [record(1)], torn: count, "NULs")
    try await heal(
      good + nuls + [10], in: scratch, good: [record(1)], torn: count + 1, "NULs and a newline")
    let half = Self.line(2).prefix(9)
    try await heal(
      good + half + nuls + half + [10] + nuls, in: scratch, good: [record(1)],
      torn: 2 * count + 19, "halves")
  }

  @Test func aHeaderTornAnywhereIsHealed() async throws {
    let scratch = ScratchDirectory(inMemory: true)
    for cut in 0..<Self.header.count {
      try await heal(
        Array(Self.header.prefix(cut)), in: scratch, good: [], torn: cut, "cut at \(cut)")
      #expect(scratch.readBytes("log")?.starts(with: Self.header) == true)
    }
    try await heal([UInt8](repeating: 0, count: 600), in: scratch, good: [], torn: 600, "NULs")
  }

  @Test func aFlippedBitAnywhereInARecordLosesThatRecordOnly() async throws {
    let scratch = ScratchDirectory(inMemory: true)
    let first = Self.header + Self.line(1)
    let middle = Self.line(2)
    for index in middle.indices {
      for bit in [0, 3, 7] {
        var flipped = middle
        flipped[index] ^= 1 << UInt8(bit)
        let context: Comment = "byte \(index), bit \(bit)"
        try scratch.write(first + flipped + Self.line(3), to: "log")
        let log = try await AppendLog(scratch.file("log"))
        let texts = try await log.texts()
        // A newline that is none glues two lines together, and one that is new makes two of one.
        let expected = index == middle.count - 1 ? [record(1)] : [record(1), record(3)]
        #expect(texts == expected, context)
        #expect(log.health.badRecords.count >= 1, context)
        #expect(log.health.quarantineFailure == nil, context)
        try await log.append(record(4), durability: .none)
        #expect(try await log.texts() == expected + [record(4)], context)
      }
    }
  }

  @Test func aFlippedBitInTheHeaderLosesNoRecord() async throws {
    let scratch = ScratchDirectory(inMemory: true)
    for index in 0..<(Self.header.count - 1) {
      var header = Self.header
      header[index] ^= 1
      try scratch.write(header + Self.line(1), to: "log")
      do {
        let log = try await AppendLog(scratch.file("log"))
        #expect(try await log.texts() == [record(1)], "byte \(index)")
      } catch let error as StoreError {
        #expect([.notALog, .newerFormat].contains(error.code), "byte \(index)")
        #expect(index < 57, "byte \(index)")
      }
      #expect(scratch.readBytes("log")?.suffix(Self.line(1).count) == Self.line(1)[...])
    }
  }

  @Test func aBadRecordIsCopiedToTheQuarantineOnce() async throws {
    let scratch = ScratchDirectory()
    let foreign = Array("foreign line\n".utf8)
    try scratch.write(Self.header + Self.line(1) + foreign + Self.line(2), to: "log")
    for _ in 0..<3 {
      let log = try await AppendLog(scratch.file("log"))
      #expect(try await log.texts() == [record(1), record(2)])
      #expect(try await log.texts() == [record(1), record(2)])
      #expect(log.health.badRecords.map(\.length) == [12])
    }
    let quarantine = try await AppendLog(scratch.file("log.quarantine"))
    let offset = Self.header.count + Self.line(1).count
    let expected =
      #"{"generation":1,"offset":\#(offset),"length":12,"bytes":"Zm9yZWlnbiBsaW5l"}"#
    #expect(try await quarantine.texts() == [expected])
  }

  @Test func aForeignHalfLineIsHealedByTheNextAppend() async throws {
    let scratch = ScratchDirectory()
    let log = try await AppendLog(scratch.file("log"))
    let end = try await log.append(record(1)).end.offset
    let other = try OpenFile(scratch.file("log"), [.write], fileSystem: .real)
    try other.writeAll(bytes(#"{"foreign"#).span, at: end)
    let reader = try await AppendLog(scratch.file("log"), options: .readOnly)
    #expect(try await reader.texts() == [record(1)])
    // The lock tells that nobody wrote; a foreign appender does without it, so it takes a look at the file.
    let second = try await AppendLog(scratch.file("log"))
    try await second.append(record(2))
    #expect(second.health.tornTails.count == 1)
    #expect(try await log.texts() == [record(1), record(2)])
    #expect(log.health.badRecords.isEmpty)
  }

  @Test func base64IsThatOfTheStandard() {
    for (text, encoded) in [
      ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy"),
    ] {
      #expect(Base64.encode(bytes(text)) == bytes(encoded))
    }
  }
}

extension AppendLog.Options {
  static var readOnly: Self {
    var options = Self()
    options.access = .readOnly
    return options
  }
}
