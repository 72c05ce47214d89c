import Reliability

/// One request without a body over plain HTTP/1.1, on the thread that calls ``open()``.
///
///     let fetch = HTTPFetch(host: "127.0.0.1", port: 8080, target: "/file", headers: [])
///     let answer = try fetch.open()
///     print(answer.head.status)
///     while try answer.read({ bytes in print(bytes.count) }) {}
///     answer.finish()
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
    /// The server was silent for longer than allowed.
    case silent
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
      case .silent: "the server was silent for too long"
      case .notHTTP: "the server's answer is not HTTP"
      case .closedBeforeAnswer: "the server closed the connection without an answer"
      case .endedEarly: "the connection ended in the middle"
      }
    }
  }

  let key: ConnectionPool.Key
  let pool: ConnectionPool?
  let method: String
  private let addresses: [SocketAddress]?
  private let silence: Duration?
  private let request: String
  private let state = Lock(State())

  private struct State {
    var socket: Socket?
    var isCancelled = false
  }

  /// Prepares a GET that uses a connection of its own.
  ///
  /// - Parameters:
  ///   - host: A name or an address, without brackets.
  ///   - port: The port.
  ///   - target: Path and query, percent-encoded.
  ///   - headers: Further header fields; `Host` and `Connection` are added.
  public convenience init(host: String, port: UInt16, target: String, headers: [HTTPField]) {
    self.init(
      host: host, port: port, target: target, headers: headers, addresses: nil, pool: nil,
      silence: nil)
  }

  init(
    method: String = "GET", host: String, port: UInt16, target: String, headers: [HTTPField],
    addresses: [SocketAddress]?, policy: AddressPolicy = .any, pool: ConnectionPool?,
    silence: Duration?
  ) {
    key = ConnectionPool.Key(host: host, port: port, policy: policy)
    self.method = method
    self.addresses = addresses
    self.pool = pool
    self.silence = silence
    let name = host.contains(":") ? "[\(host)]" : host
    var request = "\(method) \(target) HTTP/1.1\r\nHost: \(name)\(port == 80 ? "" : ":\(port)")\r\n"
    for field in headers where !field.value.utf8.contains(where: { $0 == 13 || $0 == 10 }) {
      request += "\(field.name): \(field.value)\r\n"
    }
    self.request = request + (pool == nil ? "Connection: close\r\n\r\n" : "\r\n")
  }

  /// Prepares a request to addresses that were looked up, on a connection that is kept for the next one.
  ///
  /// - Parameters:
  ///   - method: `GET` or `HEAD`.
  ///   - host: A name or an address, without brackets.
  ///   - port: The port.
  ///   - target: Path and query, percent-encoded.
  ///   - headers: Further header fields.
  ///   - policy: To which addresses it may connect.
  ///   - silence: How long the server may be silent.
  ///   - book: Where addresses are looked up.
  /// - Throws: ``AddressBook/Failure``, or `CancellationError`.
  public static func prepared(
    method: String = "GET", host: String, port: UInt16, target: String, headers: [HTTPField],
    policy: AddressPolicy, silence: Duration, book: AddressBook = .shared
  ) async throws -> HTTPFetch {
    HTTPFetch(
      method: method, host: host, port: port, target: target, headers: headers,
      addresses: try await book.addresses(host: host, port: port, policy), policy: policy,
      pool: .shared, silence: silence)
  }

  /// Makes a running ``open()`` or ``HTTPAnswer/read(_:)`` return soon.
  ///
  /// May be called at any time, from any thread.
  public func cancel() {
    state.withLock { state in
      state.isCancelled = true
      // Only shut down: the number stays ours until the running thread has closed it.
      state.socket?.shutDown()
    }
  }

  /// Whether ``cancel()`` was called.
  public var isCancelled: Bool { state.withLock { $0.isCancelled } }

  /// Sends the request and reads the head of the answer.
  ///
  /// - Returns: The answer, whose body is still to be read. Its `finish()` must be called.
  /// - Throws: ``Failure``.
  public func open() throws(Failure) -> HTTPAnswer {
    if let pool, let socket = pool.take(key), (try? adopt(socket)) != nil {
      do throws(Failure) {
        return try exchange(socket)
      } catch {
        // It was closed just now, before the server saw the request; or, with a GET, it does no harm to ask twice.
        let isStale: Bool
        switch error {
        case .closedBeforeAnswer, .socket: isStale = !isCancelled
        default: isStale = false
        }
        if !isStale { throw error }
      }
    }
    return try exchange(try connect())
  }

  private func exchange(_ socket: Socket) throws(Failure) -> HTTPAnswer {
    do throws(Failure) {
      var text = request
      guard text.withUTF8({ unsafe socket.send(UnsafeRawBufferPointer($0)) }) else {
        throw .socket(.last("send"))
      }
      var reader = HTTPResponseReader(socket: socket)
      var head = try reader.head()
      while (100..<200) ~= head.status { head = try reader.head() }
      let framing: HTTPResponseHead.Framing
      do throws(HTTPRequest.ParseError) {
        framing = method == "HEAD" ? .length(0) : try head.framing()
      } catch {
        throw .notHTTP
      }
      return HTTPAnswer(fetch: self, head: head, framing: framing, reader: reader)
    } catch {
      close(socket)
      throw error
    }
  }

  func close(_ socket: Socket) {
    state.withLock { state in
      state.socket = nil
      socket.close()
    }
  }

  /// Gives a connection on which everything was read to the pool.
  func release(_ socket: Socket) {
    guard let pool else { return close(socket) }
    let isUsable = state.withLock { state in
      state.socket = nil
      if state.isCancelled { socket.close() }
      return !state.isCancelled
    }
    if isUsable { pool.give(socket, key) }
  }

  private func connect() throws(Failure) -> Socket {
    var last = Failure.unknownHost("\(key.host) has no address")
    let known: [SocketAddress]
    if let addresses {
      known = addresses
    } else {
      known = try SocketAddress.all(host: key.host, port: key.port)
    }
    for address in known {
      do throws(SocketError) {
        return try connect(to: address)
      } catch {
        last = error.isTimeout ? .silent : .socket(error)
      }
    }
    throw last
  }

  private func connect(to address: SocketAddress) throws(SocketError) -> Socket {
    let socket = try Socket.open(for: address)
    try adopt(socket)
    do throws(SocketError) {
      try socket.connect(to: address)
      return socket
    } catch {
      close(socket)
      throw error
    }
  }

  /// From now on a cancellation ends what is done with the socket.
  private func adopt(_ socket: Socket) throws(SocketError) {
    let isCancelled = state.withLock { state in
      if state.isCancelled { socket.close() } else { state.socket = socket }
      return state.isCancelled
    }
    if isCancelled { throw .cancelled }
    if let silence { socket.setTimeout(silence) }
  }
}
