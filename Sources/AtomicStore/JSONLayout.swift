/// Lays out compact JSON for people, as `JSON.stringify(value, null, 2)` and `json.dumps(value, indent=2)` do.
enum JSONLayout {
  /// Breaks lines and indents by two spaces; a line feed ends the text, as in every text file.
  ///
  /// - Parameter compact: Valid JSON without space between its tokens.
  /// - Complexity: O(count of the result).
  static func pretty(_ compact: [UInt8]) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(compact.count + compact.count / 2 + 1)
    var depth = 0
    var isInString = false
    var isEscaped = false
    for (index, byte) in compact.enumerated() {
      if isInString {
        out.append(byte)
        if isEscaped {
          isEscaped = false
        } else if byte == UInt8(ascii: "\\") {
          isEscaped = true
        } else if byte == UInt8(ascii: "\"") {
          isInString = false
        }
        continue
      }
      switch byte {
      case UInt8(ascii: "\""):
        isInString = true
        out.append(byte)
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        out.append(byte)
        depth += 1
        if !isClosing(compact, at: index + 1) { breakLine(&out, depth) }
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        depth -= 1
        if !isOpening(compact, at: index - 1) { breakLine(&out, depth) }
        out.append(byte)
      case UInt8(ascii: ","):
        out.append(byte)
        breakLine(&out, depth)
      case UInt8(ascii: ":"):
        out.append(byte)
        out.append(UInt8(ascii: " "))
      default: out.append(byte)
      }
    }
    out.append(UInt8(ascii: "\n"))
    return out
  }

  private static func isClosing(_ bytes: [UInt8], at index: Int) -> Bool {
    guard index < bytes.count else { return false }
    return bytes[index] == UInt8(ascii: "}") || bytes[index] == UInt8(ascii: "]")
  }

  /// Outside a string, so a bracket is a bracket.
  private static func isOpening(_ bytes: [UInt8], at index: Int) -> Bool {
    index >= 0 && (bytes[index] == UInt8(ascii: "{") || bytes[index] == UInt8(ascii: "["))
  }

  private static func breakLine(_ out: inout [UInt8], _ depth: Int) {
    out.append(UInt8(ascii: "\n"))
    for _ in 0..<depth {
      out.append(UInt8(ascii: " "))
      out.append(UInt8(ascii: " "))
    }
  }
}
