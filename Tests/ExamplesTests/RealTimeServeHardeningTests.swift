import Foundation
import Reliability
import ReliabilityExampleSupport
import ReliabilityTestSupport
import Testing

/// The HTTP side of `downloader serve` against clients that mean no good.
///
/// Every test ends with an ordinary request that is answered.
@Suite(.realTime, .timeLimit(.minutes(10)), .enabled(if: Command.exists), .serialized)
struct RealTimeServeHardeningTests {
  /// Runs a body that blocks, with a client, on a thread of its own.
  private func withClient<Value: Sendable>(
    of service: Service, _ body: @escaping @Sendable (LoopbackClient) throws -> Value
  ) async throws -> Value {
    let port = service.port
    return try await withCheckedThrowingContinuation { continuation in
      _ = BlockingThread {
        continuation.resume(with: Result { try body(try LoopbackClient(port: port)) })
      }
    }
  }

  private func withService(_ body: (Service) async throws -> Void) async throws {
    let service = try await Service()
    try await body(service)
    #expect(try await service.get("/health/live").status == 200)
    #expect(await service.stop().status == 0)
  }

  @Test func nonsenseOfEveryKindIsRefusedAndOthersAreServed() async throws {
    try await withService { service in
      let long = String(repeating: "x", count: 100_000)
      let requests: [(String, [Int])] = [
        ("\r\n\r\n", [400]), ("hello\r\n\r\n", [400]), ("GET / HTTP/9.9\r\n\r\n", [505]),
        ("GET /\0 HTTP/1.1\r\n\r\n", [400]), ("GET  / HTTP/1.1\r\n\r\n", [400]),
        ("G\u{e9}T / HTTP/1.1\r\n\r\n", [400]), ("GET / HTTP/1.1\r\nA b: c\r\n\r\n", [400]),
        ("GET / HTTP/1.1\r\n: c\r\n\r\n", [400]), ("GET /\(long) HTTP/1.1\r\n\r\n", [431]),
        ("GET / HTTP/1.1\r\nA: \(long)\r\n\r\n", [431]), (long, [431]),
        ("POST /api/v1/analysis HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", [413]),
        ("POST /api/v1/analysis HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", [413]),
        ("POST /api/v1/analysis HTTP/1.1\r\nContent-Length: -1\r\n\r\n", [400]),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", [400]),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", [501]),
        ("GET /..%2f..%2fetc/passwd HTTP/1.1\r\nConnection: close\r\n\r\n", [404]),
        ("GET //etc/passwd HTTP/1.1\r\nConnection: close\r\n\r\n", [404]),
        ("OPTIONS * HTTP/1.1\r\nConnection: close\r\n\r\n", [404]),
      ]
      for (request, statuses) in requests {
        let text = try await withClient(of: service) { client in
          client.send(request)
          return client.readToEnd().text
        }
        let status = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        #expect(statuses.contains(status), "\(request.prefix(60)): \(text.prefix(80))")
      }
    }
  }

  @Test func truncatedRequestsEndTheirConnectionOnly() async throws {
    try await withService { service in
      for text in [
        "", "GET", "GET / HTTP/1.1\r\nHost: x", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab",
      ] {
        let end = try await withClient(of: service) { client in
          client.send(text)
          client.finish()
          return client.readToEnd().end
        }
        #expect(end == .orderly)
      }
    }
  }

  @Test func aHeadThatComesByDropsIsGivenUp() async throws {
    try await withService { service in
      // One byte now and then would keep an idle limit alive for ever.
      let text = try await withClient(of: service) { client in
        client.send("GET / HTTP/1.1\r\n")
        for _ in 0..<1000 {
          client.send("A")
          usleep(100_000)
          if client.hasEnded { break }
        }
        return client.readToEnd().text
      }
      #expect(text.isEmpty || text.hasPrefix("HTTP/1.1 408 "), "\(text.prefix(80))")
    }
  }

  @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
    try await withService { service in
      let statuses = try await withClient(of: service) { client in
        let one = "GET /api/v1/jobs/1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        let two = "GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        client.send(String(repeating: one + two, count: 20))
        return (0..<40).map { _ in client.readReply().head.split(separator: " ")[1] }
      }
      #expect(statuses == (0..<40).map { $0 % 2 == 0 ? "404" : "200" })
    }
  }

  @Test func twoHundredConnectionsAtOnceLeaveNothingBehind() async throws {
    try await withService { service in
      let before = service.descriptors
      let port = service.port
      let served: (answered: Int, refused: Int, closed: Int) =
        try await withCheckedThrowingContinuation { continuation in
          _ = BlockingThread {
            continuation.resume(
              with: Result {
                let clients = try (0..<200).map { _ in try LoopbackClient(port: port) }
                for client in clients {
                  client.send("GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n")
                }
                var result = (0, 0, 0)
                for client in clients {
                  let text = client.readToEnd().text
                  if text.hasPrefix("HTTP/1.1 200") {
                    result.0 += 1
                  } else if text.hasPrefix("HTTP/1.1 503") {
                    result.1 += 1
                  } else {
                    result.2 += 1
                  }
                }
                return result
              })
          }
        }
      #expect(served.answered >= 100, "\(served)")
      #expect(served.answered + served.refused + served.closed == 200)
      try await until { service.descriptors <= before + 4 }
      #expect(try await service.get("/health/ready").status == 200)
    }
  }
}

extension Service {
  /// How many descriptors the process has open.
  var descriptors: Int {
    let names = try? FileManager.default.contentsOfDirectory(
      atPath: "/proc/\(command.processIdentifier)/fd")
    return names?.count ?? 0
  }
}
