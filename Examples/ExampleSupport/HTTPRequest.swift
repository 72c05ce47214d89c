/// One request of an HTTP/1.1 client, as the embedded server hands it to its handler.
///
///     let text = "GET /a%20b?x=1 HTTP/1.1\r\nHost: here\r\n\r\n"
///     let request = try HTTPRequest(head: Array(text.utf8))
///     print(request.method, request.path)  // GET /a%20b
public struct HTTPRequest: Sendable {
  /// The method in upper case, such as `GET`.
  public let method: String
  /// Path and query as they were sent.
  public let target: String
  /// The header fields in the order they came.
  public let headers: [HTTPField]
  /// The body, empty when there is none.
  public internal(set) var body: [UInt8] = []

  /// The address of whoever sent it, of version 6 its network; empty for a request that nobody sent.
  public internal(set) var client = ""

  let minorVersion: Int

  /// The target without its query, still percent-encoded.
  public var path: String { String(target.prefix { $0 != "?" }) }

  /// The first value of a parameter of the query, decoded.
  ///
  /// - Parameter name: The parameter's name.
  public func parameter(_ name: String) -> String? {
    guard let mark = target.firstIndex(of: "?") else { return nil }
    for pair in target[target.index(after: mark)...].split(separator: "&") {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if parts[0] == name { return parts.count == 2 ? parts[1].percentDecoded : "" }
    }
    return nil
  }

  /// The first value of a header field.
  ///
  /// - Parameter name: The field's name, in any case.
  public func header(_ name: String) -> String? {
    let name = name.lowercased()
    return headers.first { $0.name.lowercased() == name }?.value
  }

  /// Why a request could not be understood; the status says it to the client.
  public enum ParseError: Error, Hashable {
    /// Not a request at all.
    case malformed
    /// Another major version of the protocol.
    case unsupportedVersion
    /// A body in a form the server does not read.
    case unsupportedBody
    /// A body longer than the server takes.
    case bodyTooLarge

    var status: Int {
      switch self {
      case .malformed: 400
      case .unsupportedVersion: 505
      case .unsupportedBody: 501
      case .bodyTooLarge: 413
      }
    }
  }

  /// Parses a request line and header fields (RFC 9112, sections 3 and 5).
  ///
  /// - Parameter head: Everything up to and including the empty line.
  /// - Throws: ``ParseError`` when it is not an HTTP/1 request.
  public init(head: [UInt8]) throws(ParseError) {
    // Bytes that are not UTF-8 would be replaced silently, and a NUL hides what comes after it from C code.
    guard let text = String(validating: head, as: UTF8.self), !head.contains(0) else {
      throw .malformed
    }
    // A line may end in CR LF or LF alone; "\r\n" is one Character.
    var lines = text.split(omittingEmptySubsequences: false) { $0 == "\r\n" || $0 == "\n" }[...]
    guard let requestLine = lines.popFirst() else { throw .malformed }
    let parts = requestLine.split(separator: " ", omittingEmptySubsequences: false)
    guard parts.count == 3, !parts[0].isEmpty, parts[0].utf8.allSatisfy(Self.isTokenByte),
      parts[2].hasPrefix("HTTP/"), let target = Self.originForm(parts[1])
    else { throw .malformed }
    guard parts[2].hasPrefix("HTTP/1."), let minor = Int(parts[2].dropFirst(7)), (0...9) ~= minor
    else { throw .unsupportedVersion }

    var fields: [HTTPField] = []
    for line in lines {
      if line.isEmpty { break }
      guard let colon = line.firstIndex(of: ":"), colon > line.startIndex else { throw .malformed }
      let name = line[..<colon]
      guard name.utf8.allSatisfy(Self.isTokenByte) else { throw .malformed }
      fields.append(HTTPField(String(name), line[line.index(after: colon)...].trimmingBlanks))
    }
    method = String(parts[0])
    self.target = target
    headers = fields
    minorVersion = minor
  }

  /// The target without scheme and host, which a client sends that takes the server for a proxy (RFC 9112, 3.2.2).
  private static func originForm(_ target: Substring) -> String? {
    if target.hasPrefix("/") || target == "*" { return String(target) }
    guard target.hasPrefix("http://") else { return nil }
    let path = target.dropFirst(7).drop { $0 != "/" }
    return path.isEmpty ? "/" : String(path)
  }

  /// The bytes RFC 9110, section 5.6.2, allows in a method or a field name.
  private static func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "A")...UInt8(ascii: "Z"):
      true
    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
  }

  /// How long the body is that follows the head.
  func bodyLength(atMost limit: Int) throws(ParseError) -> Int {
    if header("Transfer-Encoding") != nil { throw .unsupportedBody }
    let lengths = headers.filter { $0.name.lowercased() == "content-length" }
    guard let first = lengths.first?.value else { return 0 }
    guard lengths.allSatisfy({ $0.value == first }), !first.isEmpty,
      first.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")) ~= $0 })
    else { throw .malformed }
    guard let length = Int(first), length <= limit else { throw .bodyTooLarge }
    return length
  }

  /// Whether the client wants the connection kept for its next request.
  var keepsConnection: Bool {
    let options = (header("Connection") ?? "").lowercased()
      .split(separator: ",").map { $0.trimmingBlanks }
    if options.contains("close") { return false }
    return minorVersion >= 1 || options.contains("keep-alive")
  }
}

/// One header field.
public struct HTTPField: Hashable, Sendable {
  /// The field's name.
  public var name: String
  /// The field's value, without blanks around it.
  public var value: String

  /// Makes a field.
  public init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }
}

extension StringProtocol {
  /// The text of a query's value; `nil` when it is not UTF-8.
  var percentDecoded: String? {
    var bytes: [UInt8] = []
    var rest = Array(utf8)[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%") {
        guard let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16),
          rest.count >= 2
        else { return nil }
        bytes.append(value)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
      }
    }
    return String(validating: bytes, as: UTF8.self)
  }

  /// The text without spaces and tabs at either end.
  var trimmingBlanks: String {
    let start = drop { $0 == " " || $0 == "\t" }
    guard let last = start.lastIndex(where: { $0 != " " && $0 != "\t" }) else { return "" }
    return String(start[...last])
  }
}
