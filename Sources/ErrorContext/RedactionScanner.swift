/// One pass over a text that copies everything but secrets.
struct RedactionScanner {
  private let input: [UInt8]
  private let rules: Redaction
  private var position = 0
  private var copied = 0
  // Where the URL that is being passed ends.
  private var urlEnd = 0
  private(set) var output: [UInt8] = []

  init(_ input: [UInt8], rules: Redaction) {
    self.input = input
    self.rules = rules
  }

  /// - Returns: Whether anything was hidden; if not, `output` is not filled.
  mutating func run() -> Bool {
    while position < input.count {
      let byte = input[position]
      if isWord(byte) {
        scanWord()
      } else if byte == UInt8(ascii: ":"), position > 0, isWord(input[position - 1]),
        at(position + 1) == UInt8(ascii: "/"), at(position + 2) == UInt8(ascii: "/")
      {
        position += 3
        scanAuthority()
      } else if position < urlEnd, byte == UInt8(ascii: "?") || byte == UInt8(ascii: "#") {
        hide(position + 1, urlEnd)
        position = urlEnd
      } else {
        position += 1
      }
    }
    if copied == 0 { return false }
    output += input[copied...]
    return true
  }

  private func at(_ index: Int) -> UInt8? { index < input.count ? input[index] : nil }

  /// Copies up to `start`, hides up to `end` and goes on there.
  private mutating func hide(_ start: Int, _ end: Int) {
    defer { position = max(position, end) }
    if start >= end { return }
    output += input[copied..<start]
    output += Redaction.mask.utf8
    copied = end
  }

  private mutating func scanWord() {
    let start = position
    while position < input.count, isWord(input[position]) { position += 1 }
    let word = input[start..<position]
    // The shortest names of secrets have three letters.
    if word.count < 3 { return }
    if rules.isSecret(name: word) {
      hideValue(
        isOption: word.first == UInt8(ascii: "-"), isHeader: Self.isWholeLineHeader(word))
      if position == word.endIndex { hideElement(named: word) }
    } else if word.count <= 6, Self.isBlank(at(position)), Self.isScheme(word) {
      var begin = position
      while Self.isBlank(at(begin)) { begin += 1 }
      let end = endOfValue(from: begin)
      if end - begin >= 8 { hide(begin, end) }
    }
  }

  /// Hides the text of an XML element that has the name of a secret.
  private mutating func hideElement(named name: ArraySlice<UInt8>) {
    guard at(position) == UInt8(ascii: ">"), name.startIndex > 0,
      [UInt8(ascii: "<"), UInt8(ascii: ":")].contains(input[name.startIndex - 1]),
      let end = input[position...].prefix(8192).firstIndex(of: UInt8(ascii: "<")),
      at(end + 1) == UInt8(ascii: "/")
    else { return }
    hide(position + 1, end)
  }

  /// Hides what comes after the name of a secret, if a separator comes between.
  private mutating func hideValue(isOption: Bool, isHeader: Bool) {
    var index = position
    var hasSeparator = false
    var quote: UInt8?
    var isEscaped = false
    scan: while let byte = at(index) {
      switch byte {
      case UInt8(ascii: "="), UInt8(ascii: ":"):
        hasSeparator = true
        quote = nil
      case UInt8(ascii: "\""), UInt8(ascii: "'"):
        quote = byte
        isEscaped = input[index - 1] == UInt8(ascii: "\\")
      case UInt8(ascii: " "), UInt8(ascii: ","), UInt8(ascii: "\t"):
        if byte == UInt8(ascii: ","), !isOption { break scan }
        hasSeparator = hasSeparator || isOption
        // A closing quote of the name belongs to the name.
        if !hasSeparator || isOption { quote = nil }
      case UInt8(ascii: ")"), UInt8(ascii: "]"):
        // The name was a subscript, or a dictionary's `AnyHashable("name")`.
        if quote == nil || hasSeparator { break scan }
        quote = nil
      case UInt8(ascii: ">"):
        // The arrow of another language's dictionary.
        if input[index - 1] != UInt8(ascii: "=") { break scan }
      case UInt8(ascii: "\\"): break
      default: break scan
      }
      index += 1
      if hasSeparator, quote != nil { break }
    }
    guard hasSeparator, let first = at(index), first >= 0x20 else { return }
    if isOption, quote == nil, first == UInt8(ascii: "-"), at(index + 1) == UInt8(ascii: "-") {
      return
    }
    let end: Int
    if let quote {
      // A doubled quote: JSON in a field of a CSV file.
      while at(index) == quote, let next = at(index + 1), isWord(next) { index += 1 }
      end = endOfQuoted(from: index, quote: quote, isEscaped: isEscaped)
    } else {
      end = max(endOfValue(from: index), isHeader ? endOfLine(from: index) : index)
    }
    hide(index, end)
  }

