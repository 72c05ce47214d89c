import ReliabilityExampleSupport
import ReliabilityTestSupport
import Synchronization
import Testing

/// The embedded server against a client that knows no manners.
///
/// Real sockets, so real time.
@Suite(.realTime, .timeLimit(.minutes(10)), .offThePool) struct RealTimeHTTPServerTests {
  private func withServer(
    limits: HTTPServer.Limits = HTTPServer.Limits(), handler: @escaping HTTPServer.Handler = echo,
    _ body: (HTTPServer) async throws -> Void
  ) async throws {
    let server = try HTTPServer(limits: limits, handler: handler)
    do { try await body(server) } catch {
      await server.stop()
      throw error
    }
    await server.stop()
    #expect(server.connectionCount == 0)
  }

  private static let echo: HTTPServer.Handler = { request in
    .text(
      200, "\(request.method) \(request.target) \(String(decoding: request.body, as: UTF8.self))")
  }

  @Test func oneConnectionServesManyRequests() async throws {
    try await withServer { server in
      let client = try LoopbackClient(port: server.port)
      for number in 0..<10 {
        client.send("GET /\(number) HTTP/1.1\r\nHost: x\r\n\r\n")
        let reply = client.readReply()
        #expect(reply.head.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(reply.body == "GET /\(number) ")
      }
      #expect(server.connectionCount == 1)
    }
  }

  @Test func requestsSentTogetherAreAnsweredInOrder() async throws {
    try await withServer { server in
      let client = try LoopbackClient(port: server.port)
      client.send(
        "GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\n\r\n"
      )
      #expect(client.readReply().body == "GET /1 ")
      #expect(client.readReply().body == "POST /2 abc")
      #expect(client.readReply().body == "GET /3 ")
    }
  }

  @Test func aRequestInSinglesBytesIsUnderstood() async throws {
    try await withServer { server in
      let client = try LoopbackClient(port: server.port)
      for byte in "GET /slow HTTP/1.1\r\nA: b\r\n\r\n".utf8 { client.send([byte]) }
      #expect(client.readReply().body == "GET /slow ")
    }
  }

  @Test func headHasTheLengthAndNoBody() async throws {
    try await withServer { server in
      let client = try LoopbackClient(port: server.port)
      client.send("HEAD /abc HTTP/1.1\r\n\r\nGET /d HTTP/1.1\r\n\r\n")
      #expect(client.readReply(hasBody: false).head.contains("Content-Length: 10\r\n"))
      #expect(client.readReply().body == "GET /d ")
    }
  }

  @Test(arguments: ["GET /x HTTP/1.0\r\n\r\n", "GET /x HTTP/1.1\r\nConnection: Close\r\n\r\n"])
  func theConnectionIsClosedWhenTheClientWantsThat(request: String) async throws {
    try await withServer { server in
      let client = try LoopbackClient(port: server.port)
      client.send(request)
      let (text, end) = client.readToEnd()
      #expect(text.hasSuffix("GET /x ") && text.contains("Connection: close"))
      #expect(end == .orderly)
    }
  }

  @Test func aClientThatWantsToContinueIsTold() async throws {
    try await withServer { server in
      let client = try LoopbackClient(port: server.port)
      client.send("POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
      #expect(client.readReply(hasBody: false).head == "HTTP/1.1 100 Continue\r\n\r\n")
      client.send("ok")
      #expect(client.readReply().body == "POST / ok")
    }
  }

  @Test(arguments: [
    ("\r\n\r\n", 400), ("hello\r\n\r\n", 400), ("GET / HTTP/3.0\r\n\r\n", 505),
    ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
    ("POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
    ("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400),
    ("GET / HTTP/1.1\r\nA: \(String(repeating: "x", count: 20_000))\r\n\r\n", 431),
    (String(repeating: "x", count: 20_000), 431),
  ])
  func nonsenseIsAnsweredOnceAndTheConnectionEnds(request: String, status: Int) async throws {
    try await withServer { server in
      let client = try LoopbackClient(port: server.port)
      client.send(request)
      let (text, end) = client.readToEnd()
      #expect(text.hasPrefix("HTTP/1.1 \(status) "), "\(text)")
      #expect(end == .orderly)
    }
  }

  @Test func clientsThatLeaveEarlyDisturbNobody() async throws {
    try await withServer { server in
      for text in [
        "", "GET", "GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab",
      ] {
        let client = try LoopbackClient(port: server.port)
        client.send(text)
        client.close()
        let halfClosed = try LoopbackClient(port: server.port)
        halfClosed.send(text)
        halfClosed.finish()
        #expect(halfClosed.readToEnd().end == .orderly)
      }
      let client = try LoopbackClient(port: server.port)
      client.send("GET /still HTTP/1.1\r\n\r\n")
      #expect(client.readReply().body == "GET /still ")
    }
  }

  @Test func aClientThatSaysNothingIsDroppedAfterTheIdleLimit() async throws {
    var limits = HTTPServer.Limits()
    limits.idleSeconds = 1
    try await withServer(limits: limits) { server in
      let client = try LoopbackClient(port: server.port)
      client.send("GET / HT")
      #expect(client.readToEnd().end == .orderly)
    }
  }

  @Test func oneConnectionTooManyIsRefusedPolitely() async throws {
    var limits = HTTPServer.Limits()
    limits.connections = 1
    try await withServer(limits: limits) { server in
      let first = try LoopbackClient(port: server.port)
      first.send("GET /1 HTTP/1.1\r\n\r\n")
      #expect(first.readReply().body == "GET /1 ")
      let second = try LoopbackClient(port: server.port)
      #expect(second.readToEnd().text.hasPrefix("HTTP/1.1 503 "))
    }
  }

  @Test func aValueWithALineBreakCannotForgeAField() async throws {
    let handler: HTTPServer.Handler = { _ in
      .text(200, "x", headers: [HTTPField("A", "b\r\nSet-Cookie: c"), HTTPField("D", "e")])
    }
    try await withServer(handler: handler) { server in
      let client = try LoopbackClient(port: server.port)
      client.send("GET / HTTP/1.1\r\n\r\n")
      let head = client.readReply().head
      #expect(!head.contains("Set-Cookie") && head.contains("D: e"))
    }
  }

  @Test(
    arguments: [
      (HTTPFault.reset(after: 5), LoopbackClient.End.reset, ["", "01234"]),
      (.shortBody(after: 5), .orderly, ["01234"]),
      (.stall(after: 5, for: .milliseconds(50)), .orderly, ["01234"]),
      (.drip(piece: 3, pause: .milliseconds(1)), .orderly, ["0123456789"]),
      (.corrupt(at: 1), .orderly, ["0\u{fffd}23456789"]),
    ] as [(HTTPFault, LoopbackClient.End, [String])])
  func faultsHappenAsAskedFor(
    fault: HTTPFault, end: LoopbackClient.End, bodies: [String]
  ) async throws {
    let handler: HTTPServer.Handler = { _ in
      HTTPReply(status: 200, body: .bytes(Array("0123456789".utf8)), fault: fault)
    }
    try await withServer(handler: handler) { server in
      let client = try LoopbackClient(port: server.port)
      client.send("GET / HTTP/1.0\r\n\r\n")
      let answer = client.readToEnd()
      #expect(answer.end == end)
      let body = answer.text.split(separator: "\r\n\r\n", maxSplits: 1).dropFirst().first ?? ""
      // A reset may overtake the bytes before it.
      #expect(bodies.contains(String(body)))
    }
  }

  @Test func stoppingEndsStalledAndIdleConnectionsAtOnce() async throws {
    let handler: HTTPServer.Handler = { _ in
      HTTPReply(
        status: 200, body: .bytes(Array("0123456789".utf8)),
        fault: .stall(after: 5, for: .seconds(600)))
    }
    // Were a connection waited for instead of ended, it would take ten minutes.
    var limits = HTTPServer.Limits()
    limits.idleSeconds = 600
    let server = try HTTPServer(limits: limits, handler: handler)
    let stalled = try LoopbackClient(port: server.port)
    stalled.send("GET / HTTP/1.1\r\n\r\n")
    #expect(stalled.readReply(hasBody: false).head.hasPrefix("HTTP/1.1 200"))
    let idle = try LoopbackClient(port: server.port)
    let start = ContinuousClock.now
    await server.stop()
    await server.stop()
    #expect(ContinuousClock.now - start < .seconds(300))
    #expect(server.connectionCount == 0)
    #expect(idle.readToEnd().end != .silence)
    #expect(throws: (any Error).self) { try LoopbackClient(port: server.port) }
  }

  @Test func aTakenPortIsAnErrorThatSaysSo() async throws {
    try await withServer { server in
      let error = #expect(throws: SocketError.self) {
        _ = try HTTPServer(port: server.port) { _ in .text(200, "") }
      }
      #expect(error?.call == "bind")
    }
  }

  @Test func hundredsOfConnectionsLeaveNoDescriptorBehind() async throws {
    let server = try HTTPServer(handler: Self.echo)
    for _ in 0..<200 {
      let client = try LoopbackClient(port: server.port)
      client.send("GET / HTTP/1.1\r\n\r\n")
      _ = client.readReply()
    }
    #expect(openSockets(localPort: server.port) > 0)
    await server.stop()
    #expect(openSockets(localPort: server.port) == 0)
  }
}
