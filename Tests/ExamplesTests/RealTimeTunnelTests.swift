import Foundation
import ReliabilityTestSupport
import Testing

@testable import ReliabilityExampleSupport

/// The tunnel that https of a guarded process goes through.
@Suite(.realTime, .timeLimit(.minutes(10)), .offThePool) struct RealTimeTunnelTests {
  private func port(of tunnel: GuardedTunnel) throws -> UInt16 {
    try #require(URL(string: tunnel.proxyURL)?.port.flatMap { UInt16($0) })
  }

  private func secret(of tunnel: GuardedTunnel) throws -> String {
    let url = try #require(URL(string: tunnel.proxyURL))
    return Data("\(url.user ?? ""):\(url.password ?? "")".utf8).base64EncodedString()
  }

  private func head(_ authority: String, _ secret: String?) -> String {
    "CONNECT \(authority) HTTP/1.1\r\nHost: \(authority)\r\n"
      + (secret.map { "Proxy-Authorization: Basic \($0)\r\n" } ?? "") + "\r\n"
  }

  @Test func whoDoesNotKnowTheSecretGetsNowhere() throws {
    let tunnel = try GuardedTunnel(.any)
    defer { tunnel.stop() }
    for secret in [nil, "", "dHVubmVsOng="] {
      let client = try LoopbackClient(port: port(of: tunnel))
      client.send(head("127.0.0.1:9", secret))
      #expect(client.readToEnd().text.hasPrefix("HTTP/1.1 407 "))
    }
  }

  @Test(arguments: ["127.0.0.1", "localhost", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "0"])
  func aReservedAddressIsNotConnectedTo(host: String) async throws {
    let hits = Tally()
    let server = try HTTPServer { _ in
      hits.next()
      return .text(200, "secret")
    }
    let tunnel = try GuardedTunnel(.publicOnly)
    let client = try LoopbackClient(port: port(of: tunnel))
    client.send(head("\(host):\(server.port)", try secret(of: tunnel)))
    #expect(client.readToEnd().text.hasPrefix("HTTP/1.1 403 "))
    tunnel.stop()
    await server.stop()
    #expect(hits.value == 0)
  }

  @Test func whatIsAllowedIsPassedOnInBothDirections() async throws {
    let server = try HTTPServer { .text(200, "you asked for \($0.path)") }
    let tunnel = try GuardedTunnel(.any)
    let client = try LoopbackClient(port: port(of: tunnel))
    client.send(head("127.0.0.1:\(server.port)", try secret(of: tunnel)))
    #expect(client.readReply(hasBody: false).head.hasPrefix("HTTP/1.1 200 "))
    client.send("GET /through HTTP/1.1\r\nConnection: close\r\n\r\n")
    #expect(client.readReply().body == "you asked for /through")
    tunnel.stop()
    await server.stop()
  }

  @Test(arguments: ["GET / HTTP/1.1\r\n\r\n", "CONNECT nonsense HTTP/1.1\r\n\r\n", "\r\n\r\n"])
  func whatIsNoConnectIsRefused(request: String) throws {
    let tunnel = try GuardedTunnel(.any)
    defer { tunnel.stop() }
    let client = try LoopbackClient(port: port(of: tunnel))
    client.send(request)
    #expect(client.readToEnd().text.hasPrefix("HTTP/1.1 400 "))
  }
}
