import Dispatch
import Foundation
import Reliability
import ReliabilityTestSupport
import Testing

@testable import ReliabilityDownloader
@testable import ReliabilityExampleSupport

/// Servers that answer what honest ones never would: real sockets, so real time.
@Suite(.realTime, .timeLimit(.minutes(10))) struct RealTimeHostileServerTests {
  let directory = ScratchDirectory()

  init() { ErrorClassifier.installFoundationRules() }

  private func transfer(
    _ url: String, _ method: BuiltInTransfer = BuiltInTransfer(),
    progress: @escaping @Sendable (Int, Int?) -> Void = { _, _ in }
  ) throws -> any FileTransfer {
    method.transfer(
      of: try DownloadPlan.item(url), to: directory.file("file"), progress: progress)
  }

  /// Sends each client one of these texts, in turn, and keeps the connection open until told.
  private func serve(
    _ answers: [String], until release: DispatchSemaphore? = nil
  ) throws -> Socket {
    let listener = try Socket.listen(port: 0)
    Thread.detachNewThread {
      for answer in answers {
        guard let socket = listener.accept() else { return }
        _ = unsafe withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) {
          unsafe socket.receive(into: $0)
        }
        var answer = answer
        _ = answer.withUTF8 { unsafe socket.send(UnsafeRawBufferPointer($0)) }
        release?.wait()
        socket.close()
      }
    }
    return listener
  }

  @Test func aBodyThatEndsWithTheConnectionIsNotCompleteWhenItWasCancelled() async throws {
    let release = DispatchSemaphore(value: 0)
    let listener = try serve(["HTTP/1.1 200 OK\r\n\r\nonly the beginning"], until: release)
    let received = Log<Int>()
    let transfer = try transfer("http://127.0.0.1:\(listener.port)/file") { bytes, total in
      #expect(total == nil)
      if bytes > 0 { received.append(bytes) }
    }
    let attempt = Task { try await transfer.attempt() }
    try await until { received.count > 0 }
    attempt.cancel()
    // To the reader the end of a connection that was shut down is the end of such a body.
    await #expect(throws: CancellationError.self) { try await attempt.value }
    release.signal()
    listener.shutDown()
    listener.close()
    #expect(!directory.names.contains("file"))
  }

  @Test(arguments: [
    "Content-Range: bytes 5-9223372036854775806/*\r\nContent-Length: 9223372036854775807",
    "Content-Range: bytes 5-9223372036854775806/9223372036854775807\r\nContent-Length: 3",
    "Content-Range: bytes 5-7/-9223372036854775808\r\nContent-Length: 3",
    "Content-Range: bytes 5-7/99999999999999999999999999\r\nContent-Length: 3",
    "Content-Range: bytes 9223372036854775807-9223372036854775807/*\r\nContent-Length: 3",
    "Content-Range: bytes -5-7/8\r\nContent-Length: 3",
    "Content-Range: bytes 5-7/2\r\nContent-Length: 3",
  ])
  func lengthsThatOverflowAreRefusedOrCounted(fields: String) async throws {
    let listener = try serve([
      "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 8\r\nConnection: close\r\n\r\nabcde",
      "HTTP/1.1 206 Partial Content\r\nETag: \"1\"\r\nConnection: close\r\n\(fields)\r\n\r\nfgh",
    ])
    let transfer = try transfer("http://127.0.0.1:\(listener.port)/file")
    await #expect(throws: (any Error).self) { try await transfer.attempt() }
    do {
      // Where the total is nonsense the bytes that were promised may still be all there.
      try await transfer.attempt()
      #expect(transfer.outcome.bytes == 8)
    } catch {
      #expect(error is any ClassifiedError, "\(error)")
    }
    listener.shutDown()
    listener.close()
  }

  @Test(arguments: ["127.0.0.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "localhost"])
  func aRedirectFromAPublicToAPrivateAddressIsNotFollowed(place: String) async throws {
    let hits = Tally()
    let inner = try HTTPServer { _ in
      hits.next()
      return .text(200, "secret")
    }
    let target = "http://\(place):\(inner.port)/secret"
    let outer = try HTTPServer { _ in
      .text(302, "", headers: [HTTPField("Location", target)])
    }
    // A stand-in for a server on the Internet: the first address is allowed, what it leads to is judged as always.
    var method = BuiltInTransfer()
    method.policy = .publicOnly
    method.book = AddressBook(known: ["public.example": ["127.0.0.1"]])
    let transfer = try transfer("http://public.example:\(outer.port)/file", method)
    let error = await failure { try await transfer.attempt() }
    #expect(error?.underlying(as: AddressBook.Failure.self) != nil, "\(String(describing: error))")
    #expect(hits.value == 0)

    // The same without the policy: it is the check that refuses.
    method.policy = .any
    let trusting = try self.transfer("http://public.example:\(outer.port)/file", method)
    if place != "[::1]" {
      try await trusting.attempt()
      #expect(hits.value == 1)
    }
    await inner.stop()
    await outer.stop()
  }
}
