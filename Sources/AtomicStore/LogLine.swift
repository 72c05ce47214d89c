internal import ReliabilityIO

/// One line of a log: a JSON object whose last member is the checksum of the bytes before it.
///
/// The tail has a constant size, so verifying needs no JSON parser: `"_crc":"1a2b3c4d"}`, with a comma before it
/// unless the object is empty.
enum LogLine {
  /// The length of `"_crc":"1a2b3c4d"}`.
  static let tailLength = 18
  /// The most bytes a line has beyond its payload: comma, tail less the brace that both have, newline.
  static let overhead = tailLength + 1

  private static let tailStart: [UInt8] = Array(#""_crc":""#.utf8)
  private static let digits: [UInt8] = Array("0123456789abcdef".utf8)

  /// Why bytes can't be a record, as a phrase that follows "the record"; `nil` when they can.
  ///
  /// Cheap on purpose: what a JSON encoder makes passes, and what would break the lines does not.
  static func flaw(in payload: [UInt8], format: AppendLog.Format) -> String? {
    let text = payload.span
    if text.indexOf(newline, from: 0) != nil { return "holds a newline" }
    if text.indexOf(0, from: 0) != nil { return "holds a NUL" }
    guard format == .checked else { return nil }
    guard payload.count >= 2, payload[0] == UInt8(ascii: "{"),
      payload[payload.count - 1] == UInt8(ascii: "}")
    else { return "is not one JSON object from brace to brace" }
    if !text.isASCII && String(validating: payload, as: UTF8.self) == nil {
      return "is not valid UTF-8"
    }
    return nil
  }

  /// The checksum that a payload's line will carry.
  static func checksum(of payload: [UInt8]) -> UInt32 {
    CRC32C(payload.span.extracting(droppingLast: 1)).value
  }

  /// Adds a payload's line to a buffer, newline included.
  static func append(_ payload: [UInt8], checksum: UInt32, to buffer: inout [UInt8]) {
    let body = payload.dropLast()
    buffer.append(contentsOf: body)
    if !isEmptyObject(body) { buffer.append(UInt8(ascii: ",")) }
    buffer.append(contentsOf: tailStart)
    for shift in stride(from: 28, through: 0, by: -4) {
      buffer.append(digits[Int(checksum >> UInt32(shift) & 15)])
    }
    buffer.append(UInt8(ascii: "\""))
    buffer.append(UInt8(ascii: "}"))
    buffer.append(newline)
  }

  /// Adds a payload's line to a buffer.
  static func append(_ payload: [UInt8], to buffer: inout [UInt8]) {
    append(payload, checksum: checksum(of: payload), to: &buffer)
  }

  /// Whether nothing but blanks follows the opening brace.
  private static func isEmptyObject(_ body: ArraySlice<UInt8>) -> Bool {
    body.dropFirst().allSatisfy { $0 == UInt8(ascii: " ") || $0 == 9 || $0 == 13 }
  }

  /// Where the body of a verified line ends, so that a brace put there ends the payload; `nil` for a bad line.
  ///
  /// - Parameter line: Without its newline.
  @inline(__always)
  static func bodyEnd(of line: Span<UInt8>) -> Int? {
    let start = line.count - tailLength
    guard start >= 1, line[0] == UInt8(ascii: "{"), line[start] == UInt8(ascii: "\""),
      line[line.count - 1] == UInt8(ascii: "}"), line[line.count - 2] == UInt8(ascii: "\"")
    else { return nil }
    for index in 1..<8 where line[start + index] != tailStart[index] { return nil }
    var checksum: UInt32 = 0
    for index in 8..<16 {
      guard let digit = hexadecimal(line[start + index]) else { return nil }
      checksum = checksum << 4 | digit
    }
    // No object ends in a comma, so this one is ours.
    let end = line[start - 1] == UInt8(ascii: ",") ? start - 1 : start
    return CRC32C(line.extracting(0..<end)).value == checksum ? end : nil
  }

  @inline(__always)
  private static func hexadecimal(_ digit: UInt8) -> UInt32? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit &- UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(digit &- UInt8(ascii: "a") &+ 10)
    default: nil
    }
  }

  static let newline = UInt8(ascii: "\n")
  static let brace = UInt8(ascii: "}")
}

extension Span<UInt8> {
  /// The first place of a byte at or after an index, eight bytes a step.
  ///
  /// Source of the formula: Henry S. Warren, "Hacker's Delight", section 6-1 (find a zero byte in a word).
  @inline(__always)
  func indexOf(_ byte: UInt8, from start: Int) -> Int? {
    let pattern = UInt64(byte) &* 0x0101_0101_0101_0101
    var index = start
    while index + 8 <= count {
      let word = unsafe bytes.unsafeLoadUnaligned(
        fromUncheckedByteOffset: index, as: UInt64.self) ^ pattern
      if (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080 != 0 { break }
      index += 8
    }
    while index < count {
      if self[index] == byte { return index }
      index += 1
    }
    return nil
  }

  /// The last place of a byte before an index.
  func lastIndexOf(_ byte: UInt8, before end: Int) -> Int? {
    var index = end - 1
    while index >= 0 {
      if self[index] == byte { return index }
      index -= 1
    }
    return nil
  }

  var isASCII: Bool {
    var index = 0
    while index + 8 <= count {
      let word = unsafe bytes.unsafeLoadUnaligned(
        fromUncheckedByteOffset: index, as: UInt64.self)
      if word & 0x8080_8080_8080_8080 != 0 { return false }
      index += 8
    }
    while index < count {
      if self[index] >= 0x80 { return false }
      index += 1
    }
    return true
  }
}
