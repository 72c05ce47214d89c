import Foundation
import ReliabilityTestSupport
import Testing

/// The program against a real https server, with a certificate that the machine knows and with one that it doesn't.
@Suite(
  .realTime, .serialized, .timeLimit(.minutes(10)),
  .enabled(if: SecureOrigin.isPossible && Command.exists, "needs root, openssl and unshare"))
struct RealTimeSecureTests {
  @Test func filesArriveOverAConnectionWhoseCertificateIsKnown() async throws {
    let origin = try await SecureOrigin()
    let result = await origin.download(trusting: true)
    #expect(result.status == 0, "\(result.error)")
    #expect(origin.fetched == origin.content)
  }

  @Test func aCertificateThatNobodyVouchesForIsRefusedAtOnceAndInWords() async throws {
    let origin = try await SecureOrigin()
    let result = await origin.download(trusting: false)
    #expect(result.status == 1)
    let summary = try Command.json(result.output)
    #expect(summary["retries"] as? Int == 0)
    #expect(summary["orphaned_temp_files"] as? Int == 0)
    #expect(result.error.contains("certificate problem"), "\(result.error)")
    #expect(!result.error.contains("NSErrorFailingURL"), "\(result.error)")
    #expect(origin.fetched == nil)
  }
}

/// A server of `openssl`, with one file and a certificate of its own.
final class SecureOrigin: Sendable {
  let content = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
  private let scratch = ScratchDirectory()
  private let server: Command
  private let port: Int

  private static let bundle = "/etc/ssl/certs/ca-certificates.crt"

  static var isPossible: Bool {
    getuid() == 0
      && ["/usr/bin/openssl", "/usr/bin/unshare", bundle].allSatisfy {
        FileManager.default.fileExists(atPath: $0)
      }
  }

  init() async throws {
    try scratch.write(content, to: "file.bin")
    let made = await
      (try Command(
        [
          "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", scratch.file("key.pem"),
          "-out", scratch.file("cert.pem"), "-days", "2", "-subj", "/CN=localhost", "-addext",
          "subjectAltName=DNS:localhost",
        ], program: "/usr/bin/openssl"
      )).wait()
    try #require(made.status == 0, "\(made.error)")
    let script = """
      cd "$0" && exec openssl s_server -accept 127.0.0.1:0 -cert cert.pem -key key.pem -WWW
      """
    server = try Command(["-c", script, scratch.path], program: "/bin/sh")
    // It says "ACCEPT 127.0.0.1:40123".
    let server = server
    try await until { server.outputSoFar.contains("ACCEPT 127.0.0.1:") }
    let said = try #require(server.outputSoFar.firstMatch(of: /ACCEPT 127\.0\.0\.1:(\d+)/))
    port = try #require(Int(said.1))
  }

  /// What has arrived, `nil` when nothing has.
  var fetched: [UInt8]? { scratch.readBytes("out/file.bin") }

  /// Runs the program in a mount namespace of its own, where the server's certificate is all that the machine knows.
  func download(trusting: Bool) async -> Command.Result {
    let script = """
      if [ "$1" = yes ]; then mount --bind "$0/cert.pem" \(Self.bundle) || exit 99; fi
      exec "$2" "$3" --output "$0/out" --json --attempts 3
      """
    do {
      return await
        (try Command(
          [
            "-m", "/bin/sh", "-c", script, scratch.path, trusting ? "yes" : "no", Command.path,
            "https://localhost:\(port)/file.bin",
          ], program: "/usr/bin/unshare"
        )).wait()
    } catch {
      return Command.Result(status: -1, output: "", error: "\(error)")
    }
  }
}
