/// Reads an answer from a socket: its head, and its body in the three ways HTTP/1.1 frames one.
struct HTTPResponseReader {
  private let socket: Socket
  private var buffer = [UInt8](repeating: 0, count: 65_536)
  // What was received and not used yet.
  private(set) var unread = 0..<0

  init(socket: Socket) { self.socket = socket }

  /// Receives more once everything is used.
  ///
  /// - Returns: Whether there was more.
  private mutating func fill() throws(HTTPFetch.Failure) -> Bool {
    if !unread.isEmpty { return true }
    let result = unsafe buffer.withUnsafeMutableBytes { unsafe socket.receiveOrFail(into: $0) }
    guard result >= 0 else { throw .socket(.last("receive")) }
    unread = 0..<result
    return result > 0
  }

  /// The bytes of a line, with its line feed; fewer at the end of the connection.
  private mutating func line(limit: Int) throws(HTTPFetch.Failure) -> [UInt8] {
    var line: [UInt8] = []
    while try fill() {
      let piece = buffer[unread]
      let end = piece.firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 }
      line += piece[..<(end ?? piece.endIndex)]
      unread = (end ?? piece.endIndex)..<unread.upperBound
      if end != nil { break }
      guard line.count <= limit else { throw .notHTTP }
    }
    return line
  }

  /// Status line and header fields; 64 KB at most.
  mutating func head() throws(HTTPFetch.Failure) -> HTTPResponseHead {
    var head: [UInt8] = []
    while true {
      let line = try self.line(limit: 65_536)
      head += line
      guard line.last == UInt8(ascii: "\n") else {
        throw head.isEmpty ? .closedBeforeAnswer : .notHTTP
      }
      guard head.count <= 65_536 else { throw .notHTTP }
      if line == [13, 10] || line == [10] { break }
    }
    do throws(HTTPRequest.ParseError) {
      return try HTTPResponseHead(head)
    } catch {
      throw .notHTTP
    }
  }

  /// So many bytes, or fewer when the connection ends first.
  ///
  /// - Returns: How many.
  @discardableResult
  mutating func body(
    _ count: Int, _ onBytes: (UnsafeRawBufferPointer) -> Void
  ) throws(HTTPFetch.Failure) -> Int {
    var rest = count
    while rest > 0, try fill() {
      let taken = unread.prefix(rest)
      unsafe buffer.withUnsafeBytes { bytes in
        unsafe onBytes(UnsafeRawBufferPointer(rebasing: bytes[taken]))
      }
      unread = taken.upperBound..<unread.upperBound
      rest -= taken.count
    }
    return count - rest
  }

  /// A chunked body (RFC 9112, section 7.1); what comes after the last chunk is not read.
  mutating func chunks(
    _ onBytes: (UnsafeRawBufferPointer) -> Void
  ) throws(HTTPFetch.Failure) {
    while true {
      let line = String(decoding: try self.line(limit: 1024), as: UTF8.self)
      let digits = line.prefix { $0.isHexDigit }
      guard let size = Int(digits, radix: 16) else {
        throw line.isEmpty ? .endedEarly : .notHTTP
      }
      if size == 0 { return }
      guard unsafe try body(size, onBytes) == size else { throw .endedEarly }
      _ = try self.line(limit: 1024)
    }
  }
}
