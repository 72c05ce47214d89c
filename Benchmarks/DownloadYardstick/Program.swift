internal import Foundation
internal import FoundationNetworking
internal import Reliability
internal import ReliabilityExampleSupport

/// What `compare-downloader` and `serve-latency` need beside the downloader: servers, a bare loop to compare with, a stop watch.
///
///     yardstick serve BYTES PORT-FILE          serves every path until it is terminated
///     yardstick bare PORT FILES WORKERS DIR    URLSession.download in a loop, moved into place
///     yardstick drip RATE PORT-FILE            serves every path for hours, RATE bytes a second
///     yardstick latency SERVICE ORIGIN COUNT   times a service's probes while all its workers are busy
@main enum Yardstick {
  static func main() async throws {
    let words = CommandLine.arguments
    switch words.dropFirst().first {
    case "serve": try await serve(bytes: Int(words[2]) ?? 20_000, portFile: words[3])
    case "bare":
      try await bare(
        port: words[2], files: Int(words[3]) ?? 500, workers: Int(words[4]) ?? 20,
        directory: words[5])
    case "drip": try await drip(rate: Int(words[2]) ?? 1_000_000, portFile: words[3])
    case "latency":
      try await Latency(service: words[2], origin: words[3]).measure(count: Int(words[4]) ?? 200)
    default:
      print(
        "usage: yardstick serve BYTES PORT-FILE | bare PORT FILES WORKERS DIR | drip RATE PORT-FILE "
          + "| latency SERVICE ORIGIN COUNT")
    }
  }

  private static func drip(rate: Int, portFile: String) async throws {
    var limits = HTTPServer.Limits()
    limits.connections = 1024
    // Twenty pieces a second, or more and smaller ones.
    let piece = min(65_536, max(1, rate / 20))
    let fault = HTTPFault.drip(
      piece: piece, pause: .seconds(Double(piece) / Double(max(1, rate))))
    let server = try HTTPServer(limits: limits) { _ in
      HTTPReply(
        status: 200,
        body: HTTPBody(count: 1 << 40) { _, buffer in
          unsafe buffer.initializeMemory(as: UInt8.self, repeating: 7)
        }, fault: fault)
    }
    try Data("\(server.port)".utf8).write(to: URL(fileURLWithPath: portFile))
    try await ContinuousClock().wait(for: .seconds(1_000_000_000))
    await server.stop()
  }

  private static func serve(bytes: Int, portFile: String) async throws {
    let content = (0..<bytes).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    var limits = HTTPServer.Limits()
    limits.connections = 1024
    let server = try HTTPServer(limits: limits) { request in
      .file(
        .bytes(content), type: "application/octet-stream", entityTag: "\"1\"", for: request)
    }
    try Data("\(server.port)".utf8).write(to: URL(fileURLWithPath: portFile))
    // Until it is terminated.
    try await ContinuousClock().wait(for: .seconds(1_000_000_000))
    await server.stop()
  }

  private static func bare(port: String, files: Int, workers: Int, directory: String) async throws {
    let session = URLSession(configuration: .ephemeral)
    let start = ContinuousClock.now
    try await withThrowingTaskGroup(of: Void.self) { group in
      for worker in 0..<workers {
        group.addTask {
          for number in stride(from: worker, to: files, by: workers) {
            guard let url = URL(string: "http://127.0.0.1:\(port)/file-\(number)") else { continue }
            let (file, _) = try await session.download(from: url)
            try FileManager.default.moveItem(
              at: file, to: URL(fileURLWithPath: "\(directory)/file-\(number)"))
          }
        }
      }
      try await group.waitForAll()
    }
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    print(seconds)
  }
}
