/// The first line of a log: which format, which version of it, and which generation of the content.
///
/// `{"format":"reliability-log","version":1,"generation":3,…,"_crc":"1a2b3c4d"}`. The first three members stand in
/// this order and without blanks in every version; what follows them is kept as it is when the log is rewritten.
struct LogHeader: Hashable, Sendable {
  static let currentVersion: UInt64 = 1
  /// The longest header that is looked for.
  static let maximumLength = 4096

  var version = LogHeader.currentVersion
  var generation: UInt64
  /// The members after the generation, each with the comma before it.
  var otherMembers: [UInt8] = []

  private static let formatMember = Array(#"{"format":"reliability-log","version":"#.utf8)
  private static let generationMember = Array(#","generation":"#.utf8)
  private static let contentMember = Array(#","content":""#.utf8)
  private static let contentVersionMember = Array(#"","contentVersion":"#.utf8)

  init(generation: UInt64, content: AppendLog.Content?) {
    self.generation = generation
    guard let content else { return }
    otherMembers = LogHeader.contentMember + Array(content.name.utf8)
    otherMembers += LogHeader.contentVersionMember + Array(String(content.version).utf8)
  }

  /// Reads a header from the payload of a line: the line without its checksum, from brace to brace.
  init?(payload: [UInt8]) {
    var reader = HeaderReader(text: payload)
    guard reader.skip(LogHeader.formatMember), let version = reader.number(),
      reader.skip(LogHeader.generationMember), let generation = reader.number(),
      reader.index < payload.count, payload[payload.count - 1] == UInt8(ascii: "}")
    else { return nil }
    self.version = version
    self.generation = generation
    otherMembers = Array(payload[reader.index..<(payload.count - 1)])
  }

  /// What the records mean to the module that writes them.
  var content: AppendLog.Content? {
    var reader = HeaderReader(text: otherMembers)
    guard reader.skip(LogHeader.contentMember) else { return nil }
    let start = reader.index
    guard let end = otherMembers[start...].firstIndex(of: UInt8(ascii: "\"")) else { return nil }
    reader.index = end
    guard reader.skip(LogHeader.contentVersionMember), let version = reader.number() else {
      return nil
    }
    let name = String(decoding: otherMembers[start..<end], as: UTF8.self)
    guard AppendLog.Content.isWord(name) else { return nil }
    return AppendLog.Content(name, version: Int(clamping: version))
  }

  var payload: [UInt8] {
    var bytes = LogHeader.formatMember + Array(String(version).utf8)
    bytes += LogHeader.generationMember + Array(String(generation).utf8) + otherMembers
    bytes.append(UInt8(ascii: "}"))
    return bytes
  }

  /// The whole line, newline included.
  var line: [UInt8] {
    var bytes: [UInt8] = []
    LogLine.append(payload, to: &bytes)
    return bytes
  }

  /// Whether bytes without a newline may be the beginning of a header whose writer was interrupted.
  static func mayBeTorn(_ bytes: Span<UInt8>) -> Bool {
    for index in 0..<Swift.min(bytes.count, formatMember.count)
    where bytes[index] != formatMember[index] && bytes[index] != 0 { return false }
    return true
  }
}

/// Reads the fixed beginning of a header.
private struct HeaderReader {
  let text: [UInt8]
  var index = 0

  init(text: [UInt8]) { self.text = text }

  mutating func skip(_ word: [UInt8]) -> Bool {
    guard text[index...].starts(with: word) else { return false }
    index += word.count
    return true
  }

  mutating func number() -> UInt64? {
    let digits = text[index...].prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    index += digits.count
    return UInt64(String(decoding: digits, as: UTF8.self))
  }
}
