extension JSONText {
  /// How deeply a value may be nested that stands in a record as it is: what every reader of JSON can follow.
  static let maximumDepth = 64

  /// Whether bytes can stand in a line as a value, and be read back from there byte for byte.
  ///
  /// They are one JSON value (RFC 8259) of moderate depth in UTF-8, on one line and without blanks around it.
  package static func isEmbeddable(_ bytes: [UInt8]) -> Bool {
    guard let first = bytes.first, first > 0x20 else { return false }
    var checker = JSONChecker(bytes)
    return checker.isOneValue()
      && (checker.isASCII || String(validating: bytes, as: UTF8.self) != nil)
  }
}

/// Checks the grammar of one JSON value, without recursion.
private struct JSONChecker {
  let text: [UInt8]
  var index = 0
  var isASCII = true
  private var depth = 0
  /// One bit for each open container: whether it is an object.
  private var objects: UInt64 = 0

  init(_ text: [UInt8]) { self.text = text }

  private var byte: UInt8 { index < text.count ? text[index] : 0 }

  private mutating func skipBlanks() {
    while byte == 0x20 || byte == 0x09 { index += 1 }
  }

  private mutating func take(_ wanted: UInt8) -> Bool {
    guard byte == wanted, index < text.count else { return false }
    index += 1
    return true
  }

  mutating func isOneValue() -> Bool {
    while true {
      guard let isClosed = beginValue() else { return false }
      if !isClosed { continue }
      var goesOn = false
      while depth > 0 && !goesOn {
        skipBlanks()
        let isObject = objects & 1 == 1
        if take(UInt8(ascii: ",")) {
          if isObject && !name() { return false }
          goesOn = true
        } else if take(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
          close()
        } else {
          return false
        }
      }
      if !goesOn { return index == text.count }
    }
  }

  /// Passes a value up to the first one inside it.
  ///
  /// - Returns: Whether it is passed wholly; `nil` when it is none.
  private mutating func beginValue() -> Bool? {
    skipBlanks()
    switch byte {
    case UInt8(ascii: "{"):
      guard open(object: true) else { return nil }
      skipBlanks()
      if take(UInt8(ascii: "}")) {
        close()
        return true
      }
      return name() ? false : nil
    case UInt8(ascii: "["):
      guard open(object: false) else { return nil }
      skipBlanks()
      if take(UInt8(ascii: "]")) {
        close()
        return true
      }
      return false
    case UInt8(ascii: "\""): return string() ? true : nil
    case UInt8(ascii: "t"): return word("true") ? true : nil
    case UInt8(ascii: "f"): return word("false") ? true : nil
    case UInt8(ascii: "n"): return word("null") ? true : nil
    default: return number() ? true : nil
    }
  }

  private mutating func open(object: Bool) -> Bool {
    index += 1
    depth += 1
    objects = objects << 1 | (object ? 1 : 0)
    return depth <= JSONText.maximumDepth
  }

  private mutating func close() {
    depth -= 1
    objects >>= 1
  }

  private mutating func name() -> Bool {
    skipBlanks()
    guard string() else { return false }
    skipBlanks()
    return take(UInt8(ascii: ":"))
  }

  private mutating func word(_ word: StaticString) -> Bool {
    for letter in "\(word)".utf8 where !take(letter) { return false }
    return true
  }

  private mutating func string() -> Bool {
    guard take(UInt8(ascii: "\"")) else { return false }
    while index < text.count {
      let byte = text[index]
      index += 1
      switch byte {
      case UInt8(ascii: "\""): return true
      case UInt8(ascii: "\\"): if !escape() { return false }
      case 0..<0x20: return false
      default: if byte >= 0x80 { isASCII = false }
      }
    }
    return false
  }

  private mutating func escape() -> Bool {
    let letter = byte
    index += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
      UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      return true
    case UInt8(ascii: "u"):
      for _ in 0..<4 {
        guard isHexadecimal(byte) else { return false }
        index += 1
      }
      return true
    default: return false
    }
  }

  private func isHexadecimal(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte | 0x20)
  }

  private mutating func digits() -> Bool {
    let start = index
    while (0x30...0x39).contains(byte) { index += 1 }
    return index > start
  }

  private mutating func number() -> Bool {
    _ = take(UInt8(ascii: "-"))
    if !take(UInt8(ascii: "0")) && !digits() { return false }
    if take(UInt8(ascii: ".")) && !digits() { return false }
    if byte | 0x20 == UInt8(ascii: "e") {
      index += 1
      if byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") { index += 1 }
      if !digits() { return false }
    }
    return true
  }
}
