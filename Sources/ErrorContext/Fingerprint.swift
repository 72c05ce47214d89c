/// A short word that is the same for the same trouble, whoever and whatever it struck.
///
/// It groups reports: ids, numbers, addresses, paths, URLs and quoted names in the message don't change it, nor does the
/// line in the source or the moment. It is the same in every process and on every machine.
enum Fingerprint {
  /// - Returns: 16 hexadecimal digits.
  static func make(type: String, category: String, message: String, causes: [String], place: String)
    -> String
  {
    var hash = StableHash()
    hash.add(type)
    hash.add(category)
    hash.add(normalized(message))
    for cause in causes { hash.add(cause) }
    hash.add(place)
    return hash.value.hexadecimal(digits: 16)
  }

  /// The text with everything that varies between occurrences replaced by a placeholder.
  static func normalized(_ text: String) -> String {
    var result: [UInt8] = []
    // The result is cut, not the text: how long an id is must not decide how much of what follows it counts.
    let bytes = removingMasks(text.utf8.prefix(4096))
    var index = 0
    while index < bytes.count, result.count < 1024 {
      let byte = bytes[index]
      if byte <= 0x20 {
        if result.last != 0x20 { result.append(0x20) }
        index += 1
      } else if let end = endOfQuoted(bytes, from: index) {
        result.append(UInt8(ascii: "'"))
        index = end
      } else if isSeparator(byte) {
        result.append(byte)
        index += 1
      } else {
        let start = index
        while index < bytes.count, bytes[index] > 0x20, !isSeparator(bytes[index]),
          bytes[index] != UInt8(ascii: "\"")
        {
          index += 1
        }
        if index == start { index += 1 }
        appendWord(bytes[start..<index], to: &result)
      }
    }
    return String(decoding: result.prefix(1024), as: UTF8.self)
  }

  /// What was hidden was there or not, long or short: it must not make a difference.
  private static func removingMasks(_ text: some Sequence<UInt8>) -> [UInt8] {
    let mask = Array(Redaction.mask.utf8)
    var result: [UInt8] = []
    for byte in text {
      result.append(byte)
      if byte == mask.last, result.suffix(mask.count).elementsEqual(mask) {
        result.removeLast(mask.count)
      }
    }
    return result
  }

  private static func appendWord(_ word: ArraySlice<UInt8>, to result: inout [UInt8]) {
    if word.contains(UInt8(ascii: "/")) || word.contains(UInt8(ascii: "\\")) {
      result.append(UInt8(ascii: "/"))
    } else if word.contains(where: { isDigit($0) || $0 == UInt8(ascii: "@") })
      || word.count >= 8 && word.allSatisfy(isHexLetter)
    {
      result.append(UInt8(ascii: "#"))
    } else {
      result += word
    }
  }

  /// The end of a quoted name that begins here: straight double quotes, backticks, typographic quotes (UTF-8
  /// `E2 80 98` to `9F`), and straight single quotes at the start of a word.
  private static func endOfQuoted(_ bytes: [UInt8], from start: Int) -> Int? {
    let byte = bytes[start]
    if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "`") {
      return bytes[(start + 1)...].firstIndex(of: byte).map { $0 + 1 }
    }
    if byte == UInt8(ascii: "'") {
      if start > 0, bytes[start - 1] > 0x20, !isSeparator(bytes[start - 1]) { return nil }
      return bytes[(start + 1)...].firstIndex(of: byte).map { $0 + 1 }
    }
    guard isTypographicQuote(bytes, at: start) else { return nil }
    var index = start + 3
    while index < bytes.count, !isTypographicQuote(bytes, at: index) { index += 1 }
    return index < bytes.count ? index + 3 : nil
  }

  private static func isTypographicQuote(_ bytes: [UInt8], at index: Int) -> Bool {
    index + 2 < bytes.count && bytes[index] == 0xE2 && bytes[index + 1] == 0x80
      && (0x98...0x9F).contains(bytes[index + 2])
  }

  private static func isSeparator(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "("), UInt8(ascii: ")"),
      UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "{"), UInt8(ascii: "}"),
      UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "="), UInt8(ascii: "'"),
      UInt8(ascii: "`"):
      true
    default: false
    }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

  private static func isHexLetter(_ byte: UInt8) -> Bool {
    (0x61...0x66).contains(byte | 0x20) || byte == UInt8(ascii: "-")
  }
}

/// FNV-1a over 64 bits (RFC 9923), finished with the mixer of MurmurHash3.
///
/// The standard library's `Hasher` is seeded anew in every process, which is right for tables and wrong for a name that
/// is written down.
struct StableHash {
  private var state: UInt64 = 0xCBF2_9CE4_8422_2325

  /// Adds a text and an end mark, so that "ab", "c" and "a", "bc" differ.
  mutating func add(_ text: String) {
    for byte in text.utf8 { add(byte) }
    add(0xFF)
  }

  private mutating func add(_ byte: UInt8) {
    state = (state ^ UInt64(byte)) &* 0x100_0000_01B3
  }

  var value: UInt64 {
    var mixed = state
    mixed = (mixed ^ (mixed >> 33)) &* 0xFF51_AFD7_ED55_8CCD
    mixed = (mixed ^ (mixed >> 33)) &* 0xC4CE_B9FE_1A85_EC53
    return mixed ^ (mixed >> 33)
  }
}

extension FixedWidthInteger {
  /// The number in lower-case hexadecimal with leading zeros.
  func hexadecimal(digits: Int) -> String {
    let text = String(self, radix: 16)
    return String(repeating: "0", count: Swift.max(0, digits - text.count)) + text
  }
}
