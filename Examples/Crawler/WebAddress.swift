internal import ReliabilityExampleSupport

/// An http or https address in its one spelling, so that two links to the same thing are equal.
///
///     let page = WebAddress("HTTP://Example.org:80/a/../b?x=1#top")!
///     print(page)  // http://example.org/b?x=1
///     print(page.resolve("c d.wav")!)  // http://example.org/c%20d.wav
///
/// Reads what pages hold as tolerantly as browsers do (WHATWG URL, section 4.4), and nothing that is not the web: any
/// other scheme, a user name, an impossible port, and a host that needs a table of Unicode are no addresses.
struct WebAddress: Hashable, Sendable, CustomStringConvertible {
  let isSecure: Bool
  let host: String
  let port: UInt16
  /// Begins with `/`, percent-encoded.
  let path: String
  /// With its `?`, or empty.
  let query: String

  /// The most bytes an address may have; longer ones are traps more often than pages.
  static let longest = 2048

  private init?(isSecure: Bool, host: String, port: UInt16, path: String, query: String) {
    guard host.utf8.count + path.utf8.count + query.utf8.count <= Self.longest else { return nil }
    self.isSecure = isSecure
    self.host = host
    self.port = port
    self.path = path
    self.query = query
  }

  /// Reads an absolute address.
  init?(_ text: some StringProtocol) {
    let bytes = Self.cleaned(text)
    guard let (scheme, rest) = Self.scheme(of: bytes) else { return nil }
    self.init(scheme: scheme, rest)
  }

  private init?(scheme: String, _ rest: ArraySlice<UInt8>) {
    guard scheme == "http" || scheme == "https" else { return nil }
    var rest = rest
    while rest.first == UInt8(ascii: "/") { rest.removeFirst() }
    self.init(isSecure: scheme == "https", authorityAndRest: rest)
  }

  private init?(isSecure: Bool, authorityAndRest bytes: ArraySlice<UInt8>) {
    let end = bytes.firstIndex { "/?#".utf8.contains($0) } ?? bytes.endIndex
    guard let (host, port) = Self.authority(bytes[..<end]) else { return nil }
    let (path, query) = Self.pathAndQuery(bytes[end...])
    self.init(
      isSecure: isSecure, host: host, port: port ?? (isSecure ? 443 : 80),
      path: Self.withoutDots(path), query: query)
  }

  /// Where a reference on this page leads; `nil` when that is not the web.
  func resolve(_ reference: some StringProtocol) -> WebAddress? {
    let bytes = Self.cleaned(reference)
    if let (scheme, rest) = Self.scheme(of: bytes) { return WebAddress(scheme: scheme, rest) }
    if bytes.starts(with: "//".utf8) {
      return WebAddress(isSecure: isSecure, authorityAndRest: bytes.drop { $0 == 0x2f })
    }
    let (path, query) = Self.pathAndQuery(bytes[...])
    func with(_ path: String, _ query: String) -> WebAddress? {
      WebAddress(isSecure: isSecure, host: host, port: port, path: path, query: query)
    }
    if bytes.isEmpty || bytes[0] == UInt8(ascii: "#") { return self }
    if bytes[0] == UInt8(ascii: "?") { return with(self.path, query) }
    if path.hasPrefix("/") { return with(Self.withoutDots(path), query) }
    let directory = self.path[...(self.path.lastIndex(of: "/") ?? self.path.startIndex)]
    return with(Self.withoutDots(directory + path), query)
  }

  /// Host and port: what a server is, and robots.txt and connections belong to.
  var site: String { "\(isSecure ? "https" : "http")://\(authority)" }

  var authority: String {
    let name = host.contains(":") ? "[\(host)]" : host
    return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
  }

  /// Path and query, as a request sends them.
  var target: String { path + query }

  var description: String { site + path + query }

  /// The last part of the path, decoded, for people: never a name to write to.
  var title: String {
    let last = path.split(separator: "/").last ?? ""
    return String(decoding: Self.percentDecoded(last.utf8), as: UTF8.self)
  }
}

