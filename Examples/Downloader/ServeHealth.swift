internal import Reliability
internal import ReliabilityExampleSupport

/// How the service is, for probes.
final class ServeHealth: Sendable {
  let source: (any MetricsSource)? = nil

  init(_ downloads: DownloadQueue, _ options: ServeOptions) {}

  func run() async {}

  func reply(to request: HTTPRequest) -> HTTPReply {
    HTTPReply(
      status: 200, headers: [HTTPField("Content-Type", "application/health+json")],
      body: .bytes(Array(#"{"status":"pass"}"#.utf8)))
  }
}
