internal import ReliabilityCore

/// The manifest's text, read and written byte for byte: what the caller put there is never interpreted.
struct ManifestText: Hashable, Sendable {
  var transaction: UInt64 = 0
  var files: [String: Int64] = [:]
  /// One JSON document of the caller's.
  var content: [UInt8]?

  /// One line, with the files in order.
  var encoded: [UInt8] {
    var writer = JSONWriter()
    writer.object { writer in
      writer.member("txn", transaction)
      writer.member("files") { writer in
        for (path, size) in files.sorted(by: { $0.key < $1.key }) { writer.member(path, size) }
      }
    }
    var bytes = writer.finish()
    if let content {
      bytes.removeLast()
      bytes += #","content":"#.utf8
      bytes += content
      bytes.append(UInt8(ascii: "}"))
    }
    bytes.append(UInt8(ascii: "\n"))
    return bytes
  }

  init() {}

  /// - Returns: `nil` when the bytes are no manifest. Members it does not know are passed over.
  init?(_ bytes: [UInt8]) {
    var parser = ManifestParser(bytes)
    var transaction: UInt64?
    var hasFiles = false
    let isObject = parser.object { key, parser in
      switch key {
      case "txn":
        transaction = parser.number().flatMap { UInt64($0) }
        return transaction != nil
      case "files":
        hasFiles = true
        return parser.object { path, parser in
          guard let size = parser.number().flatMap({ Int64($0) }), size >= 0 else { return false }
          files[path] = size
          return true
        }
      case "content":
        content = parser.document().map { Array(bytes[$0]) }
        return content != nil
      default: return parser.document() != nil
      }
    }
    guard isObject, parser.isAtEnd, hasFiles, let transaction else { return nil }
    self.transaction = transaction
  }
}

/// Walks through JSON (RFC 8259) without making anything of it but what a manifest needs.
struct ManifestParser {
  private let bytes: [UInt8]
  private var position = 0
  private var depth = 0
  private static let maximumDepth = 256

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Whether bytes are one JSON document, nested at most 256 deep.
  static func isJSON(_ bytes: [UInt8]) -> Bool {
    var parser = ManifestParser(bytes)
    return String(validating: bytes, as: UTF8.self) != nil && parser.document() != nil
      && parser.isAtEnd
  }

  /// Whether only white space is left.
  var isAtEnd: Bool {
    mutating get {
      skipSpace()
      return position == bytes.count
    }
  }

  private mutating func skipSpace() {
    while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) {
      position += 1
    }
  }

  private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skip(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard next == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  /// Passes over one document.
  ///
  /// - Returns: Where it is.
  mutating func document() -> Range<Int>? {
    skipSpace()
    let start = position
    let isWhole: Bool
    switch next {
    case UInt8(ascii: "{"): isWhole = object { _, parser in parser.document() != nil }
    case UInt8(ascii: "["): isWhole = array()
    case UInt8(ascii: "\""): isWhole = string() != nil
    case UInt8(ascii: "t"): isWhole = word("true")
    case UInt8(ascii: "f"): isWhole = word("false")
    case UInt8(ascii: "n"): isWhole = word("null")
    default: isWhole = number() != nil
    }
    return isWhole ? start..<position : nil
  }

  /// Walks through the members of an object; the body passes over each value.
  mutating func object(_ member: (String, inout ManifestParser) -> Bool) -> Bool {
    guard depth < ManifestParser.maximumDepth, skip("{") else { return false }
    depth += 1
    defer { depth -= 1 }
    if skip("}") { return true }
    repeat {
      skipSpace()
      guard let key = string(), skip(":"), member(key, &self) else { return false }
    } while skip(",")
    return skip("}")
  }

  private mutating func array() -> Bool {
    guard depth < ManifestParser.maximumDepth, skip("[") else { return false }
    depth += 1
    defer { depth -= 1 }
    if skip("]") { return true }
    repeat { if document() == nil { return false } } while skip(",")
    return skip("]")
  }

  private mutating func word(_ word: StaticString) -> Bool {
    let text = "\(word)".utf8
    guard bytes[position...].starts(with: text) else { return false }
    position += text.count
    return true
  }

  /// The digits of a number.
  mutating func number() -> String? {
    skipSpace()
    let start = position
    if next == UInt8(ascii: "-") { position += 1 }
    let whole = digits()
    guard whole > 0, whole == 1 || bytes[position - whole] != UInt8(ascii: "0") else { return nil }
    if next == UInt8(ascii: ".") {
      position += 1
      if digits() == 0 { return nil }
    }
    if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
      position += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
      if digits() == 0 { return nil }
    }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private mutating func digits() -> Int {
    let start = position
    while let next, next >= UInt8(ascii: "0"), next <= UInt8(ascii: "9") { position += 1 }
    return position - start
  }

  private mutating func string() -> String? {
    guard next == UInt8(ascii: "\"") else { return nil }
    position += 1
    var text: [UInt8] = []
    while let byte = next {
      position += 1
      switch byte {
      case UInt8(ascii: "\""): return String(validating: text, as: UTF8.self)
      case UInt8(ascii: "\\"):
        guard let scalar = escape() else { return nil }
        text += Array(String(scalar).utf8)
      case 0..<0x20: return nil
      default: text.append(byte)
      }
    }
    return nil
  }

  private mutating func escape() -> Unicode.Scalar? {
    guard let letter = next else { return nil }
    position += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(letter)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      guard let unit = hexadecimal() else { return nil }
      guard unit & 0xFC00 == 0xD800 else { return Unicode.Scalar(unit) }
      guard bytes[position...].starts(with: #"\u"#.utf8) else { return nil }
      position += 2
      guard let low = hexadecimal(), low & 0xFC00 == 0xDC00 else { return nil }
      return Unicode.Scalar(0x10000 + (unit & 0x3FF) << 10 + low & 0x3FF)
    default: return nil
    }
  }

  private mutating func hexadecimal() -> UInt32? {
    guard bytes.count - position >= 4 else { return nil }
    defer { position += 4 }
    let digits = String(decoding: bytes[position..<(position + 4)], as: UTF8.self)
    return digits.utf8.contains(UInt8(ascii: "+")) ? nil : UInt32(digits, radix: 16)
  }
}
