import ReliabilityIO
import ReliabilityTestSupport
import Testing

@testable import AtomicStore

@Suite(.offThePool) struct AppendLogTests {
  /// The fixture of version 1: must stay readable for ever.
  static let fixture = """
    {"format":"reliability-log","version":1,"generation":1,"_crc":"71ab69c6"}
    {"a":1,"_crc":"149cdbb2"}

    """

  @Test func recordsComeBackAsTheyWereAppended() async throws {
    let scratch = ScratchDirectory()
    let log = try await AppendLog(scratch.file("log"))
    let all = [
      "{}", "{ }", #"{"a":1}"#, #"{"a":"ü€😀","b":[1,2]}"#, #"{"a":1,"_crc":"x"}"#, #"{"a":1 }"#,
    ]
    for text in all { try await log.append(text) }
    #expect(try await log.texts() == all)
    let receipt = try await log.append(contentsOf: [bytes(#"{"b":1}"#), bytes(#"{"b":2}"#)])
    #expect(receipt.isDurable)
    #expect(try await log.texts(from: receipt.start) == [#"{"b":1}"#, #"{"b":2}"#])
    #expect(try await log.texts(from: receipt.end).isEmpty)
    try await log.close()
    let again = try await AppendLog(scratch.file("log"))
    #expect(try await again.texts().count == all.count + 2)
    #expect(again.health.badRecords.isEmpty)
  }

  @Test func theFileIsTheDocumentedOne() async throws {
    let scratch = ScratchDirectory()
    var options = AppendLog.Options()
    options.content = .init("letters", version: 2)
    let log = try await AppendLog(scratch.file("log"), options: options)
    try await log.append(#"{"a":1}"#)
    try await log.append("{}")
    let lines = try #require(scratch.read("log")).split(separator: "\n")
    let head =
      #"{"format":"reliability-log","version":1,"generation":1,"content":"letters","contentVersion":2,"_crc":""#
    #expect(lines[0].hasPrefix(head))
    #expect(lines[1] == #"{"a":1,"_crc":"\#(hex(bytes(#"{"a":1"#)))"}"#)
    #expect(lines[2] == #"{"_crc":"\#(hex(bytes("{")))"}"#)
    #expect(lines.count == 3)
  }

  @Test func theFixtureOfVersionOneIsReadAndAppendedTo() async throws {
    let scratch = ScratchDirectory()
    try scratch.write(Self.fixture, to: "log")
    let log = try await AppendLog(scratch.file("log"))
    try await log.append(#"{"a":1}"#)
    #expect(try await log.texts() == [#"{"a":1}"#, #"{"a":1}"#])
    let line = Self.fixture.split(separator: "\n")[1]
    #expect(scratch.read("log") == Self.fixture + line + "\n")
    #expect(log.health.badRecords.isEmpty)
  }

  private func hex(_ bytes: [UInt8]) -> String {
    let digits = String(CRC32C(bytes.span).value, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }

  @Test(arguments: [
    "", "1", "[]", "{", "}", #"{"a":1}"# + "\n", "{\"a\":\n1}", "{\"a\":\"\0\"}", " {}", "{} ",
  ])
  func whatIsNotOneObjectOnOneLineIsRefused(text: String) async throws {
    let scratch = ScratchDirectory()
    let log = try await AppendLog(scratch.file("log"))
    let error = await #expect(throws: StoreError.self) { try await log.append(text) }
    #expect(error?.code == .invalidRecord)
    #expect(try await log.texts().isEmpty)
  }

  @Test func invalidTextAndTooLargeRecordsAreRefused() async throws {
    let scratch = ScratchDirectory()
    var options = AppendLog.Options()
    options.maximumRecordSize = 100
    let log = try await AppendLog(scratch.file("log"), options: options)
    let wrong = [UInt8(ascii: "{"), 0xff, UInt8(ascii: "}")]
    #expect(
      await #expect(throws: StoreError.self) { try await log.append(wrong) }?.code == .invalidRecord
    )
    let large = bytes(record(1, size: 101))
    #expect(
      await #expect(throws: StoreError.self) { try await log.append(large) }?.code
        == .recordTooLarge)
    try await log.append(record(1, size: 100))
    #expect(try await log.texts().count == 1)
  }

  @Test func encodedValuesAreAppended() async throws {
    struct Event: Codable { var url: String }
    let scratch = ScratchDirectory()
    let log = try await AppendLog(scratch.file("log"))
    try await log.append(encoding: Event(url: "https://a/b"))
    #expect(try await log.texts() == [#"{"url":"https://a/b"}"#])
    let error = await #expect(throws: StoreError.self) { try await log.append(encoding: [1]) }
    #expect(error?.code == .invalidRecord)
  }

  @Test func aLineLongerThanAChunkIsReadAndOneBeyondTheLimitIsPassedOver() async throws {
    let scratch = ScratchDirectory()
    let log = try await AppendLog(scratch.file("log"))
    let sizes = [10, 3 << 20, 20, (1 << 20) - 19, 30]
    for size in sizes { try await log.append(record(1, size: size), durability: .none) }
    #expect(try await log.texts() == sizes.map { record(1, size: $0) })
    var options = AppendLog.Options()
    options.maximumRecordSize = 2 << 20
    let small = try await AppendLog(scratch.file("log"), options: options)
    #expect(try await small.texts().count == 4)
    #expect(small.health.badRecords.map(\.length) == [(3 << 20) + 18])
  }

  @Test func aPlainFileIsLeftToItsUser() async throws {
    let scratch = ScratchDirectory()
    try scratch.write("first\nhalf", to: "notes.txt")
    var options = AppendLog.Options()
    options.format = .plain
    let log = try await AppendLog(scratch.file("notes.txt"), options: options)
    try await log.append("last")
    #expect(scratch.read("notes.txt") == "first\nlast\n")
    #expect(try await log.texts() == ["first", "last"])
    let tail = try #require(log.health.tornTails.first)
    #expect(tail.offset == 6 && tail.length == 4)
    let saved = try #require(scratch.names.first { $0.contains(".torn-") })
    #expect(scratch.read(saved) == "half")
  }

  @Test func foreignLinesAreIsolatedAndNeverOverwritten() async throws {
    let scratch = ScratchDirectory()
    var options = AppendLog.Options()
    options.format = .plain
    options.healing = .isolate
    let log = try await AppendLog(scratch.file("notes.txt"), options: options)
    try await log.append("one")
    let other = try OpenFile(scratch.file("notes.txt"), [.write, .append], fileSystem: .real)
    _ = try other.fileSystem.backend.write(other.descriptor, bytes("foreign half").span, at: nil)
    try await log.append("two")
    #expect(scratch.read("notes.txt") == "one\nforeign half\ntwo\n")
    #expect(log.health.tornTails.first?.savedAs == nil)
    #expect(!scratch.names.contains { $0.contains(".torn-") })
  }

  @Test func aLaterVersionIsReadAndNotWritten() async throws {
    let scratch = ScratchDirectory()
    var content: [UInt8] = []
    LogLine.append(
      bytes(#"{"format":"reliability-log","version":2,"generation":7,"new":[1]}"#), to: &content)
    LogLine.append(bytes(#"{"a":1}"#), to: &content)
    try scratch.write(content, to: "log")
    let log = try await AppendLog(scratch.file("log"))
    #expect(log.health.readOnlyReason?.code == .newerFormat)
    let error = await #expect(throws: StoreError.self) { try await log.append("{}") }
    #expect(error?.code == .newerFormat)
    #expect(try await log.texts() == [#"{"a":1}"#])
    #expect(scratch.readBytes("log") == content)
  }

  @Test func anotherContentOrNoLogAtAllIsRefused() async throws {
    let scratch = ScratchDirectory()
    try scratch.write("{\"my\":\"file\"}\n", to: "mine")
    try scratch.write("my file", to: "mine2")
    for name in ["mine", "mine2"] {
      let error = await #expect(throws: StoreError.self) { try await AppendLog(scratch.file(name)) }
      #expect(error?.code == .notALog)
    }
    #expect(scratch.read("mine2") == "my file")
    var options = AppendLog.Options()
    options.content = .init("letters", version: 1)
    _ = try await AppendLog(scratch.file("log"), options: options)
    options.content = .init("jobs", version: 1)
    #expect(await refusal(scratch.file("log"), options) == .notALog)
    options.content = .init("letters", version: 0)
    let older = try await AppendLog(scratch.file("log"), options: options)
    #expect(older.health.readOnlyReason?.code == .newerFormat)
  }

  private func refusal(_ path: String, _ options: AppendLog.Options) async -> StoreError.Code? {
    do {
      _ = try await AppendLog(path, options: options)
      return nil
    } catch {
      return (error as? StoreError)?.code
    }
  }

  @Test func aClosedLogTakesNothingAndIsStillRead() async throws {
    let scratch = ScratchDirectory()
    let disk = FaultyFileSystem()
    let log = try await AppendLog(scratch.file("log"), fileSystem: disk.fileSystem)
    try await log.append(record(1), durability: .none)
    try await log.close()
    try await log.close()
    let error = await #expect(throws: StoreError.self) { try await log.append(record(2)) }
    #expect(error?.code == .closed)
    #expect(try await log.texts() == [record(1)])
  }

  @Test func readOnlyTouchesNothing() async throws {
    let scratch = ScratchDirectory()
    let log = try await AppendLog(scratch.file("log"))
    try await log.append(record(1))
    var options = AppendLog.Options()
    options.access = .readOnly
    let disk = FaultyFileSystem()
    let reader = try await AppendLog(
      scratch.file("log"), options: options, fileSystem: disk.fileSystem)
    #expect(try await reader.texts() == [record(1)])
    #expect(
      !disk.calls.contains("write") && !disk.calls.contains("create")
        && !disk.calls.contains("fsync"))
    #expect(
      await #expect(throws: StoreError.self) { try await reader.append("{}") }?.code == .readOnly)
  }

  @Test func positionsThatAreNoneAreRefused() async throws {
    let scratch = ScratchDirectory()
    let log = try await AppendLog(scratch.file("log"))
    let end = try await log.append(record(1)).end
    for position in [
      AppendLog.Position(generation: 2, offset: end.offset),
      .init(generation: 1, offset: end.offset - 1), .init(generation: 1, offset: end.offset + 1),
      .init(generation: 1, offset: -1),
    ] {
      let error = await #expect(throws: StoreError.self) { try await log.texts(from: position) }
      #expect(error?.code == .stalePosition)
    }
  }

  @Test func jqReadsTheFile() async throws {
    let scratch = ScratchDirectory()
    let log = try await AppendLog(scratch.file("log"))
    for n in 0..<3 { try await log.append(record(n)) }
    guard let output = Shell.output(["jq", "-c", ".n", scratch.file("log")]) else { return }
    #expect(output == "null\n0\n1\n2\n")
  }

  @Test func theSynchronousFormReadsTheSame() throws {
    let scratch = ScratchDirectory(inMemory: true)
    var content = LogHeader(generation: 1, content: nil).line
    for n in 0..<10 { LogLine.append(bytes(record(n)), to: &content) }
    try scratch.write(content, to: "log")
    var options = AppendLog.Options()
    options.access = .readOnly
    let log = try Blocking.run { [options] in
      try await AppendLog(scratch.file("log"), options: options)
    }
    var texts: [String] = []
    let end = try log.forEachRecord { texts.append(String(decoding: $0.payload, as: UTF8.self)) }
    #expect(texts == (0..<10).map { record($0) })
    #expect(end == .init(generation: 1, offset: Int64(content.count)))
  }
}
