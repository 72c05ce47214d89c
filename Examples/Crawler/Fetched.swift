internal import Reliability
internal import ReliabilityExampleSupport

/// What a fetch has brought.
struct Fetched: Sendable {
  /// Where it came from in the end, after redirects.
  var address: WebAddress
  /// The media type with its parameters, as the server says.
  var contentType = ""
  /// The beginning of the body, or all of it.
  var bytes: [UInt8] = []
  /// How long the body is.
  var byteCount = 0
  /// Of the whole body, where it was asked for.
  var sha256 = ""

  /// The media type in lower case, without parameters.
  var mediaType: String { contentType.prefix { $0 != ";" }.lowercased().trimmed }
}

/// Takes an answer in: a beginning is kept, everything is counted and perhaps hashed, and too much ends it.
final class BodySink: Sendable {
  struct Limits: Sendable {
    /// How many bytes a body may have.
    var most: Int
    /// How many of them are kept.
    var kept: Int
    var isHashed = false
  }

  private struct State {
    var head: HTTPResponseHead?
    var bytes: [UInt8] = []
    var count = 0
    var digest = SHA256()
    var isTooLarge = false
  }

  private let limits: Limits
  private let state = Lock(State())

  init(_ limits: Limits) { self.limits = limits }

  /// - Returns: Whether the body is wanted.
  func take(_ head: HTTPResponseHead) -> Bool {
    state.withLock { state in
      state.head = head
      guard let length = head.header("Content-Length").flatMap({ Int($0) }) else { return true }
      if (200..<300) ~= head.status {
        state.isTooLarge = length > limits.most
        if !state.isTooLarge { state.bytes.reserveCapacity(min(length, limits.kept)) }
        return !state.isTooLarge
      }
      // The body of an error is read only to use the connection again.
      return length <= 65_536
    }
  }

  /// - Returns: Whether more is wanted.
  func take(_ bytes: UnsafeRawBufferPointer) -> Bool {
    state.withLock { state in
      state.count += bytes.count
      guard let head = state.head, (200..<300) ~= head.status else { return state.count <= 65_536 }
      if state.count > limits.most {
        state.isTooLarge = true
        state.bytes = []
        return false
      }
      let room = limits.kept - state.bytes.count
      if room > 0 { unsafe state.bytes.append(contentsOf: bytes.prefix(room)) }
      if limits.isHashed { unsafe state.digest.update(bytes) }
      return true
    }
  }

  var head: HTTPResponseHead? { state.withLock { $0.head } }
  var count: Int { state.withLock { $0.count } }

  /// The answer, once it is there.
  ///
  /// - Throws: ``CrawlError`` when the body is too large.
  func fetched(from address: WebAddress) throws -> Fetched {
    try state.withLock { state in
      if state.isTooLarge { throw CrawlError(.tooLarge(limit: limits.most)) }
      return Fetched(
        address: address, contentType: state.head?.header("Content-Type") ?? "",
        bytes: state.bytes, byteCount: state.count,
        sha256: limits.isHashed ? state.digest.hexadecimal : "")
    }
  }
}
