/// An answer whose body is read piece by piece, by one thread.
///
///     let answer = try fetch.open()
///     while try answer.read({ bytes in unsafe file.write(bytes) }) {}
///     answer.finish()
public final class HTTPAnswer {
  /// Status and header fields.
  public let head: HTTPResponseHead

  private let fetch: HTTPFetch
  private var reader: HTTPResponseReader
  private var rest: Rest
  private var isFinished = false

  private enum Rest: Equatable {
    case bytes(Int)
    case untilClose
    /// Before the size of the next chunk.
    case chunk
    case inChunk(Int)
    case nothing
    /// The connection ended where more should have come.
    case lost
  }

  init(
    fetch: HTTPFetch, head: HTTPResponseHead, framing: HTTPResponseHead.Framing,
    reader: HTTPResponseReader
  ) {
    self.fetch = fetch
    self.head = head
    self.reader = reader
    switch framing {
    case .length(let length): rest = length > 0 ? .bytes(length) : .nothing
    case .untilClose: rest = .untilClose
    case .chunked: rest = .chunk
    }
  }

  deinit { finish() }

  /// Reads what comes next of the body, up to 64 KB.
  ///
  /// A body that ends before its promised length, or a cancellation, ends it without an error: the caller counts.
  ///
  /// - Parameter body: Called with the bytes, at most once.
  /// - Returns: Whether there may be more.
  /// - Throws: ``HTTPFetch/Failure``, or what the body throws.
  public func read(_ body: (UnsafeRawBufferPointer) throws -> Void) throws -> Bool {
    switch rest {
    case .bytes(let count):
      let read = unsafe try reader.piece(atMost: count, body)
      rest = read == 0 ? .lost : read == count ? .nothing : .bytes(count - read)
    case .untilClose:
      if unsafe try reader.piece(atMost: .max, body) == 0 { rest = .lost }
    case .chunk:
      let size = try reader.chunkSize()
      if size == 0 { try reader.trailers() }
      rest = size == 0 ? .nothing : .inChunk(size)
    case .inChunk(let count):
      let read = unsafe try reader.piece(atMost: count, body)
      guard read > 0 else { throw HTTPFetch.Failure.endedEarly }
      if read == count { try reader.endOfChunk() }
      rest = read == count ? .chunk : .inChunk(count - read)
    case .nothing, .lost: return false
    }
    return rest != .nothing && rest != .lost
  }

  /// Ends the answer: the connection is kept for the next request when everything was read, and closed otherwise.
  ///
  /// May be called twice.
  public func finish() {
    if isFinished { return }
    isFinished = true
    if rest == .nothing, reader.isDrained, head.keepsConnection {
      fetch.release(reader.socket)
    } else {
      fetch.close(reader.socket)
    }
  }
}

extension HTTPFetch {
  /// Sends the request and reads the answer.
  ///
  /// A body that ends before its promised length, or a cancellation, ends the call without an error: the caller
  /// counts.
  ///
  /// - Parameters:
  ///   - onHead: Called once, before the first byte of the body.
  ///   - onBytes: Called with each piece of the body. The connection waits until it returns.
  /// - Throws: ``Failure``.
  public func run(
    onHead: (HTTPResponseHead) -> Void, onBytes: (UnsafeRawBufferPointer) -> Void
  ) throws(Failure) {
    let answer = try open()
    defer { answer.finish() }
    onHead(answer.head)
    do {
      while unsafe try answer.read(onBytes) {}
    } catch let error as Failure {
      throw error
    } catch {
      preconditionFailure("neither the reader nor the closure throws anything else")
    }
  }
}
