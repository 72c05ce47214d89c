import Foundation
import ReliabilityTestSupport
import Testing

@testable import ReliabilityExampleSupport

/// The plain client against answers of every form.
///
/// Real sockets, so real time.
@Suite(.realTime, .timeLimit(.minutes(10))) struct RealTimeHTTPFetchTests {
  /// Serves exactly these bytes to one client, then closes; gives back what the client made of them.
  private func fetch(
    _ answer: String
  ) async throws -> (status: Int?, body: String, failure: HTTPFetch.Failure?) {
    let listener = try Socket.listen(port: 0)
    defer { listener.close() }
    return await withCheckedContinuation { continuation in
      Thread.detachNewThread {
        guard let socket = listener.accept() else { return }
        _ = unsafe withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) {
          unsafe socket.receive(into: $0)
        }
        var answer = answer
        _ = answer.withUTF8 { unsafe socket.send(UnsafeRawBufferPointer($0)) }
        socket.close()
      }
      Thread.detachNewThread {
        let fetch = HTTPFetch(host: "127.0.0.1", port: listener.port, target: "/", headers: [])
        var (status, body): (Int?, [UInt8]) = (nil, [])
        var failure: HTTPFetch.Failure?
        do throws(HTTPFetch.Failure) {
          unsafe try fetch.run {
            status = $0.status
          } onBytes: { bytes in
            unsafe body.append(contentsOf: bytes)
          }
        } catch {
          failure = error
        }
        continuation.resume(returning: (status, String(decoding: body, as: UTF8.self), failure))
      }
    }
  }

  @Test(arguments: [
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloworld", "hello"),
    ("HTTP/1.1 200 OK\r\n\r\nhello", "hello"),
    ("HTTP/1.0 200 OK\n\nhello", "hello"),
    ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "short"),
    (
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n9\r\n, "
        + "worlds!\r\n0\r\nTrailer: x\r\n\r\n", "hello, worlds!"
    ),
  ])
  func bodiesAreReadInEveryFraming(answer: String, body: String) async throws {
    let result = try await fetch(answer)
    #expect(result.status == 200)
    #expect(result.body == body)
    #expect(result.failure == nil)
  }

  @Test(
    arguments: [
      ("", .closedBeforeAnswer), ("HTTP/1.1 200", .notHTTP), ("SSH-2.0-OpenSSH\r\n\r\n", .notHTTP),
      ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", .notHTTP),
      ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", .notHTTP),
      ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello", .notHTTP),
      ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", .endedEarly),
      ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", .endedEarly),
      ("HTTP/1.1 200 OK\r\nA: " + String(repeating: "x", count: 100_000), .notHTTP),
      (String(repeating: "A: b\r\n", count: 20_000), .notHTTP),
    ] as [(String, HTTPFetch.Failure)])
  func brokenAnswersAreNamed(answer: String, failure: HTTPFetch.Failure) async throws {
    #expect(try await fetch(answer).failure == failure)
  }

  @Test func aPortWhereNobodyListensIsRefused() throws {
    let listener = try Socket.listen(port: 0)
    let port = listener.port
    listener.close()
    let fetch = HTTPFetch(host: "127.0.0.1", port: port, target: "/", headers: [])
    let failure = #expect(throws: HTTPFetch.Failure.self) {
      unsafe try fetch.run { _ in
      } onBytes: { _ in
      }
    }
    #expect(failure?.description == "connect: Connection refused")
  }

  @Test func aFetchCancelledBeforeItsStartDoesNotConnect() throws {
    let fetch = HTTPFetch(host: "127.0.0.1", port: 1, target: "/", headers: [])
    fetch.cancel()
    #expect(throws: HTTPFetch.Failure.socket(.cancelled)) {
      unsafe try fetch.run { _ in
      } onBytes: { _ in
      }
    }
  }

  @Test func cancellingEndsAReadThatWaits() async throws {
    let server = try HTTPServer { _ in
      HTTPReply(
        status: 200, body: .bytes([1, 2, 3, 4]), fault: .stall(after: 2, for: .seconds(600)))
    }
    let fetch = HTTPFetch(host: "127.0.0.1", port: server.port, target: "/", headers: [])
    let start = ContinuousClock.now
    await withCheckedContinuation { continuation in
      Thread.detachNewThread {
        try? unsafe fetch.run { _ in
        } onBytes: { _ in
          fetch.cancel()
        }
        continuation.resume()
      }
    }
    #expect(ContinuousClock.now - start < .seconds(300))
    await server.stop()
    #expect(openSockets(localPort: server.port) == 0)
  }
}
