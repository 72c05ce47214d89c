internal import Foundation
import Reliability

/// A proxy of this process's own, through which a client that looks hosts up by itself reaches only allowed addresses.
///
///     let tunnel = try GuardedTunnel(.publicOnly)
///     setenv("https_proxy", tunnel.proxyURL, 1)
///
/// URLSession resolves names itself, so a check before a request says nothing about where it will connect: the name may
/// resolve to something else a moment later. Here look-up, check and connection are one, for every redirect too. It listens on
/// the loopback interface and asks for a secret that only this process knows.
public final class GuardedTunnel: Sendable {
  /// The address of the proxy with its secret, as libcurl reads it from the environment.
  public let proxyURL: String

  private let policy: AddressPolicy
  private let listener: Socket
  private let authorization: String
  private let sockets = Lock<(open: Set<Int32>, isStopped: Bool)>(([], false))
  private static let headLimit = 8192
  private static let idle = Duration.seconds(600)

  /// Starts to listen.
  ///
  /// - Throws: ``SocketError`` when sockets have run out.
  public init(_ policy: AddressPolicy) throws(SocketError) {
    self.policy = policy
    listener = try Socket.listen(port: 0)
    var generator = SystemRandomNumberGenerator()
    let secret = (0..<4).map { _ in String(generator.next() as UInt64, radix: 16) }.joined()
    proxyURL = "http://tunnel:\(secret)@127.0.0.1:\(listener.port)"
    authorization = "Basic " + Data("tunnel:\(secret)".utf8).base64EncodedString()
    BlockingThreads.shared.start { self.acceptAll() }
  }

  /// Closes every connection.
  public func stop() {
    sockets.withLock { sockets in
      if sockets.isStopped { return }
      sockets.isStopped = true
      listener.shutDown()
      for socket in sockets.open { Socket(descriptor: socket).shutDown() }
    }
  }

  private func acceptAll() {
    while let socket = listener.accept() {
      BlockingThreads.shared.start {
        guard self.keep(socket) else { return socket.close() }
        self.serve(socket)
        self.close(socket)
      }
    }
    listener.close()
  }

  private func keep(_ socket: Socket) -> Bool {
    sockets.withLock { sockets in
      if !sockets.isStopped { sockets.open.insert(socket.descriptor) }
      return !sockets.isStopped
    }
  }

  private func close(_ socket: Socket) {
    sockets.withLock { sockets in
      sockets.open.remove(socket.descriptor)
      socket.close()
    }
  }

  private func serve(_ client: Socket) {
    client.setTimeout(.seconds(15))
    guard let head = Self.readHead(client) else { return }
    let lines = head.split(separator: "\r\n")
    let words = (lines.first ?? "").split(separator: " ")
    guard words.count == 3, words[0] == "CONNECT", let (host, port) = Self.split(words[1]) else {
      return Self.answer("400 Bad Request", to: client)
    }
    let isOurs = lines.contains { line in
      let parts = line.split(separator: ":", maxSplits: 1)
      return parts.count == 2 && parts[0].lowercased() == "proxy-authorization"
        && parts[1].trimmingBlanks == authorization
    }
    guard isOurs else { return Self.answer("407 Proxy Authentication Required", to: client) }
    guard let server = connect(host, port) else { return Self.answer("403 Forbidden", to: client) }
    Self.answer("200 Connection established", to: client)
    server.setTimeout(Self.idle)
    client.setTimeout(Self.idle)
    Socket.pump(between: client, and: server, idle: Self.idle)
    close(server)
  }

  /// Looks a host up and connects to the first allowed address that answers.
  private func connect(_ host: String, _ port: UInt16) -> Socket? {
    let all: [SocketAddress]
    if let literal = SocketAddress.literal(host: host, port: port) {
      all = [literal]
    } else {
      all = (try? SocketAddress.all(host: host, port: port)) ?? []
    }
    for address in all where policy.allows(address) {
      guard let socket = try? Socket.open(for: address) else { continue }
      guard keep(socket) else {
        socket.close()
        return nil
      }
      socket.setTimeout(.seconds(30))
      if (try? socket.connect(to: address)) != nil { return socket }
      close(socket)
    }
    return nil
  }

  private static func readHead(_ client: Socket) -> String? {
    var head: [UInt8] = []
    while head.count < headLimit {
      let count = unsafe withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 1) { buffer in
        let count = unsafe client.receive(into: buffer)
        unsafe head.append(contentsOf: buffer[..<count])
        return count
      }
      if count == 0 { return nil }
      let text = String(decoding: head, as: UTF8.self)
      // A client waits for the answer before it sends more.
      if text.hasSuffix("\r\n\r\n") { return text }
    }
    return nil
  }

  static func split(_ authority: Substring) -> (String, UInt16)? {
    guard let colon = authority.lastIndex(of: ":"),
      let port = UInt16(authority[authority.index(after: colon)...])
    else { return nil }
    var host = authority[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    return host.isEmpty ? nil : (String(host), port)
  }

  private static func answer(_ status: String, to client: Socket) {
    var text = "HTTP/1.1 \(status)\r\n\r\n"
    _ = text.withUTF8 { unsafe client.send(UnsafeRawBufferPointer($0)) }
  }
}
