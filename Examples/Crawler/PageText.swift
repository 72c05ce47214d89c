/// The bytes of a page as text.
enum PageText {
  /// Decodes a page; what can't be decoded becomes the replacement character.
  ///
  /// What the bytes begin with counts before what the server says, and that before what the page says of itself (WHATWG
  /// Encoding, section 6). Encodings other than UTF-8, UTF-16, Latin-1 and its superset Windows-1252 are read as UTF-8:
  /// addresses are ASCII in all of them.
  static func utf8(_ bytes: [UInt8], contentType: String) -> [UInt8] {
    if bytes.starts(with: [0xef, 0xbb, 0xbf]) { return repaired(bytes[3...]) }
    if bytes.starts(with: [0xff, 0xfe]) { return utf16(bytes[2...], bigEndian: false) }
    if bytes.starts(with: [0xfe, 0xff]) { return utf16(bytes[2...], bigEndian: true) }
    switch charset(in: contentType) ?? declaration(in: bytes) {
    case "iso-8859-1", "latin1", "latin-1", "windows-1252", "cp1252", "iso8859-1":
      return windows1252(bytes)
    case "utf-16", "utf-16le": return utf16(bytes[...], bigEndian: false)
    case "utf-16be": return utf16(bytes[...], bigEndian: true)
    default: return repaired(bytes[...])
    }
  }

  /// The value of `charset=` in a header or a tag, in lower case.
  static func charset(in text: String) -> String? {
    let text = text.lowercased()
    guard let range = text.firstRange(of: "charset=") else { return nil }
    let value = text[range.upperBound...].drop { $0 == "\"" || $0 == "'" || $0 == " " }
    let name = value.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || "-_:".contains($0)) }
    return name.isEmpty ? nil : String(name)
  }

  /// What a tag near the beginning declares.
  private static func declaration(in bytes: [UInt8]) -> String? {
    charset(in: String(decoding: bytes.prefix(1024), as: UTF8.self))
  }

  private static func repaired(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    Array(String(decoding: bytes, as: UTF8.self).utf8)
  }

  private static func utf16(_ bytes: ArraySlice<UInt8>, bigEndian: Bool) -> [UInt8] {
    var units: [UInt16] = []
    units.reserveCapacity(bytes.count / 2)
    var index = bytes.startIndex
    while index + 1 < bytes.endIndex {
      let pair = (UInt16(bytes[index]), UInt16(bytes[index + 1]))
      units.append(bigEndian ? pair.0 << 8 | pair.1 : pair.1 << 8 | pair.0)
      index += 2
    }
    return Array(String(decoding: units, as: UTF16.self).utf8)
  }

  private static func windows1252(_ bytes: [UInt8]) -> [UInt8] {
    var text = ""
    text.unicodeScalars.reserveCapacity(bytes.count)
    for byte in bytes {
      let value = (0x80...0x9f) ~= byte ? upper[Int(byte) - 0x80] : UInt32(byte)
      text.unicodeScalars.append(UnicodeScalar(value) ?? "\u{fffd}")
    }
    return Array(text.utf8)
  }

  /// What Windows-1252 has where Latin-1 has control characters.
  private static let upper: [UInt32] = [
    0x20ac, 0x81, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039,
    0x0152, 0x8d, 0x017d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
    0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d, 0x017e, 0x0178,
  ]
}
