/// What the embedded server answers to one request.
///
///     HTTPServer { request in
///       request.path == "/hello" ? .text(200, "Hello\n") : .text(404, "Nothing here.\n")
///     }
public struct HTTPReply: Sendable {
  /// The status code, 200 to 599.
  public var status: Int
  /// Header fields apart from `Content-Length`, `Date` and `Connection`, which the server adds.
  public var headers: [HTTPField]
  /// The body.
  public var body: HTTPBody
  /// How to misbehave while the answer is sent, or `nil` for an honest server.
  public var fault: HTTPFault?

  /// Makes an answer.
  public init(
    status: Int, headers: [HTTPField] = [], body: HTTPBody = .empty, fault: HTTPFault? = nil
  ) {
    self.status = status
    self.headers = headers
    self.body = body
    self.fault = fault
  }

  /// An answer of plain text.
  public static func text(_ status: Int, _ text: String, headers: [HTTPField] = []) -> HTTPReply {
    HTTPReply(
      status: status, headers: [HTTPField("Content-Type", "text/plain; charset=utf-8")] + headers,
      body: .bytes(Array(text.utf8)))
  }

  /// A file, or the part of it the request asks for: 200, 206 or 416, with `ETag` and `If-Range` observed.
  ///
  /// - Parameters:
  ///   - file: The whole file.
  ///   - type: Its media type.
  ///   - entityTag: Its strong validator with the quotes, such as `"\"v1\""`.
  ///   - request: The request being answered.
  public static func file(
    _ file: HTTPBody, type: String, entityTag: String, for request: HTTPRequest
  ) -> HTTPReply {
    var headers = [
      HTTPField("Content-Type", type), HTTPField("ETag", entityTag),
      HTTPField("Accept-Ranges", "bytes"),
    ]
    // A range is for the very file the client has a piece of; for another one it gets the whole (RFC 9110, 13.1.5).
    let condition = request.header("If-Range")
    guard request.method == "GET", condition == nil || condition == entityTag,
      let range = request.header("Range").flatMap(HTTPRange.init)
    else { return HTTPReply(status: 200, headers: headers, body: file) }
    switch range.resolve(length: file.count) {
    case .satisfiable(let positions):
      headers.append(
        HTTPField(
          "Content-Range",
          "bytes \(positions.lowerBound)-\(positions.upperBound - 1)/\(file.count)"))
      return HTTPReply(status: 206, headers: headers, body: file.slice(positions))
    case .unsatisfiable:
      headers.append(HTTPField("Content-Range", "bytes */\(file.count)"))
      return HTTPReply(status: 416, headers: headers)
    }
  }
}

/// A body that is made as it is sent, so that a large one never is in memory.
@safe public struct HTTPBody: Sendable {
  /// Writes the bytes that begin at a position into a buffer, filling it.
  public typealias Fill =
    @Sendable (_ position: Int, _ buffer: UnsafeMutableRawBufferPointer) -> Void

  /// The length in bytes.
  public let count: Int
  private let start: Int
  private let fill: Fill

  /// Makes a body.
  ///
  /// - Parameters:
  ///   - count: The length in bytes.
  ///   - fill: Called for consecutive pieces, on the connection's thread.
  @safe public init(count: Int, fill: @escaping Fill) {
    self.init(count: count, start: 0, fill: fill)
  }

  @safe private init(count: Int, start: Int, fill: @escaping Fill) {
    self.count = count
    self.start = start
    unsafe self.fill = fill
  }

  /// No body.
  public static let empty = HTTPBody(count: 0) { _, _ in }

  /// A body that is in memory already.
  public static func bytes(_ bytes: [UInt8]) -> HTTPBody {
    HTTPBody(count: bytes.count) { position, buffer in
      unsafe bytes.withUnsafeBytes { source in
        unsafe buffer.copyMemory(
          from: UnsafeRawBufferPointer(rebasing: source[position..<position + buffer.count]))
      }
    }
  }

  /// A part of the body.
  func slice(_ positions: Range<Int>) -> HTTPBody {
    unsafe HTTPBody(count: positions.count, start: start + positions.lowerBound, fill: fill)
  }

  func read(at position: Int, into buffer: UnsafeMutableRawBufferPointer) {
    unsafe fill(start + position, buffer)
  }
}

/// A way for a server to misbehave in the middle of an answer.
///
/// Positions count from the start of what is sent.
public enum HTTPFault: Hashable, Sendable {
  /// Sends so many bytes of the body, then resets the connection.
  case reset(after: Int)
  /// Sends so many bytes of the body, then nothing for so long, then closes.
  case stall(after: Int, for: Duration)
  /// Sends the body in small pieces with a pause after each.
  case drip(piece: Int, pause: Duration)
  /// Promises the whole body, sends so many bytes and closes in good order.
  case shortBody(after: Int)
  /// Sends the whole body with the bits of one byte turned over.
  case corrupt(at: Int)
}
