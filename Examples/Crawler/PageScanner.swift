/// What a page says: its title, its text, where it leads, and which media it refers to.
struct ScannedPage: Sendable {
  var title = ""
  /// What a person would read, blanks folded, cut to ``PageScanner/textLimit`` bytes.
  var text = ""
  /// The language the page says it is in, in lower case.
  var language: String?
  /// What relative references begin from, when the page names it.
  var base: String?
  /// References to other pages, in order.
  var links: [String] = []
  /// References to media, in order.
  var media: [String] = []
  /// Whether the page asks not to have its links followed.
  var isNoFollow = false
}

/// Reads HTML as it is found: tags that are never closed, attributes without quotes, comments without an end.
///
///     let page = PageScanner.scan(Array("<title>Hi</title><a href=b.wav>listen".utf8))
///     print(page.title, page.media)  // Hi ["b.wav"]
///
/// It doesn't build a tree: links and media are attributes of single tags. One pass, and every list is bounded, so a page
/// can't make it slow or large.
struct PageScanner {
  static let textLimit = 32_768
  static let linkLimit = 2_000
  private static let valueLimit = 4_096

  /// Elements whose end does not end a word.
  private static let inline: Set<String> = [
    "a", "abbr", "b", "bdi", "code", "em", "font", "i", "mark", "s", "small", "span", "strong",
    "sub", "sup", "u", "wbr",
  ]

  private let bytes: [UInt8]
  private var position = 0
  private var page = ScannedPage()
  private var text: [UInt8] = []
  private var title: [UInt8] = []
  private var isInTitle = false

  static func scan(_ bytes: [UInt8]) -> ScannedPage {
    var scanner = PageScanner(bytes: bytes)
    scanner.run()
    return scanner.page
  }

  private init(bytes: [UInt8]) { self.bytes = bytes }

  private mutating func run() {
    while position < bytes.count {
      let end = index(of: UInt8(ascii: "<"), from: position) ?? bytes.count
      addText(position..<end)
      position = end
      if position < bytes.count { tag() }
    }
    page.title = PageEntities.decoded(title).trimmed
    page.text = PageEntities.decoded(text).trimmed
  }

  private func index(of byte: UInt8, from start: Int) -> Int? {
    bytes[start...].firstIndex(of: byte)
  }

  /// Adds text with every run of blanks as one.
  private mutating func addText(_ range: Range<Int>) {
    if isInTitle {
      title += bytes[range].prefix(max(0, 512 - title.count))
      return
    }
    for byte in bytes[range].prefix(max(0, Self.textLimit - text.count)) {
      if byte > 0x20 {
        text.append(byte)
      } else if text.last != 0x20 {
        text.append(0x20)
      }
    }
  }

  private mutating func tag() {
    let next = position + 1 < bytes.count ? bytes[position + 1] : 0
    if bytes[position...].starts(with: "<!--".utf8) { return skip(past: "-->", from: position + 4) }
    if next == UInt8(ascii: "!") || next == UInt8(ascii: "?") {
      return skip(past: ">", from: position + 1)
    }
    let isEnd = next == UInt8(ascii: "/")
    position += isEnd ? 2 : 1
    guard position < bytes.count, isLetter(bytes[position]) else {
      // A lone "<" is text.
      addText(position - 1..<position)
      return
    }
    let name = word()
    if isEnd {
      skip(past: ">", from: position)
      if name == "title" { isInTitle = false }
      if !Self.inline.contains(name), text.last != 0x20 { text.append(0x20) }
      return
    }
    let attributes = self.attributes()
    found(name, attributes)
    switch name {
    case "script", "style", "textarea", "noscript", "template", "svg": skip(toEndOf: name)
    default: break
    }
  }

  private mutating func skip(past mark: String, from start: Int) {
    let mark = Array(mark.utf8)
    var index = start
    while let candidate = self.index(of: mark[0], from: min(index, bytes.count)) {
      if bytes[candidate...].starts(with: mark) {
        position = candidate + mark.count
        return
      }
      index = candidate + 1
    }
    position = bytes.count
  }

  private mutating func skip(toEndOf name: String) {
    let mark = Array("</\(name)".utf8)
    while let candidate = index(of: UInt8(ascii: "<"), from: position) {
      let piece = bytes[candidate...].prefix(mark.count)
      if piece.count == mark.count, zip(piece, mark).allSatisfy({ $0 | 0x20 == $1 | 0x20 }) {
        position = candidate
        return skip(past: ">", from: candidate)
      }
      position = candidate + 1
    }
    position = bytes.count
  }

  private mutating func word() -> String {
    let start = position
    while position < bytes.count, position - start < 64,
      isLetter(bytes[position]) || (0x30...0x39) ~= bytes[position] || bytes[position] == 0x2d
    {
      position += 1
    }
    return String(decoding: bytes[start..<position].map { $0 | 0x20 }, as: UTF8.self)
  }

  /// The attributes up to the end of the tag; of one that is there twice, the first counts.
  private mutating func attributes() -> [String: String] {
    var attributes: [String: String] = [:]
    while position < bytes.count {
      let byte = bytes[position]
      if byte == UInt8(ascii: ">") {
        position += 1
        return attributes
      }
      guard isLetter(byte) else {
        position += 1
        continue
      }
      let start = position
      while position < bytes.count, bytes[position] > 0x20,
        bytes[position] != UInt8(ascii: "="), bytes[position] != UInt8(ascii: ">"),
        bytes[position] != UInt8(ascii: "/")
      {
        position += 1
      }
      let name = String(decoding: bytes[start..<position].prefix(64), as: UTF8.self).lowercased()
      skipBlanks()
      guard position < bytes.count, bytes[position] == UInt8(ascii: "=") else { continue }
      position += 1
      skipBlanks()
      let value = self.value()
      if attributes.count < 64, attributes[name] == nil { attributes[name] = value }
    }
    return attributes
  }

