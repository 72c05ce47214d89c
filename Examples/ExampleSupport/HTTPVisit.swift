internal import Foundation
internal import Reliability

/// One GET of a program that follows strangers' links, on the thread that calls ``run(onHead:onBytes:)``.
///
///     let connections = HTTPConnections()
///     let visit = HTTPVisit(host: "example.org", port: 80, target: "/", headers: [], over: connections)
///     try visit.run(onHead: { $0.status == 200 }, onBytes: { bytes in bytes.count < 1 << 20 })
///
/// Other than ``HTTPFetch`` it keeps connections for the next visit, looks at each address before it connects to it,
/// and can be left in the middle. The very address that was looked at is connected to: the name is not looked up again.
public final class HTTPVisit: Sendable {
  /// Why an address was not connected to.
  public struct Refusal: Error, Hashable, CustomStringConvertible {
    /// The host.
    public let host: String
    /// Its address that is not public.
    public let address: InternetAddress

    /// One line.
    public var description: String { "\(host) is at \(address), which is not a public address" }
  }

  /// How a visit ends that doesn't throw.
  public enum Ending: Hashable, Sendable {
    /// The body came as long as promised.
    case complete
    /// The connection ended before the promised length.
    case shortBody
    /// A closure said that it had seen enough.
    case left
  }

  private struct State {
    var socket: Socket?
    var isCancelled = false
  }

  private let host: String
  private let port: UInt16
  private let request: String
  private let allowsPrivate: Bool
  private let silence: Int
  private let connections: HTTPConnections
  private let state = Lock(State())

  /// Prepares a request.
  ///
  /// - Parameters:
  ///   - host: A name or an address, without brackets.
  ///   - port: The port.
  ///   - target: Path and query, percent-encoded.
  ///   - headers: Further header fields; `Host` and `Connection` are added.
  ///   - allowsPrivate: Whether an address may be one of this machine or of a private network.
  ///   - silence: How many seconds may pass without a byte.
  ///   - connections: Keeps connections between visits.
  public init(
    host: String, port: UInt16, target: String, headers: [HTTPField], allowsPrivate: Bool = false,
    silence: Int = 30, over connections: HTTPConnections
  ) {
    self.host = host
    self.port = port
    self.allowsPrivate = allowsPrivate
    self.silence = silence
    self.connections = connections
    let name = host.contains(":") ? "[\(host)]" : host
    var request = "GET \(target) HTTP/1.1\r\nHost: \(name)\(port == 80 ? "" : ":\(port)")\r\n"
    for field in headers where !field.value.utf8.contains(where: { $0 == 13 || $0 == 10 }) {
      request += "\(field.name): \(field.value)\r\n"
    }
    self.request = request + "\r\n"
  }

  /// Makes a running ``run(onHead:onBytes:)`` return soon.
  ///
  /// May be called at any time, from any thread.
  public func cancel() {
    state.withLock { state in
      state.isCancelled = true
      // Only shut down: the number stays ours until the running thread has let go of it.
      state.socket?.shutDown()
    }
  }

  /// Sends the request and reads the answer.
  ///
  /// - Parameters:
  ///   - onHead: Called once, before the first byte of the body; `false` leaves.
  ///   - onBytes: Called with each piece of the body; `false` leaves. The connection waits until it returns.
  /// - Returns: How it ended.
  /// - Throws: ``Refusal``, ``HTTPFetch/Failure``.
  public func run(
    onHead: (HTTPResponseHead) -> Bool, onBytes: (UnsafeRawBufferPointer) -> Bool
  ) throws -> Ending {
    // What was kept may have been closed by the other side meanwhile; nothing has been answered then.
    while let kept = connections.take(host, port) {
      guard begin(kept.socket) else {
        kept.socket.close()
        throw SocketError.cancelled
      }
      do throws(HTTPFetch.Failure) {
        return unsafe try exchange(kept, onHead, onBytes)
      } catch {
        guard error.isBeforeAnswer, !isCancelled else { throw error }
      }
    }
    let socket = try connect()
    return unsafe try exchange(KeptConnection(socket), onHead, onBytes)
  }

  private var isCancelled: Bool { state.withLock { $0.isCancelled } }

  private func begin(_ socket: Socket) -> Bool {
    state.withLock { state in
      if !state.isCancelled { state.socket = socket }
      return !state.isCancelled
    }
  }

  /// Lets go of the connection: for the next visit, or for good.
  private func end(_ connection: KeptConnection, keep: Bool) {
    let isCancelled = state.withLock { state in
      state.socket = nil
      return state.isCancelled
    }
    if keep, !isCancelled {
      connections.keep(connection, host, port)
    } else {
      connection.socket.close()
    }
  }

