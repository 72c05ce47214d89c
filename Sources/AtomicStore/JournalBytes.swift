/// Puts a journal's numbers and texts into bytes, little-endian.
struct JournalWriter {
  private(set) var content: [UInt8] = []

  init(capacity: Int = 0) { content.reserveCapacity(capacity) }

  mutating func integer<I: FixedWidthInteger & UnsignedInteger>(_ value: I) {
    var rest = value
    for _ in 0..<(I.bitWidth / 8) {
      content.append(UInt8(truncatingIfNeeded: rest))
      if I.bitWidth > 8 { rest >>= 8 }
    }
  }

  /// Two bytes of length, then UTF-8.
  mutating func text(_ value: String) {
    integer(UInt16(value.utf8.count))
    content.append(contentsOf: value.utf8)
  }

  /// Four bytes of length, then the bytes.
  mutating func bytes(_ value: [UInt8]) {
    integer(UInt32(value.count))
    content.append(contentsOf: value)
  }

  mutating func raw(_ value: some Sequence<UInt8>) { content.append(contentsOf: value) }

  mutating func pad(toMultipleOf unit: Int) {
    let rest = content.count % unit
    if rest > 0 { content.append(contentsOf: repeatElement(0, count: unit - rest)) }
  }

  /// Writes over what is there.
  mutating func patch(_ value: UInt32, at offset: Int) {
    for i in 0..<4 { content[offset + i] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(i))) }
  }
}

/// Takes numbers and texts from bytes; whatever is not there is `nil`, never a trap.
struct JournalReader {
  private let content: ArraySlice<UInt8>
  private(set) var position: Int

  init(_ content: ArraySlice<UInt8>) {
    self.content = content
    position = content.startIndex
  }

  var isAtEnd: Bool { position == content.endIndex }

  private mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
    guard count <= content.endIndex - position else { return nil }
    defer { position += count }
    return content[position..<(position + count)]
  }

  mutating func integer<I: FixedWidthInteger & UnsignedInteger>(_ type: I.Type) -> I? {
    guard let bytes = take(I.bitWidth / 8) else { return nil }
    var value: I = 0
    for byte in bytes.reversed() { value = (I.bitWidth > 8 ? value << 8 : 0) | I(byte) }
    return value
  }

  /// A number that counts bytes of a file.
  mutating func size() -> Int64? {
    guard let value = integer(UInt64.self), value <= UInt64(Int64.max) else { return nil }
    return Int64(value)
  }

  mutating func text() -> String? {
    guard let count = integer(UInt16.self), let bytes = take(Int(count)) else { return nil }
    return String(validating: bytes, as: UTF8.self)
  }

  mutating func bytes() -> [UInt8]? {
    guard let count = integer(UInt32.self), let bytes = take(Int(count)) else { return nil }
    return Array(bytes)
  }

  mutating func literal(_ expected: some Collection<UInt8>) -> Bool {
    take(expected.count)?.elementsEqual(expected) ?? false
  }
}
