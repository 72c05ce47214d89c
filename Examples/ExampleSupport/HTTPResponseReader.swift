/// Reads an answer from a socket: its head, and its body in the three ways HTTP/1.1 frames one.
struct HTTPResponseReader {
  let socket: Socket
  private var buffer = [UInt8](repeating: 0, count: 65_536)
  // What was received and not used yet.
  private var unread = 0..<0

  init(socket: Socket) { self.socket = socket }

  /// Whether nothing was received that was not used.
  var isDrained: Bool { unread.isEmpty }

  /// Receives more once everything is used.
  ///
  /// - Returns: Whether there was more.
  private mutating func fill() throws(HTTPFetch.Failure) -> Bool {
    if !unread.isEmpty { return true }
    let result = unsafe buffer.withUnsafeMutableBytes { unsafe socket.receiveOrFail(into: $0) }
    guard result >= 0 else {
      let error = SocketError.last("receive")
      throw error.isTimeout ? .silent : .socket(error)
    }
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

  /// What comes next, up to so many bytes.
  ///
  /// - Returns: How many; zero at the end of the connection.
  mutating func piece(
    atMost limit: Int, _ body: (UnsafeRawBufferPointer) throws -> Void
  ) throws -> Int {
    guard try fill() else { return 0 }
    let taken = unread.prefix(limit)
    unread = taken.upperBound..<unread.upperBound
    unsafe try buffer.withUnsafeBytes { bytes in
      unsafe try body(UnsafeRawBufferPointer(rebasing: bytes[taken]))
    }
    return taken.count
  }

  /// The size of the next chunk (RFC 9112, section 7.1); zero for the last one.
  mutating func chunkSize() throws(HTTPFetch.Failure) -> Int {
    let line = String(decoding: try self.line(limit: 1024), as: UTF8.self)
    guard let size = Int(line.prefix { $0.isHexDigit }, radix: 16) else {
      throw line.isEmpty ? .endedEarly : .notHTTP
    }
    return size
  }

  /// The end of line after a chunk.
  mutating func endOfChunk() throws(HTTPFetch.Failure) { _ = try line(limit: 1024) }

  /// Passes over what comes after the last chunk.
  mutating func trailers() throws(HTTPFetch.Failure) {
    var length = 0
    while true {
      let line = try self.line(limit: 65_536)
      length += line.count
      if line.isEmpty || line == [13, 10] || line == [10] { return }
      guard length <= 65_536 else { throw .notHTTP }
    }
  }
}
