import Foundation
import ReliabilityCore
import Testing

@Suite struct JSONWriterTests {
  @Test("Every scalar below U+0100 and a few beyond come back from a parser as they went in")
  func stringsRoundTrip() throws {
    var text = ""
    for value in UInt32(0)..<0x100 { text.unicodeScalars.append(Unicode.Scalar(value)!) }
    text += "\u{2028}\u{2029}\u{FFFD}é漢😀\u{10FFFF}"
    let bytes = document { $0.string(text) }
    #expect(try parse(bytes) as? String == text)
  }

  @Test("Quotes, backslashes and control characters are escaped, non-ASCII is not")
  func escapes() {
    #expect(
      render { $0.string("a\"\\\u{8}\t\n\u{C}\r\u{1}\u{1F}\u{7F}é/") }
        == "\"a\\\"\\\\\\b\\t\\n\\f\\r\\u0001\\u001f\u{7F}é/\"")
  }

  @Test(
    "Numbers are written as JSON knows them",
    arguments: [
      (Double.nan, "null"), (.infinity, "null"), (-.infinity, "null"), (60, "60"), (-0.0, "0"),
      (0.1, "0.1"), (1e300, "1e+300"), (.leastNonzeroMagnitude, "5e-324"),
      (9_007_199_254_740_992, "9007199254740992.0"),
      (-2.5, "-2.5"),
    ])
  func numbers(value: Double, expected: String) throws {
    let bytes = document { writer in writer.number(value) }
    #expect(String(decoding: bytes, as: UTF8.self) == expected)
    _ = try parse(bytes)
  }

  @Test("Compact and pretty layouts hold the same document")
  func layouts() throws {
    func fill(_ writer: inout JSONWriter) {
      writer.object { writer in
        writer.member("a", 1)
        writer.member("empty", object: { _ in })
        writer.member("list", each: [1, 2]) { $0.integer($1) }
        writer.member("none", nil as String?)
        writer.member("t", seconds: .milliseconds(1500))
      }
    }
    #expect(render(fill) == #"{"a":1,"empty":{},"list":[1,2],"t":1.5}"#)
    #expect(
      render(style: .pretty, fill) == """
        {
          "a": 1,
          "empty": {},
          "list": [
            1,
            2
          ],
          "t": 1.5
        }
        """)
  }

  @Test(
    "At every limit a random document is valid, within the limit, and a beginning of the whole",
    arguments: 0..<40)
  func everyLimit(seed: UInt64) throws {
    for style in [JSONWriter.Style.compact, .pretty] {
      let whole = randomDocument(seed: seed, limit: .max, style: style)
      #expect(!whole.isTruncated)
      let complete = try parse(whole.bytes)
      for limit in JSONWriter.minimumLimit...max(64, whole.bytes.count + 2) {
        let (bytes, isTruncated) = randomDocument(seed: seed, limit: limit, style: style)
        #expect(bytes.count <= limit, "seed \(seed) limit \(limit)")
        let parsed = try #require(try? parse(bytes), "seed \(seed) limit \(limit)")
        #expect(isBeginning(parsed, of: complete), "seed \(seed) limit \(limit)")
        let marked = (parsed as? [String: Any])?["truncated"] as? Bool ?? false
        #expect(marked == isTruncated, "seed \(seed) limit \(limit)")
        if limit >= whole.bytes.count + 40 { #expect(!isTruncated) }
      }
      let roomy = randomDocument(seed: seed, limit: whole.bytes.count + 40, style: style)
      #expect(roomy.bytes == whole.bytes, "seed \(seed)")
    }
  }

  @Test("A string that doesn't fit is cut at a whole scalar and ends in an ellipsis")
  func cutString() throws {
    let bytes = document(limit: 64) {
      $0.object { $0.member("k", String(repeating: "é", count: 100)) }
    }
    let text = try #require((try parse(bytes) as? [String: Any])?["k"] as? String)
    #expect(text.hasPrefix("éé") && text.hasSuffix("é…"))
    #expect(bytes.count >= 62 && bytes.count <= 64)
  }

  @Test("Nesting beyond 64 levels is left out, not trapped on")
  func deepNesting() throws {
    var writer = JSONWriter()
    for _ in 0..<1000 { writer.beginArray() }
    writer.integer(1)
    for _ in 0..<1000 { writer.endArray() }
    #expect(writer.isTruncated)
    let text = String(decoding: writer.finish(), as: UTF8.self)
    #expect(text == String(repeating: "[", count: 64) + String(repeating: "]", count: 64))
  }

  @Test("Calls in any order give valid JSON", arguments: 0..<300)
  func anyOrder(seed: UInt64) throws {
    var random = SplitMix(seed: seed)
    var writer = JSONWriter(
      limit: Int.random(in: 0...400, using: &random),
      style: Bool.random(using: &random) ? .pretty : .compact,
      truncationMember: Bool.random(using: &random) ? "truncated" : nil)
    for _ in 0..<Int.random(in: 0...80, using: &random) {
      switch Int.random(in: 0..<9, using: &random) {
      case 0: writer.beginObject()
      case 1: writer.endObject()
      case 2: writer.beginArray()
      case 3: writer.endArray()
      case 4, 5: writer.key("k\(Int.random(in: 0..<99, using: &random))")
      case 6: writer.string("text \u{1}")
      case 7: writer.integer(UInt64.max)
      default: writer.null()
      }
    }
    let bytes = writer.finish()
    #expect(throws: Never.self, "seed \(seed): \(String(decoding: bytes, as: UTF8.self))") {
      _ = try parse(bytes)
    }
  }

  @Test("A key of a megabyte is left out with its value")
  func hugeKey() {
    #expect(
      render(limit: 100) { $0.object { $0.member(String(repeating: "k", count: 1_000_000), 1) } }
        == "{}")
  }

  private func parse(_ bytes: [UInt8]) throws -> Any {
    try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
  }

  private func document(
    limit: Int = .max, style: JSONWriter.Style = .compact, _ fill: (inout JSONWriter) -> Void
  ) -> [UInt8] {
    var writer = JSONWriter(limit: limit, style: style)
    fill(&writer)
    return writer.finish()
  }

  private func render(
    limit: Int = .max, style: JSONWriter.Style = .compact, _ fill: (inout JSONWriter) -> Void
  ) -> String {
    String(decoding: document(limit: limit, style: style, fill), as: UTF8.self)
  }

  private func randomDocument(
    seed: UInt64, limit: Int, style: JSONWriter.Style
  ) -> (bytes: [UInt8], isTruncated: Bool) {
    var random = SplitMix(seed: seed)
    var writer = JSONWriter(limit: limit, style: style, truncationMember: "truncated")
    writer.object { randomMembers(&$0, &random, depth: 0) }
    let isTruncated = writer.isTruncated
    return (writer.finish(), isTruncated)
  }

  private func randomMembers(_ writer: inout JSONWriter, _ random: inout SplitMix, depth: Int) {
    for index in 0..<Int.random(in: 0...5, using: &random) {
      writer.key("m\(index)\"")
      randomValue(&writer, &random, depth: depth)
    }
  }

  private func randomValue(_ writer: inout JSONWriter, _ random: inout SplitMix, depth: Int) {
    switch Int.random(in: 0..<(depth < 3 ? 8 : 6), using: &random) {
    case 0: writer.null()
    case 1: writer.bool(true)
    case 2: writer.integer(Int64.random(in: .min ... .max, using: &random))
    case 3: writer.number(Double.random(in: -1e9...1e9, using: &random))
    case 4, 5: writer.string(random.text())
    case 6:
      writer.beginArray()
      for _ in 0..<Int.random(in: 0...4, using: &random) {
        randomValue(&writer, &random, depth: depth + 1)
      }
      writer.endArray()
    default:
      writer.beginObject()
      randomMembers(&writer, &random, depth: depth + 1)
      writer.endObject()
    }
  }

  /// Whether a truncated document says nothing that the whole one doesn't.
  private func isBeginning(_ part: Any, of whole: Any) -> Bool {
    switch (part, whole) {
    case (let part as [String: Any], let whole as [String: Any]):
      return part.allSatisfy { key, value in
        key == "truncated" || whole[key].map { isBeginning(value, of: $0) } ?? false
      }
    case (let part as [Any], let whole as [Any]):
      return part.count <= whole.count && zip(part, whole).allSatisfy { isBeginning($0, of: $1) }
    case (let part as String, let whole as String):
      return part == whole
        || part.hasSuffix("…")
          && whole.unicodeScalars.starts(with: part.unicodeScalars.dropLast())
    default:
      return (part as? NSObject) == (whole as? NSObject)
    }
  }
}

/// A small seeded generator (SplitMix64).
private struct SplitMix: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1 }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  mutating func text() -> String {
    let pool: [Unicode.Scalar] = ["a", "\"", "\\", "\n", "\u{0}", "é", "漢", "😀", "\u{301}", " "]
    var text = ""
    for _ in 0..<Int.random(in: 0...20, using: &self) {
      text.unicodeScalars.append(pool.randomElement(using: &self)!)
    }
    return text
  }
}
