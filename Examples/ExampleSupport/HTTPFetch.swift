import Reliability

/// One GET over plain HTTP/1.1, on the thread that calls ``run(onHead:onBytes:)``.
///
///     let fetch = HTTPFetch(host: "127.0.0.1", port: 8080, target: "/file", headers: [])
///     try fetch.run(onHead: { print($0.status) }, onBytes: { bytes in print(bytes.count) })
///
/// It exists because URLSession on Linux can't be slowed down by a slow reader, lets all sessions wait for one, and
/// keeps a processor busy while it waits for a silent server. Blocking, so that a reader that takes its time holds back
/// exactly this connection.
public final class HTTPFetch: Sendable {
  /// Why a fetch ended early.
  public enum Failure: Error, Hashable, CustomStringConvertible {
    /// The host has no address.
    case unknownHost(String)
    /// A call on the socket failed.
    case socket(SocketError)
    /// The server's answer is not HTTP/1.1.
    case notHTTP
    /// The connection ended before the answer.
    case closedBeforeAnswer
    /// The connection ended in the middle of a body of unknown length.
    case endedEarly

    /// One line.
    public var description: String {
      switch self {
      case .unknownHost(let reason): reason
      case .socket(let error): "\(error)"
      case .notHTTP: "the server's answer is not HTTP"
      case .closedBeforeAnswer: "the server closed the connection without an answer"
      case .endedEarly: "the connection ended in the middle"
      }
    }
  }

  private let host: String
  private let port: UInt16
  private let request: String
  private let state = Lock(State())

  private struct State {
    var socket: Socket?
    var isCancelled = false
  }

  /// Prepares a request.
  ///
  /// - Parameters:
  ///   - host: A name or an address, without brackets.
  ///   - port: The port.
  ///   - target: Path and query, percent-encoded.
  ///   - headers: Further header fields; `Host` and `Connection` are added.
  public init(host: String, port: UInt16, target: String, headers: [HTTPField]) {
    self.host = host
    self.port = port
    let name = host.contains(":") ? "[\(host)]" : host
    var request = "GET \(target) HTTP/1.1\r\nHost: \(name)\(port == 80 ? "" : ":\(port)")\r\n"
    for field in headers where !field.value.utf8.contains(where: { $0 == 13 || $0 == 10 }) {
      request += "\(field.name): \(field.value)\r\n"
    }
    self.request = request + "Connection: close\r\n\r\n"
  }

  /// Makes a running ``run(onHead:onBytes:)`` return soon.
  ///
  /// May be called at any time, from any thread.
  public func cancel() {
    state.withLock { state in
      state.isCancelled = true
      // Only shut down: the number stays ours until the running thread has closed it.
      state.socket?.shutDown()
    }
  }

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
    let socket = try connect()
    defer {
      state.withLock { state in
        state.socket = nil
        socket.close()
      }
    }
    var text = request
    guard text.withUTF8({ unsafe socket.send(UnsafeRawBufferPointer($0)) }) else {
      throw .socket(.last("send"))
    }
    var reader = HTTPResponseReader(socket: socket)
    var head = try reader.head()
    while (100..<200) ~= head.status { head = try reader.head() }
    let framing: HTTPResponseHead.Framing
    do throws(HTTPRequest.ParseError) { framing = try head.framing() } catch { throw .notHTTP }
    onHead(head)
    switch framing {
    case .length(let length): unsafe try reader.body(length, onBytes)
    case .untilClose: unsafe try reader.body(.max, onBytes)
    case .chunked: unsafe try reader.chunks(onBytes)
    }
  }

  private func connect() throws(Failure) -> Socket {
    var last = Failure.unknownHost("\(host) has no address")
    for address in try SocketAddress.all(host: host, port: port) {
      do throws(SocketError) {
        return try connect(to: address)
      } catch {
        last = .socket(error)
      }
    }
    throw last
  }

  private func connect(to address: SocketAddress) throws(SocketError) -> Socket {
    let socket = try Socket.open(for: address)
    let isCancelled = state.withLock { state in
      if !state.isCancelled { state.socket = socket }
      return state.isCancelled
    }
    do throws(SocketError) {
      if isCancelled { throw .cancelled }
      try socket.connect(to: address)
      return socket
    } catch {
      state.withLock { state in
        state.socket = nil
        socket.close()
      }
      throw error
    }
  }
}