extension WebAddress {
  /// Without the blanks around it and the line breaks in it; backslashes as the slashes they are meant to be.
  private static func cleaned(_ text: some StringProtocol) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count)
    var isInQuery = false
    for byte in text.utf8 {
      switch byte {
      case 0x09, 0x0a, 0x0d: continue
      case UInt8(ascii: "?"), UInt8(ascii: "#"): isInQuery = true
      default: break
      }
      bytes.append(byte == UInt8(ascii: "\\") && !isInQuery ? UInt8(ascii: "/") : byte)
    }
    let start = bytes.firstIndex { $0 > 0x20 } ?? bytes.endIndex
    let end = bytes.lastIndex { $0 > 0x20 }.map { $0 + 1 } ?? start
    return Array(bytes[start..<end])
  }

  /// The scheme in lower case and what follows its colon.
  private static func scheme(of bytes: [UInt8]) -> (String, ArraySlice<UInt8>)? {
    guard let colon = bytes.firstIndex(where: { !isSchemeByte($0) }),
      bytes[colon] == UInt8(ascii: ":"), let first = bytes.first, isLetter(first)
    else { return nil }
    return (String(decoding: bytes[..<colon], as: UTF8.self).lowercased(), bytes[(colon + 1)...])
  }

  private static func authority(_ bytes: ArraySlice<UInt8>) -> (String, UInt16?)? {
    var name = bytes
    var port: UInt16?
    if let colon = bytes.lastIndex(of: UInt8(ascii: ":")),
      bytes[colon...].dropFirst().allSatisfy(isDigit)
    {
      name = bytes[..<colon]
      let digits = bytes[(colon + 1)...]
      if !digits.isEmpty {
        guard let number = UInt16(String(decoding: digits, as: UTF8.self)), number > 0 else {
          return nil
        }
        port = number
      }
    }
    var host = String(decoding: name, as: UTF8.self).lowercased()
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = String(host.dropFirst().dropLast())
      guard host.contains(":"), let address = InternetAddress(host) else { return nil }
      return (address.description, port)
    }
    while host.hasSuffix(".") { host.removeLast() }
    guard !host.isEmpty, host.utf8.count <= 253, host.utf8.allSatisfy(isHostByte) else {
      return nil
    }
    return (host, port)
  }

  private static func pathAndQuery(_ bytes: ArraySlice<UInt8>) -> (path: String, query: String) {
    let whole = bytes.prefix { $0 != UInt8(ascii: "#") }
    let path = whole.prefix { $0 != UInt8(ascii: "?") }
    return (encoded(path), encoded(whole[path.endIndex...]))
  }

  /// Everything that may stand in a request line stays; the rest is percent-encoded.
  private static func encoded(_ bytes: ArraySlice<UInt8>) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    for byte in bytes {
      if byte > 0x20, byte < 0x7f, !"\"<>\\^`{|}".utf8.contains(byte) {
        result.append(byte)
      } else {
        result += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  /// The path without `.` and `..`, also percent-encoded ones; it never leaves the root.
  private static func withoutDots(_ path: some StringProtocol) -> String {
    if path.isEmpty { return "/" }
    guard path.utf8.contains(UInt8(ascii: ".")) || path.contains("%2") else { return String(path) }
    var parts: [Substring] = []
    let all = Substring(path).split(separator: "/", omittingEmptySubsequences: false).dropFirst()
    for (offset, part) in all.enumerated() {
      let isLast = offset == all.count - 1
      switch part.lowercased().replacing("%2e", with: ".") {
      case ".": if isLast { parts.append("") }
      case "..":
        _ = parts.popLast()
        if isLast { parts.append("") }
      default: parts.append(part)
      }
    }
    return "/" + parts.joined(separator: "/")
  }

  private static func percentDecoded(_ bytes: some Collection<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    var rest = Array(bytes)[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%"), let high = rest.first.flatMap(hex),
        let low = rest.dropFirst().first.flatMap(hex)
      {
        rest.removeFirst(2)
        result.append(high << 4 | low)
      } else {
        result.append(byte)
      }
    }
    return result
  }

  private static func hex(_ byte: UInt8) -> UInt8? {
    UInt8(String(UnicodeScalar(byte)), radix: 16)
  }

  private static func isLetter(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")) ~= byte | 0x20
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")) ~= byte
  }

  private static func isSchemeByte(_ byte: UInt8) -> Bool {
    isLetter(byte) || isDigit(byte) || "+-.".utf8.contains(byte)
  }

  private static func isHostByte(_ byte: UInt8) -> Bool {
    isLetter(byte) || isDigit(byte) || "-._".utf8.contains(byte)
  }
}
