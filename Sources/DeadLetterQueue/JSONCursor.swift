/// Walks over one JSON text and builds nothing.
///
/// For records whose checksum was right. Text that is no JSON makes it stop, never trap.
package struct JSONCursor {
  package let text: ArraySlice<UInt8>
  package private(set) var index: Int
  /// Whether something was met that is not where it should be.
  package private(set) var isBroken = false

  package init(_ text: ArraySlice<UInt8>) {
    self.text = text
    index = text.startIndex
  }

  package init(_ text: [UInt8]) { self.init(text[...]) }

  private var byte: UInt8? { index < text.endIndex ? text[index] : nil }

  private mutating func skipSpace() {
    while index < text.endIndex, text[index] <= 0x20 { index += 1 }
  }

  private mutating func take(_ wanted: UInt8) -> Bool {
    skipSpace()
    guard byte == wanted else { return false }
    index += 1
    return true
  }

  private mutating func broken<Result>() -> Result? {
    isBroken = true
    return nil
  }

  /// Goes into an object.
  package mutating func enterObject() -> Bool {
    if take(UInt8(ascii: "{")) { return true }
    isBroken = true
    return false
  }

  /// Goes into an array.
  package mutating func enterArray() -> Bool {
    if take(UInt8(ascii: "[")) { return true }
    isBroken = true
    return false
  }

  /// The next member's name without quotes, as it is written; the cursor then stands before its value.
  ///
  /// - Returns: `nil` behind the last member, whose brace is passed.
  package mutating func nextName() -> ArraySlice<UInt8>? {
    if take(UInt8(ascii: "}")) { return nil }
    _ = take(UInt8(ascii: ","))
    skipSpace()
    guard let name = rawString(), take(UInt8(ascii: ":")) else { return broken() }
    return name
  }

  /// Whether another element follows in an array; the bracket behind the last one is passed.
  package mutating func hasNextElement() -> Bool {
    // What was not passed would be met again for ever.
    if isBroken { return false }
    if take(UInt8(ascii: "]")) { return false }
    _ = take(UInt8(ascii: ","))
    skipSpace()
    if byte == nil { isBroken = true }
    return byte != nil
  }

  /// Passes a string; its bytes without the quotes.
  private mutating func rawString() -> ArraySlice<UInt8>? {
    guard byte == UInt8(ascii: "\"") else { return broken() }
    let start = index + 1
    guard let end = endOfString(from: start) else {
      index = text.endIndex
      return broken()
    }
    index = end + 1
    return text[start..<end]
  }

  /// Where the quote is that ends a string.
  private func endOfString(from start: Int) -> Int? {
    let bytes = text.span
    var at = start - text.startIndex
    while at < bytes.count {
      switch bytes[at] {
      case UInt8(ascii: "\""): return at + text.startIndex
      case UInt8(ascii: "\\"): at += 2
      default: at += 1
      }
    }
    return nil
  }

  /// Passes a value; its bytes as they are written.
  @discardableResult
  package mutating func skipValue() -> ArraySlice<UInt8>? {
    skipSpace()
    let start = index
    guard let end = endOfValue() else {
      index = text.endIndex
      return broken()
    }
    index = end
    return start < end ? text[start..<end] : broken()
  }

  /// Where the value ends that begins here.
  private func endOfValue() -> Int? {
    let bytes = text.span
    let base = text.startIndex
    var at = index - base
    var depth = 0
    while at < bytes.count {
      switch bytes[at] {
      case UInt8(ascii: "\""):
        guard let end = endOfString(from: at + 1 + base) else { return nil }
        at = end - base + 1
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth += 1
        at += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        if depth == 0 { return at + base }
        depth -= 1
        at += 1
      case UInt8(ascii: ","), UInt8(ascii: ":"), 0...0x20:
        if depth == 0 { return at + base }
        at += 1
        continue
      default:
        at += 1
        continue
      }
      if depth == 0 { return at + base }
    }
    return depth == 0 ? at + base : nil
  }

  /// A whole number, `nil` when the value is something else; passes it in any case.
  package mutating func integer() -> Int64? {
    guard let bytes = skipValue(), let first = bytes.first else { return nil }
    let isNegative = first == UInt8(ascii: "-")
    let digits = isNegative ? bytes.dropFirst() : bytes
    if digits.isEmpty { return nil }
    var value: Int64 = 0
    for digit in digits {
      guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      // Downward, because the smallest number has no positive counterpart.
      let (sum, carry) = tens.subtractingReportingOverflow(Int64(digit - UInt8(ascii: "0")))
      if overflow || carry { return nil }
      value = sum
    }
    if isNegative { return value }
    return value == .min ? nil : -value
  }

  /// A string, `nil` when the value is something else; passes it in any case.
  package mutating func string() -> String? {
    skipSpace()
    guard byte == UInt8(ascii: "\"") else {
      skipValue()
      return nil
    }
    return rawString().map(JSONText.unescaped)
  }
}