  private func exchange(
    _ connection: KeptConnection, _ onHead: (HTTPResponseHead) -> Bool,
    _ onBytes: (UnsafeRawBufferPointer) -> Bool
  ) throws(HTTPFetch.Failure) -> Ending {
    var connection = connection
    var keeps = false
    defer { end(connection, keep: keeps) }
    connection.socket.setTimeout(seconds: silence)
    var text = request
    guard text.withUTF8({ unsafe connection.socket.send(UnsafeRawBufferPointer($0)) }) else {
      throw .socket(.last("send"))
    }
    var head = try connection.reader.head()
    while (100..<200) ~= head.status { head = try connection.reader.head() }
    do throws(HTTPFetch.Failure) {
      let framing: HTTPResponseHead.Framing
      do throws(HTTPRequest.ParseError) { framing = try head.framing() } catch { throw .notHTTP }
      guard onHead(head) else { return .left }
      var goesOn = true
      /// How many bytes came, at most so many; none when the connection has ended.
      func read(_ most: Int) throws(HTTPFetch.Failure) -> Int {
        do {
          return unsafe try connection.reader.piece(atMost: most) { bytes in
            goesOn = unsafe onBytes(bytes)
          }
        } catch let error as HTTPFetch.Failure {
          throw error
        } catch {
          throw .notHTTP
        }
      }
      switch framing {
      case .length(let length):
        var rest = length
        while rest > 0 {
          let count = try read(rest)
          guard count > 0 else { return .shortBody }
          guard goesOn else { return .left }
          rest -= count
        }
        // More than was promised is nothing the next answer may begin with.
        keeps = head.keepsConnection && connection.reader.isDrained
      case .untilClose:
        while try read(1 << 18) > 0 {
          guard goesOn else { return .left }
        }
      case .chunked:
        var size = try connection.reader.chunkSize()
        while size > 0 {
          while size > 0 {
            let count = try read(size)
            guard count > 0 else { throw HTTPFetch.Failure.endedEarly }
            guard goesOn else { return .left }
            size -= count
          }
          try connection.reader.endOfChunk()
          size = try connection.reader.chunkSize()
        }
      }
      return .complete
    } catch {
      // After the head nothing may be asked for again behind the caller's back.
      guard case .socket(let cause) = error else { throw error }
      throw .socket(SocketError(call: "later", number: cause.number))
    }
  }

  private func connect() throws -> Socket {
    let addresses = try SocketAddress.all(host: host, port: port)
    // A name with one private address is not trusted with its others.
    if !allowsPrivate {
      for address in addresses {
        if let ip = address.internetAddress, !ip.isPublic {
          throw Refusal(host: host, address: ip)
        }
      }
    }
    var last: any Error = HTTPFetch.Failure.unknownHost("\(host) has no address")
    for address in addresses {
      do {
        let socket = try Socket.open(for: address)
        guard begin(socket) else {
          socket.close()
          throw SocketError.cancelled
        }
        do {
          socket.setTimeout(seconds: silence)
          try socket.connect(to: address)
          return socket
        } catch {
          end(KeptConnection(socket), keep: false)
          throw error
        }
      } catch {
        last = (error as? SocketError).map { HTTPFetch.Failure.socket($0) } ?? error
      }
    }
    throw last
  }
}

extension HTTPFetch.Failure {
  /// Whether the request may be sent again on another connection: nothing was heard of an answer.
  fileprivate var isBeforeAnswer: Bool {
    switch self {
    case .closedBeforeAnswer: true
    case .socket(let error): error.call != "later" && error.number != EAGAIN
    default: false
    }
  }
}

/// Connections between two visits of the same host: a few, and not for long.
public final class HTTPConnections: Sendable {
  private struct Place: Hashable {
    let host: String
    let port: UInt16
  }

  private let kept = Lock<[Place: [(KeptConnection, since: ContinuousClock.Instant)]]>([:])
  private let limit: Int
  private let idleLimit: Duration

  /// Makes a place for connections.
  ///
  /// - Parameters:
  ///   - limit: How many are kept in all.
  ///   - idleLimit: How long one is kept without use.
  public init(limit: Int = 64, idleLimit: Duration = .seconds(5)) {
    self.limit = limit
    self.idleLimit = idleLimit
  }

  deinit { close() }

  /// Closes what is kept.
  public func close() {
    let all = kept.withLock { kept in
      defer { kept = [:] }
      return kept.values.flatMap { $0.map(\.0) }
    }
    for connection in all { connection.socket.close() }
  }

  func take(_ host: String, _ port: UInt16) -> KeptConnection? {
    let now = ContinuousClock.now
    var old: [KeptConnection] = []
    let taken = kept.withLock { kept -> KeptConnection? in
      let place = Place(host: host, port: port)
      while let (connection, since) = kept[place]?.popLast() {
        if since.duration(to: now) < idleLimit { return connection }
        old.append(connection)
      }
      kept[place] = nil
      return nil
    }
    for connection in old { connection.socket.close() }
    return taken
  }

  func keep(_ connection: KeptConnection, _ host: String, _ port: UInt16) {
    let now = ContinuousClock.now
    var old: [KeptConnection] = []
    kept.withLock { kept in
      if kept.values.reduce(0, { $0 + $1.count }) >= limit {
        // Rare: more hosts than places. The other hosts' connections make room.
        old = kept.values.flatMap { $0.map(\.0) }
        kept = [:]
      }
      kept[Place(host: host, port: port), default: []].append((connection, since: now))
    }
    for connection in old { connection.socket.close() }
  }
}

/// A connection and what has been received on it.
struct KeptConnection: Sendable {
  let socket: Socket
  var reader: HTTPResponseReader

  init(_ socket: Socket) {
    self.socket = socket
    reader = HTTPResponseReader(socket: socket)
  }
}
