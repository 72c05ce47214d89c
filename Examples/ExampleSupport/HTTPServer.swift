internal import Foundation
import Reliability

/// A small HTTP/1.1 server: the demos' misbehaving origin, and the face of `downloader serve`.
///
///     let server = try HTTPServer { request in .text(200, "You asked for \(request.path)\n") }
///     print("http://127.0.0.1:\(server.port)/")
///     await server.stop()
///
/// Each connection has a thread of its own, so a handler may block and a stalled client disturbs nobody. Everything that a
/// client sends or holds is bounded: heads, bodies, connections, and the time that a request may take. It speaks plain HTTP;
/// on a network, put something that speaks TLS in front of it.
public final class HTTPServer: Sendable {
  /// Answers one request, on the connection's thread.
  public typealias Handler = @Sendable (HTTPRequest) -> HTTPReply

  /// What the server puts up with.
  public struct Limits: Sendable {
    /// The longest request line and header fields together, in bytes; longer ones are answered with 431.
    public var headBytes = 16_384
    /// The longest request body, in bytes; longer ones are answered with 413.
    public var bodyBytes = 1_048_576
    /// How many connections at once; one more is answered with 503.
    public var connections = 256
    /// How long a client may take to send or to accept the next bytes, in seconds.
    public var idleSeconds = 30
    /// How long a client may take for one whole request, in seconds; a slower one is answered with 408.
    public var requestSeconds = 60

    /// The defaults.
    public init() {}
  }

  /// The port the server listens on.
  public let port: UInt16

  let handler: Handler
  let limits: Limits
  private let listener: Socket
  private let state = Lock(State())

  private struct State {
    var connections: Set<Int32> = []
    var threads = 0
    var stopping = false
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  /// Starts to listen on 127.0.0.1.
  ///
  /// - Parameters:
  ///   - port: The port, or zero for any free one.
  ///   - limits: What the server puts up with.
  ///   - handler: Answers requests, several at once.
  /// - Throws: ``SocketError`` when the port is taken or sockets have run out.
  public convenience init(
    port: UInt16 = 0, limits: Limits = Limits(), handler: @escaping Handler
  ) throws(SocketError) {
    try self.init(listener: try Socket.listen(port: port), limits: limits, handler: handler)
  }

  /// Starts to listen on an address of this machine.
  ///
  /// - Parameters:
  ///   - address: Where; every network that the address belongs to can connect.
  ///   - limits: What the server puts up with.
  ///   - handler: Answers requests, several at once.
  /// - Throws: ``SocketError`` when the port is taken, the address isn't one of this machine, or sockets have run out.
  public convenience init(
    on address: ListenAddress, limits: Limits = Limits(), handler: @escaping Handler
  ) throws(SocketError) {
    try self.init(
      listener: try Socket.listen(on: address.address), limits: limits, handler: handler)
  }

  private init(
    listener: Socket, limits: Limits, handler: @escaping Handler
  ) throws(SocketError) {
    self.listener = listener
    self.port = listener.port
    self.limits = limits
    self.handler = handler
    state.withLock { $0.threads = 1 }
    Thread.detachNewThread { self.acceptConnections() }
  }

  /// How many connections are open now.
  public var connectionCount: Int { state.withLock { $0.connections.count } }

  /// Takes no more connections and requests, and returns when the answers under way are sent, or the time is over.
  ///
  /// - Parameter limit: How long to wait for them.
  public func finish(within limit: Duration) async {
    state.withLock { state in
      if state.stopping { return }
      state.stopping = true
      listener.shutDown()
      for connection in state.connections { Socket(descriptor: connection).shutDownReading() }
    }
    let end = ContinuousClock.now.advanced(by: limit)
    while state.withLock({ $0.threads }) > 0, ContinuousClock.now < end {
      try? await ContinuousClock().wait(for: .milliseconds(10))
    }
    await stop()
  }

  /// Closes every connection and returns when the last thread and descriptor are gone.
  ///
  /// May be called twice.
  public func stop() async {
    await withCheckedContinuation { continuation in
      let done = state.withLock { state in
        if !state.stopping { listener.shutDown() }
        state.stopping = true
        // Closed by their threads, which take them out of the set first: a number in the set is never someone else's.
        for connection in state.connections { Socket(descriptor: connection).shutDown() }
        if state.threads > 0 { state.waiters.append(continuation) }
        return state.threads == 0
      }
      if done { continuation.resume() }
    }
  }

  private func acceptConnections() {
    while let socket = listener.accept() {
      enum Verdict { case serve, refuse, stop }
      let verdict = state.withLock { state -> Verdict in
        if state.stopping { return .stop }
        if state.connections.count >= limits.connections { return .refuse }
        state.connections.insert(socket.descriptor)
        state.threads += 1
        return .serve
      }
      switch verdict {
      case .serve: Thread.detachNewThread { self.serve(socket) }
      case .refuse: refuse(socket)
      case .stop: socket.close()
      }
    }
    listener.close()
    threadEnded()
  }

  private func refuse(_ socket: Socket) {
    let reply = Array(
      "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
        .utf8)
    _ = unsafe reply.withUnsafeBytes { unsafe socket.send($0) }
    socket.close()
  }

  private func serve(_ socket: Socket) {
    var connection = HTTPConnection(
      socket: socket, limits: limits, isStopping: { self.state.withLock { $0.stopping } })
    let ending = connection.run(handler)
    if case .orderly = ending { socket.finishSending() }
    state.withLock { state in
      state.connections.remove(socket.descriptor)
      if case .reset = ending { socket.reset() } else { socket.close() }
    }
    threadEnded()
  }

  private func threadEnded() {
    let waiters = state.withLock { state in
      state.threads -= 1
      guard state.threads == 0 else { return [CheckedContinuation<Void, Never>]() }
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }
}
