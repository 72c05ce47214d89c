/// The members of one flat JSON object on one line: strings and whole numbers.
///
/// Enough to read the records this module writes, without a general parser. Members of other kinds are passed over;
/// of a repeated member the last one counts.
package struct JSONLine: Hashable, Sendable {
  private enum Value: Hashable, Sendable {
    case string(String)
    case number(Substring)
  }

  private var members: [String: Value] = [:]

  /// Reads an object.
  ///
  /// - Returns: `nil` unless the bytes are UTF-8 and begin with one whole object without nested containers. What
  ///   follows the object is not looked at.
  package init?(_ bytes: some Collection<UInt8>) {
    guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
    var scanner = Scanner(rest: text[...])
    guard scanner.take("{") else { return nil }
    if scanner.take("}") { return }
    repeat {
      guard let name = scanner.string(), scanner.take(":") else { return nil }
      if let value = scanner.string() {
        members[name] = .string(value)
      } else {
        let word = scanner.word()
        if word.isEmpty { return nil }
        members[name] = .number(word)
      }
    } while scanner.take(",")
    guard scanner.take("}") else { return nil }
  }

  /// A member that is a string.
  package func string(_ name: String) -> String? {
    if case .string(let value)? = members[name] { value } else { nil }
  }

  /// A member that is a whole number an `Int64` holds.
  package func integer(_ name: String) -> Int64? { word(name).flatMap { Int64($0) } }

  /// A member that is a whole number a `UInt64` holds.
  package func unsigned(_ name: String) -> UInt64? { word(name).flatMap { UInt64($0) } }

  private func word(_ name: String) -> Substring? {
    if case .number(let word)? = members[name] { word } else { nil }
  }
}

private struct Scanner {
  var rest: Substring

  mutating func take(_ token: Unicode.Scalar) -> Bool {
    skipSpace()
    guard rest.unicodeScalars.first == token else { return false }
    rest.unicodeScalars.removeFirst()
    return true
  }

  private mutating func skipSpace() {
    rest = Substring(
      rest.unicodeScalars.drop { $0 == " " || $0 == "\t" || $0 == "\n" || $0 == "\r" })
  }

  /// A number or one of JSON's three words.
  mutating func word() -> Substring {
    let isPart = { (scalar: Unicode.Scalar) in
      scalar.isASCII
        && (scalar.properties.isAlphabetic || "0"..."9" ~= scalar
          || "+-.".unicodeScalars.contains(scalar))
    }
    let word = Substring(rest.unicodeScalars.prefix(while: isPart))
    rest.unicodeScalars.removeFirst(word.unicodeScalars.count)
    return word
  }

  /// A string in quotes; `nil`, with nothing taken, when there is none or it does not end.
  mutating func string() -> String? {
    let start = rest
    guard take("\"") else { return nil }
    var result = String.UnicodeScalarView()
    while let scalar = next() {
      if scalar == "\"" { return String(result) }
      guard let part = scalar == "\\" ? escape() : scalar else { break }
      result.append(part)
    }
    rest = start
    return nil
  }

  private mutating func next() -> Unicode.Scalar? { rest.unicodeScalars.popFirst() }

  private mutating func escape() -> Unicode.Scalar? {
    switch next() {
    case "n": return "\n"
    case "r": return "\r"
    case "t": return "\t"
    case "b": return "\u{8}"
    case "f": return "\u{c}"
    case "u":
      guard let unit = hexadecimal() else { return nil }
      guard unit & 0xFC00 == 0xD800 else { return Unicode.Scalar(unit) }
      // Beyond the first plane: two escapes are one scalar.
      guard next() == "\\", next() == "u", let low = hexadecimal(), low & 0xFC00 == 0xDC00 else {
        return nil
      }
      return Unicode.Scalar(0x10000 + (unit & 0x3FF) << 10 + low & 0x3FF)
    case let other?: return "\"\\/".unicodeScalars.contains(other) ? other : nil
    case nil: return nil
    }
  }

  private mutating func hexadecimal() -> UInt32? {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = next(), digit.isASCII, let number = Character(digit).hexDigitValue else {
        return nil
      }
      value = value << 4 | UInt32(number)
    }
    return value
  }
}
