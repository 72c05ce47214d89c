/// How the text of an error gets into a report: bounded, without secrets, without control characters.
enum ReportText {
  /// A text of at most `limit` bytes of UTF-8, secrets and control characters taken out.
  static func clean(_ text: String, limit: Int, redaction: Redaction = .standard) -> String {
    var bounded = BoundedText(limit: max(limit, 16) * 4)
    bounded.write(text)
    return printable(redaction.redact(bounded.text), limit: limit)
  }

  /// The error's message: what a rule or the error's own description says, never empty.
  static func message(
    of error: any Error, limit: Int, redaction: Redaction = .standard,
    classifier: ErrorClassifier? = nil
  ) -> String {
    let error = (error as? ContextualError)?.underlying ?? error
    if let text = (classifier ?? .default).message(of: error), !isBlank(text) {
      return clean(text, limit: limit, redaction: redaction)
    }
    // Printing into a stream that stops keeping text bounds the memory that a huge error costs.
    var bounded = BoundedText(limit: limit * 4)
    print(error, terminator: "", to: &bounded)
    let text = printable(redaction.redact(bounded.text), limit: limit)
    return isBlank(text) ? "\(typeName(of: error)) without a description" : text
  }

  /// Type and message in one line.
  static func summary(
    of error: any Error, limit: Int, redaction: Redaction = .standard,
    classifier: ErrorClassifier? = nil
  ) -> String {
    let inner = (error as? ContextualError)?.underlying ?? error
    let text = message(of: inner, limit: limit, redaction: redaction, classifier: classifier)
    return printable("\(typeName(of: inner)): \(text)", limit: limit)
  }

  /// The type with its module.
  ///
  /// Types that are private to a file or local to a function lose the part that names the
  /// place in the binary, which changes from build to build.
  static func typeName(of error: any Error) -> String {
    let name = String(reflecting: type(of: error))
    guard name.utf8.contains(UInt8(ascii: "(")) else { return printable(name, limit: 256) }
    var result = ""
    var depth = 0
    var afterClosing = false
    for character in name.unicodeScalars {
      switch character {
      case "(":
        depth += 1
      case ")":
        depth -= 1
        afterClosing = depth == 0
        continue
      case "." where afterClosing: break
      case _ where depth == 0: result.unicodeScalars.append(character)
      default: break
      }
      afterClosing = false
    }
    return printable(result, limit: 256)
  }

  /// The text without control characters (a report is read on terminals), tab and line feed excepted, cut to a limit.
  static func printable(_ text: String, limit: Int) -> String {
    // Cut before it is looked at, with a little more than the limit so that the end is marked as cut.
    let text = text.utf8.count > limit ? text.prefix(utf8: limit + 4) : text
    let isPlain = hasNoControls(text.utf8)
    if isPlain, text.utf8.count <= limit { return text }
    var bounded = BoundedText(limit: limit)
    if isPlain {
      bounded.write(text)
      return bounded.text
    }
    var replaced = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
      replaced.append(isControl && scalar != "\n" && scalar != "\t" ? "\u{FFFD}" : scalar)
    }
    bounded.write(String(replaced))
    return bounded.text
  }

  /// Whether no scalar is a control character, those from U+0080 to U+009F (`C2 80` to `9F`) included: U+009B begins an
  /// escape sequence like `ESC [`.
  private static func hasNoControls(_ utf8: String.UTF8View) -> Bool {
    var before: UInt8 = 0
    for byte in utf8 {
      if byte < 0x20 && byte != 0x09 && byte != 0x0A || byte == 0x7F { return false }
      if before == 0xC2, byte < 0xA0 { return false }
      before = byte
    }
    return true
  }

  /// The last 2,000 characters of an output, 8,000 bytes at most.
  static func tail(_ text: String) -> String {
    // Redaction first: the cut must not separate a secret from its name. What lies further back than four times the
    // limit can't be part of the result.
    var end = text.suffix(characters: 8000, utf8: 32_000)
    if end.utf8.count < text.utf8.count {
      // The first word may be the rest of a secret whose name was cut off. One that is longer than a token is none.
      let word = end.utf8.prefix(4096)
      let blank = word.firstIndex {
        $0 <= 0x20 || $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "&")
      }
      if let blank { end = "…" + end[blank...] }
    }
    let shown = Redaction.standard.redact(end)
    return printable(shown, limit: .max).suffix(characters: 2000, utf8: 8000)
  }

  /// The category with a word that a report can show: printable, without secrets, 64 bytes at most, never blank.
  static func category(_ category: ErrorCategory) -> ErrorCategory {
    let word = category.rawValue
    let isShort = !word.isEmpty && word.utf8.count <= 64
    let isPlain =
      isShort
      && word.utf8.allSatisfy {
        (0x61...0x7A).contains($0 | 0x20) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "_")
      }
    if isPlain { return category }
    let cleaned = clean(word, limit: 64)
    return isBlank(cleaned) ? .unknown : ErrorCategory(rawValue: cleaned)
  }

  static func isBlank(_ text: String) -> Bool {
    text.unicodeScalars.allSatisfy {
      $0.properties.isWhitespace || $0.properties.isDefaultIgnorableCodePoint || $0 == "\u{FFFD}"
        || $0 == "…"
    }
  }
}

/// A text that stops growing at a number of bytes, at a whole scalar, and then ends in an ellipsis.
struct BoundedText: TextOutputStream {
  private(set) var text = ""
  private var room: Int
  private(set) var isCut = false

  init(limit: Int) {
    room = max(limit, 3)
  }

  mutating func write(_ string: String) {
    if isCut { return }
    let count = string.utf8.count
    if count <= room {
      text += string
      room -= count
      return
    }
    isCut = true
    let total = text.utf8.count + room
    text += string.prefix(utf8: room)
    text = text.prefix(utf8: total - 3) + "…"
  }
}

extension String {
  /// The longest beginning of at most so many bytes that ends at a whole scalar.
  func prefix(utf8 limit: Int) -> String {
    guard var end = utf8.index(startIndex, offsetBy: max(0, limit), limitedBy: endIndex) else {
      return self
    }
    while end < endIndex, utf8[end] & 0xC0 == 0x80 { utf8.formIndex(before: &end) }
    return String(self[..<end])
  }

  /// The longest ending of at most so many characters and bytes that begins at a whole scalar.
  func suffix(characters: Int, utf8 limit: Int) -> String {
    guard var begin = utf8.index(endIndex, offsetBy: -limit, limitedBy: startIndex) else {
      return String(suffix(characters))
    }
    while begin < endIndex, utf8[begin] & 0xC0 == 0x80 { utf8.formIndex(after: &begin) }
    return String(self[begin...].suffix(characters))
  }
}
