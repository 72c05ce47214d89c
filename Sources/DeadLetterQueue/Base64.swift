/// Base64 with padding (RFC 4648, section 4), for payloads that can't stand in a line as they are.
package enum Base64 {
  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  private static let values: [UInt8] = {
    var values = [UInt8](repeating: 0xFF, count: 256)
    for (value, letter) in alphabet.enumerated() { values[Int(letter)] = UInt8(value) }
    return values
  }()

  package static func append(_ bytes: [UInt8], to result: inout [UInt8]) {
    result.reserveCapacity(result.count + (bytes.count + 2) / 3 * 4)
    var index = 0
    while index < bytes.count {
      let left = bytes.count - index
      var group = UInt32(bytes[index]) << 16
      if left > 1 { group |= UInt32(bytes[index + 1]) << 8 }
      if left > 2 { group |= UInt32(bytes[index + 2]) }
      result.append(alphabet[Int(group >> 18)])
      result.append(alphabet[Int(group >> 12 & 63)])
      result.append(left > 1 ? alphabet[Int(group >> 6 & 63)] : UInt8(ascii: "="))
      result.append(left > 2 ? alphabet[Int(group & 63)] : UInt8(ascii: "="))
      index += 3
    }
  }

  /// The bytes, `nil` when the text is not Base64.
  package static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    guard text.count % 4 == 0 else { return nil }
    var result: [UInt8] = []
    result.reserveCapacity(text.count / 4 * 3)
    var index = text.startIndex
    while index < text.endIndex {
      let isLast = index + 4 == text.endIndex
      var padding = 0
      var group: UInt32 = 0
      for place in index..<(index + 4) {
        let value = values[Int(text[place])]
        if text[place] == UInt8(ascii: "="), isLast, place >= index + 2 {
          padding += 1
          group <<= 6
        } else if value == 0xFF || padding > 0 {
          return nil
        } else {
          group = group << 6 | UInt32(value)
        }
      }
      result.append(UInt8(group >> 16))
      if padding < 2 { result.append(UInt8(group >> 8 & 0xFF)) }
      if padding < 1 { result.append(UInt8(group & 0xFF)) }
      index += 4
    }
    return result
  }
}
