/// Status and header fields of an HTTP/1.1 answer.
///
///     let text = "HTTP/1.1 206 Partial Content\r\nContent-Length: 10\r\n\r\n"
///     let head = try HTTPResponseHead(Array(text.utf8))
///     print(head.status, head.header("content-length") ?? "")  // 206 10
public struct HTTPResponseHead: Hashable, Sendable {
  /// The status code.
  public let status: Int
  /// The header fields in the order they came.
  public let headers: [HTTPField]
  /// Whether the connection may be used again after the answer (RFC 9112, section 9.3).
  let keepsConnection: Bool

  /// Makes a head.
  public init(status: Int, headers: [HTTPField]) {
    self.init(status: status, headers: headers, keepsConnection: false)
  }

  private init(status: Int, headers: [HTTPField], keepsConnection: Bool) {
    self.status = status
    self.headers = headers
    self.keepsConnection = keepsConnection
  }

  /// Parses a status line and header fields (RFC 9112, sections 4 and 5).
  ///
  /// - Parameter bytes: Everything up to and including the empty line. What is not UTF-8 is replaced.
  /// - Throws: `HTTPRequest.ParseError.malformed` when it is not the head of an HTTP/1 answer.
  public init(_ bytes: [UInt8]) throws(HTTPRequest.ParseError) {
    let text = String(decoding: bytes, as: UTF8.self)
    var lines = text.split(omittingEmptySubsequences: false) { $0 == "\r\n" || $0 == "\n" }[...]
    guard let parts = lines.popFirst()?.split(separator: " ", maxSplits: 2), parts.count >= 2,
      parts[0].hasPrefix("HTTP/1."), parts[1].utf8.count == 3, let status = Int(parts[1]),
      (100...599) ~= status
    else { throw .malformed }
    var fields: [HTTPField] = []
    for line in lines {
      if line.isEmpty { break }
      guard let colon = line.firstIndex(of: ":"), colon > line.startIndex else { throw .malformed }
      fields.append(
        HTTPField(String(line[..<colon]), line[line.index(after: colon)...].trimmingBlanks))
    }
    let options = fields.filter { $0.name.lowercased() == "connection" }
      .map { $0.value.lowercased() }.joined(separator: ",")
    let isNew = !parts[0].hasSuffix("/1.0")
    self.init(
      status: status, headers: fields,
      keepsConnection: isNew ? !options.contains("close") : options.contains("keep-alive"))
  }

  /// The first value of a header field.
  ///
  /// - Parameter name: The field's name, in any case.
  public func header(_ name: String) -> String? {
    let name = name.lowercased()
    return headers.first { $0.name.lowercased() == name }?.value
  }

  /// How the end of the body is told.
  enum Framing: Hashable {
    case length(Int)
    case chunked
    case untilClose
  }

  /// How the end of the body is told (RFC 9112, section 6.3).
  func framing() throws(HTTPRequest.ParseError) -> Framing {
    if (100..<200) ~= status || status == 204 || status == 304 { return .length(0) }
    if let coding = header("Transfer-Encoding") {
      guard coding.lowercased() == "chunked" else { throw .unsupportedBody }
      return .chunked
    }
    guard let text = header("Content-Length") else { return .untilClose }
    guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")) ~= $0 }),
      let length = Int(text)
    else { throw .malformed }
    return .length(length)
  }
}
