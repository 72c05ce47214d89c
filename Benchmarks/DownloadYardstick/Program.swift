internal import Foundation
internal import FoundationNetworking
internal import Reliability
internal import ReliabilityExampleSupport

/// What `compare-downloader` needs beside the downloader: a server of small files, and the bare loop to compare with.
///
///     yardstick serve BYTES PORT-FILE          serves every path until it is terminated
///     yardstick bare PORT FILES WORKERS DIR    URLSession.download in a loop, moved into place
@main enum Yardstick {
  static func main() async throws {
    let words = CommandLine.arguments
    switch words.dropFirst().first {
    case "serve": try await serve(bytes: Int(words[2]) ?? 20_000, portFile: words[3])
    case "bare":
      try await bare(
        port: words[2], files: Int(words[3]) ?? 500, workers: Int(words[4]) ?? 20,
        directory: words[5])
    default: print("usage: yardstick serve BYTES PORT-FILE | bare PORT FILES WORKERS DIR")
    }
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