/// What is asked of pieces of JSON text.
package enum JSONText {
  /// The text of a string's bytes between the quotes.
  package static func unescaped(_ bytes: ArraySlice<UInt8>) -> String {
    guard bytes.contains(UInt8(ascii: "\\")) else { return String(decoding: bytes, as: UTF8.self) }
    var units: [UInt16] = []
    var result = ""
    var plain = bytes.startIndex
    var index = bytes.startIndex
    func flush() {
      result += String(decoding: units, as: UTF16.self)
      units = []
    }
    while index < bytes.endIndex {
      guard bytes[index] == UInt8(ascii: "\\"), index + 1 < bytes.endIndex else {
        index += 1
        continue
      }
      if plain < index {
        flush()
        result += String(decoding: bytes[plain..<index], as: UTF8.self)
      }
      switch bytes[index + 1] {
      case UInt8(ascii: "b"): units.append(0x08)
      case UInt8(ascii: "f"): units.append(0x0C)
      case UInt8(ascii: "n"): units.append(0x0A)
      case UInt8(ascii: "r"): units.append(0x0D)
      case UInt8(ascii: "t"): units.append(0x09)
      case UInt8(ascii: "u") where index + 6 <= bytes.endIndex:
        let digits = String(decoding: bytes[(index + 2)..<(index + 6)], as: UTF8.self)
        units.append(UInt16(digits, radix: 16) ?? 0xFFFD)
        index += 4
      case let other: units.append(UInt16(other))
      }
      index += 2
      plain = index
    }
    flush()
    if plain < bytes.endIndex { result += String(decoding: bytes[plain...], as: UTF8.self) }
    return result
  }

  /// A string's bytes between the quotes, as our writer escapes them.
  package static func escaped(_ text: String) -> [UInt8] {
    var writer = JSONWriter()
    writer.string(text)
    return Array(writer.finish().dropFirst().dropLast())
  }

  /// Whether a value holds a text: in a string or as (a part of) a number, not in the name of a member.
  ///
  /// - Parameter needle: As ``escaped(_:)`` gives it, ASCII letters in lower case.
  static func values(of text: ArraySlice<UInt8>, contain needle: [UInt8]) -> Bool {
    if needle.isEmpty { return true }
    var index = text.startIndex
    while index < text.endIndex {
      let start = index
      switch text[index] {
      case UInt8(ascii: "\""):
        index += 1
        while index < text.endIndex, text[index] != UInt8(ascii: "\"") {
          index += text[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        let end = min(index, text.endIndex)
        index = min(index + 1, text.endIndex)
        var next = index
        while next < text.endIndex, text[next] <= 0x20 { next += 1 }
        let isName = next < text.endIndex && text[next] == UInt8(ascii: ":")
        if !isName && contains(text[(start + 1)..<end], needle) { return true }
      case UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "["), UInt8(ascii: "]"),
        UInt8(ascii: ","), UInt8(ascii: ":"), 0...0x20:
        index += 1
      default:
        while index < text.endIndex, isAtom(text[index]) { index += 1 }
        if index == start { index += 1 }
        if contains(text[start..<index], needle) { return true }
      }
    }
    return false
  }

  private static func isAtom(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: "\""), 0...0x20:
      false
    default: true
    }
  }

  /// Whether bytes hold others, ASCII letters in either case.
  static func contains(_ bytes: ArraySlice<UInt8>, _ needle: [UInt8]) -> Bool {
    guard let first = needle.first else { return true }
    var start = bytes.startIndex
    let last = bytes.endIndex - needle.count
    while start <= last {
      if lowercased(bytes[start]) == first {
        var length = 1
        while length < needle.count, lowercased(bytes[start + length]) == needle[length] {
          length += 1
        }
        if length == needle.count { return true }
      }
      start += 1
    }
    return false
  }

  @inline(__always)
  static func lowercased(_ byte: UInt8) -> UInt8 {
    byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
  }
}
