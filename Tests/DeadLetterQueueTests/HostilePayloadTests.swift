import ReliabilityTesting
import Testing

@testable import DeadLetterQueue

@Suite struct HostilePayloadTests {
  static let payloads: [[UInt8]] = [
    [], [0], [0, 0, 0], [0x0A], Array("\r\n".utf8), [0xFF, 0xFE], [0xC0, 0xAF], [0xED, 0xA0, 0x80],
    Array("{}".utf8), Array(" {}".utf8), Array("{} ".utf8), Array("null".utf8), Array("nul".utf8),
    Array("{\"a\":1,}".utf8), Array("[1,]".utf8), Array("{\"a\"}".utf8), Array("01".utf8),
    Array("-".utf8), Array("1e".utf8), Array("1.".utf8), Array("\"\\u12\"".utf8),
    Array("\"\\x\"".utf8), Array("\"tab\there\"".utf8), Array("\"a\nb\"".utf8), Array("[]]".utf8),
    Array(#"{"_crc":"00000000"}"#.utf8), Array(#"{"letter":1,"payload":2}"#.utf8),
    Array(#"{"\u0000":"\u0000\ud800"}"#.utf8), Array(#"[{"a":[1,2,{"b":null}]},"\\\""]"#.utf8),
    Array(#""},"report":{},"x":""#.utf8), Array("\u{2028}\"".utf8), Array(#""ü€😀""#.utf8),
    Array(String(repeating: "[", count: 20_000).utf8),
    Array((String(repeating: "[", count: 64) + String(repeating: "]", count: 64)).utf8),
    Array((String(repeating: "[", count: 65) + String(repeating: "]", count: 65)).utf8),
    Array(
      (String(repeating: #"{"a":"#, count: 10_000) + "1" + String(repeating: "}", count: 10_000))
        .utf8),
    [UInt8](repeating: 0x0A, count: 1 << 20),
    Array("\"".utf8) + [UInt8](repeating: 0x78, count: 1 << 20) + Array("\"".utf8),
  ]

  @Test(arguments: Kept.allCases) func comeBackByteForByte(kept: Kept) async throws {
    let disk = Kept.disk()
    let queue = try await kept.queue(on: disk)
    let draft = DeadLetter.Draft(kind: "x", error: Broken())
    for payload in Self.payloads { try await queue.add(bytes: payload, as: draft) }
    #expect(try await queue.everything().map(\.payload) == Self.payloads)
    _ = try await queue.compact()
    #expect(try await queue.everything().map(\.payload) == Self.payloads)
    #expect(try await queue.redrive { _, _ in }.undecodable == Self.payloads.count)
    try await queue.close()
    if kept == .onDisk {
      let again = try await kept.queue(on: disk)
      #expect(try await again.everything().map(\.payload) == Self.payloads)
      #expect(again.statistics.unknownRecords == 0 && again.health?.counts.badRecords == 0)
    }
  }

  @Test func randomBytesComeBack() throws {
    var random = SeededGenerator(seed: 7)
    let alphabet = Array(#"{}[]",:\u0"1e-nulltruefalse"#.utf8) + [0, 10, 0xC3, 0xBC, 0xFF, 0x20]
    for round in 0..<4000 {
      let payload = (0..<Int.random(in: 0...24, using: &random)).map { _ in
        alphabet.randomElement(using: &random)!
      }
      let content = LetterContent(
        head: LetterHead(
          arrived: .now, kind: "k", category: "c", fingerprint: "f", firstFailure: 0,
          lastFailure: 0, redrives: 0, reason: "r"),
        payloadMember: LetterContent.payloadMember(payload), attempts: [], report: Array("{}".utf8))
      let bytes = LetterContent.record(3, content.encoded())
      let record = try #require(LetterRecord(bytes), "round \(round)")
      try #require(record.payload == payload && record.id == 3, "round \(round): \(payload)")
      try #require(!bytes.contains(10) && !bytes.contains(0))
    }
  }

  @Test func recordsThatAreNoneAreUnknownAndTrapNothing() {
    var random = SeededGenerator(seed: 8)
    var content = LetterContent(
      head: LetterHead(
        arrived: .now, kind: "k\"", category: "c", fingerprint: "f", firstFailure: 0,
        lastFailure: 0, redrives: 0, reason: "r\n"),
      payloadMember: LetterContent.payloadMember([1]), attempts: [], report: Array("{}".utf8))
    content.add([AttemptRecord(number: 1, failure: Broken(), category: .network, elapsed: nil)])
    let good = LetterContent.record(3, content.encoded())
    for _ in 0..<4000 {
      var bytes = good
      for _ in 0...Int.random(in: 0...3, using: &random) {
        let index = Int.random(in: bytes.indices, using: &random)
        if Bool.random(using: &random) {
          bytes[index] = UInt8.random(in: 0...255, using: &random)
        } else {
          bytes.removeSubrange(
            index..<min(bytes.count, index + Int.random(in: 0...9, using: &random)))
        }
        if bytes.isEmpty { bytes = [0] }
      }
      _ = LetterLine.read(bytes[...])
      _ = LetterRecord(bytes)?.letter(redrives: 0)
      _ = TextMatch("nothing").map { match in LetterRecord(bytes).map(match.matches) }
    }
  }

  @Test(arguments: Kept.allCases) func aPayloadThatIsTooLargeIsRefused(kept: Kept) async throws {
    var configuration = DeadLetterConfiguration()
    configuration.maximumPayloadBytes = 1000
    let queue = try await kept.queue(configuration)
    let draft = DeadLetter.Draft(kind: "x", error: Broken())
    try await queue.add(bytes: [UInt8](repeating: 1, count: 1000), as: draft)
    let error = await #expect(throws: DeadLetterError.self) {
      try await queue.add(bytes: [UInt8](repeating: 1, count: 1001), as: draft)
    }
    #expect(error?.code == .payloadTooLarge && error?.limit == 1000)
  }

  @Test(arguments: Kept.allCases) func hugeStoriesAreCutAndStayWhole(kept: Kept) async throws {
    let queue = try await kept.queue()
    let huge = String(repeating: "trouble \u{0}\n\"ü ", count: 100_000)
    var draft = DeadLetter.Draft(kind: huge, error: Broken(text: huge))
    draft.reason = huge
    draft.source = huge
    draft.redriveCount = .max
    draft.attempts = (1...5000).map { number in
      AttemptRecord(number: number, error: huge, category: .network, at: .now, elapsed: .seconds(1))
    }
    let letter = try #require(
      try await queue.letter(try await queue.add(Order(number: 1), as: draft)))
    #expect(letter.kind.utf8.count <= 128 && letter.reason.utf8.count <= 1024)
    #expect(letter.source?.utf8.count ?? 0 <= 256)
    #expect(letter.reportJSON.count <= 16 << 10)
    #expect(letter.attempts.count == 100 && letter.attemptsDropped == 4900)
    #expect(letter.attempts.map(\.number) == Array(1...20) + Array(4921...5000))
    #expect(queue.statistics.bytes < 200_000)
    #expect(try await queue.count(matching: .kind(huge)) == 1)
    #expect(letter.report.category == .dependency && !letter.report.title.isEmpty)
    // And again: a redrive adds to it and cuts it again.
    for _ in 1...20 { try await queue.redrive { _, _ in throw Broken(text: huge) } }
    let again = try #require(try await queue.letter(letter.id))
    #expect(again.attempts.count == 100 && again.redrives.count == 16)
    #expect(queue.statistics.bytes < 200_000)
  }

  @Test func numbersThatJSONLacksAreKept() async throws {
    let queue = DeadLetterQueue<[Double]>()
    let id = try await queue.add([.infinity, -.infinity, .nan, 1.5], kind: "x", error: Broken())
    let values = try #require(try await queue.letter(id)).payload(as: [Double].self)
    #expect(values[0] == .infinity && values[1] == -.infinity && values[2].isNaN)
  }
}