  private mutating func value() -> String {
    guard position < bytes.count else { return "" }
    let quote = bytes[position]
    let range: Range<Int>
    if quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") {
      let end = index(of: quote, from: position + 1) ?? bytes.count
      range = position + 1..<end
      position = min(end + 1, bytes.count)
    } else {
      let start = position
      while position < bytes.count, bytes[position] > 0x20, bytes[position] != UInt8(ascii: ">") {
        position += 1
      }
      range = start..<position
    }
    return PageEntities.decoded(Array(bytes[range].prefix(Self.valueLimit)))
  }

  private mutating func skipBlanks() {
    while position < bytes.count, bytes[position] <= 0x20 { position += 1 }
  }

  private func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7a) ~= byte | 0x20 }

  private mutating func found(_ name: String, _ attributes: [String: String]) {
    switch name {
    case "html": page.language = page.language ?? attributes["lang"]?.lowercased()
    case "title": if title.isEmpty { isInTitle = true }
    case "base": page.base = page.base ?? attributes["href"]
    case "a", "area":
      guard let link = attributes["href"] else { return }
      if Self.isMedia(link, type: attributes["type"]) { return addMedia(link) }
      let relations = (attributes["rel"] ?? "").lowercased().split(separator: " ")
      if !relations.contains("nofollow") { addLink(link) }
    case "iframe", "frame": attributes["src"].map { addLink($0) }
    case "audio", "source", "embed", "bgsound":
      guard let source = attributes["src"] else { return }
      let type = attributes["type"]?.lowercased() ?? "audio/"
      if name == "audio" || type.hasPrefix("audio/") { addMedia(source) }
    case "object":
      guard let source = attributes["data"] else { return }
      if Self.isMedia(source, type: attributes["type"]) { addMedia(source) }
    case "link":
      let relations = (attributes["rel"] ?? "").lowercased().split(separator: " ")
      if let link = attributes["href"], relations.contains("next") { addLink(link) }
    case "meta": meta(attributes)
    case "p", "div", "br", "li", "td", "h1", "h2", "h3", "tr", "option":
      if text.last != 0x20 { text.append(0x20) }
    default: break
    }
  }

  private mutating func meta(_ attributes: [String: String]) {
    guard let content = attributes["content"] else { return }
    switch (attributes["name"] ?? attributes["property"] ?? "").lowercased() {
    case "robots":
      let words = content.lowercased()
      if words.contains("nofollow") || words.contains("none") { page.isNoFollow = true }
    case "og:audio", "og:audio:url", "og:audio:secure_url": addMedia(content)
    default: break
    }
  }

  private mutating func addLink(_ link: String) {
    if page.links.count < Self.linkLimit { page.links.append(link) }
  }

  private mutating func addMedia(_ link: String) {
    if page.media.count < Self.linkLimit { page.media.append(link) }
  }

  /// Whether a link is one to a sound, by the type the page gives it or by the ending of its path.
  static func isMedia(_ link: String, type: String?) -> Bool {
    if let type, type.lowercased().hasPrefix("audio/") { return true }
    let path = link.prefix { $0 != "?" && $0 != "#" }.lowercased()
    return [
      ".wav", ".wave", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".flac", ".aif", ".aiff",
    ]
    .contains { path.hasSuffix($0) }
  }
}

/// Character references of HTML: the numbers and the names that matter in addresses and titles.
enum PageEntities {
  private static let names: [String: UnicodeScalar] = [
    "amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'", "nbsp": " ", "ndash": "–",
    "mdash": "—", "hellip": "…", "auml": "ä", "ouml": "ö", "uuml": "ü", "Auml": "Ä", "Ouml": "Ö",
    "Uuml": "Ü", "szlig": "ß", "eacute": "é", "egrave": "è", "agrave": "à", "ccedil": "ç",
    "ecirc": "ê", "ntilde": "ñ", "aacute": "á", "iacute": "í", "oacute": "ó", "uacute": "ú",
    "ograve": "ò", "ugrave": "ù", "igrave": "ì", "rsquo": "’", "lsquo": "‘",
  ]

  static func decoded(_ bytes: [UInt8]) -> String {
    guard bytes.contains(UInt8(ascii: "&")) else { return String(decoding: bytes, as: UTF8.self) }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var index = 0
    while index < bytes.count {
      if bytes[index] == UInt8(ascii: "&"),
        let end = bytes[index...].prefix(12).firstIndex(of: UInt8(ascii: ";")),
        let scalar = scalar(String(decoding: bytes[index + 1..<end], as: UTF8.self))
      {
        result += String(scalar).utf8
        index = end + 1
      } else {
        result.append(bytes[index])
        index += 1
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  private static func scalar(_ name: String) -> UnicodeScalar? {
    guard name.hasPrefix("#") else { return names[name] }
    let digits = name.dropFirst()
    let isHexadecimal = digits.first == "x" || digits.first == "X"
    let value = isHexadecimal ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
    return value.flatMap { $0 == 0 ? nil : UnicodeScalar($0) }
  }
}

extension String {
  /// Without blanks at either end.
  var trimmed: String {
    let start = drop(while: \.isWhitespace)
    return String(
      start[
        ..<(start.lastIndex { !$0.isWhitespace }.map { start.index(after: $0) } ?? start.startIndex)
      ])
  }
}