  /// Hides the user info of a URL; its query is hidden on the way.
  private mutating func scanAuthority() {
    let start = position
    // A URL in another one's path ends with it; looking again would make many of them quadratic.
    var end = max(start, urlEnd)
    if start >= urlEnd {
      while let byte = at(end), !Self.endsURL(byte) { end += 1 }
    }
    var authorityEnd = start
    while authorityEnd < end, !Self.endsAuthority(input[authorityEnd]) { authorityEnd += 1 }
    var userInfoEnd = input[start..<authorityEnd].lastIndex(of: UInt8(ascii: "@"))
    if userInfoEnd == nil, hasNoPort(start, authorityEnd) {
      // A raw `/`, `?`, `#`, `^` or the like in the password: what looks like host and port is the beginning of the user
      // info.
      let tokenEnd = endOfURLToken(from: end)
      userInfoEnd = input[authorityEnd..<tokenEnd].firstIndex(of: UInt8(ascii: "@"))
      if let at = userInfoEnd, at >= end {
        end = at
        while let byte = self.at(end), !Self.endsURL(byte) { end += 1 }
      }
    }
    if let userInfoEnd {
      hide(start, userInfoEnd)
    } else if authorityEnd == input.count, isCutUserInfo(start, authorityEnd) {
      hide(start, authorityEnd)
    }
    position = max(position, min(authorityEnd, end))
    urlEnd = end
  }

  /// The next blank, quote or angle bracket, or where it is too late for a password to end.
  private func endOfURLToken(from start: Int) -> Int {
    var end = start
    while end - start < 256, let byte = at(end), byte > 0x20, byte != UInt8(ascii: "\""),
      byte != UInt8(ascii: "<"),
      byte != UInt8(ascii: ">")
    {
      end += 1
    }
    return end
  }

  /// Whether a colon in the authority is followed by something that isn't a port.
  private func hasNoPort(_ start: Int, _ end: Int) -> Bool {
    guard start < end, input[start] != UInt8(ascii: "["),
      let colon = input[start..<end].firstIndex(of: UInt8(ascii: ":"))
    else { return false }
    return !input[(colon + 1)..<end].allSatisfy { (0x30...0x39).contains($0) }
  }

  /// Whether the end of the text may have cut off the `@` that would tell: an authority with letters where the port
  /// should be, or one that is longer than any host's name.
  private func isCutUserInfo(_ start: Int, _ end: Int) -> Bool {
    if end - start > 255 { return true }
    guard start < end, input[start] != UInt8(ascii: "["),
      let colon = input[start..<end].firstIndex(of: UInt8(ascii: ":"))
    else { return false }
    return input[(colon + 1)..<end].contains { (0x61...0x7A).contains($0 | 0x20) }
  }

  /// Whether a bracket begins a value, and not a sentence about one: "Unexpected token: { at line 3".
  private func opensValue(_ bracket: Int) -> Bool {
    var index = bracket + 1
    guard let next = at(index) else { return false }
    if next > 0x20 { return true }
    while let byte = at(index), byte <= 0x20 { index += 1 }
    guard let first = at(index), isWord(first) else { return true }
    while let byte = at(index),
      isWord(byte) || byte == UInt8(ascii: " ") && !isWord(at(index + 1) ?? 0)
    { index += 1 }
    return at(index) == UInt8(ascii: ":") || at(index) == UInt8(ascii: "=")
  }

  /// The end of an unquoted value: of the word, or of the brackets that it opens, as in `Optional("a b")`.
  private func endOfValue(from start: Int) -> Int {
    var end = start
    var depth = 0
    while let byte = at(end), depth > 0 || byte > 0x20 {
      switch byte {
      case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"):
        if depth > 0 || opensValue(end) { depth += 1 }
      case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"): depth = max(0, depth - 1)
      case UInt8(ascii: "&") where depth == 0: return end
      case UInt8(ascii: "\""), UInt8(ascii: "'"):
        if depth == 0 { return end }
        let isEscaped = input[end - 1] == UInt8(ascii: "\\")
        end = endOfQuoted(from: end + 1, quote: byte, isEscaped: isEscaped) + (isEscaped ? 1 : 0)
      default: break
      }
      end += 1
    }
    return min(end, input.count)
  }

  private func endOfLine(from start: Int) -> Int {
    var end = start
    while let byte = at(end), byte != 0x0A, byte != 0x0D { end += 1 }
    return end
  }

  private func endOfQuoted(from start: Int, quote: UInt8, isEscaped: Bool) -> Int {
    var end = start
    while let byte = at(end), byte != quote {
      end += !isEscaped && byte == UInt8(ascii: "\\") ? 2 : 1
    }
    end = min(end, input.count)
    if isEscaped, end > start, input[end - 1] == UInt8(ascii: "\\") { end -= 1 }
    return end
  }

  private func isWord(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
      true
    default: false
    }
  }

  private static func endsURL(_ byte: UInt8) -> Bool {
    switch byte {
    case 0...0x20, 0x7F, UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"),
      UInt8(ascii: "`"), UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "|"),
      UInt8(ascii: "\\"), UInt8(ascii: "^"):
      true
    default: false
    }
  }

  private static func endsAuthority(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "/") || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "#")
  }

  /// Headers whose values contain spaces, so that only the end of the line ends them.
  private static func isWholeLineHeader(_ word: ArraySlice<UInt8>) -> Bool {
    let name = word.map { $0 | 0x20 }
    return ["authorization", "cookie", "cookies"].contains {
      name.suffix($0.utf8.count).elementsEqual($0.utf8)
    }
  }

  private static func isBlank(_ byte: UInt8?) -> Bool {
    byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
  }

  private static func isScheme(_ word: ArraySlice<UInt8>) -> Bool {
    let name = word.map { $0 | 0x20 }
    return ["bearer", "basic", "digest"].contains { name.elementsEqual($0.utf8) }
  }
}
