internal import Foundation
internal import FoundationNetworking
internal import Reliability
internal import ReliabilityExampleSupport

/// Times the answers of a service's probes while its workers are busy.
struct Latency {
  /// `http://127.0.0.1:PORT` of `downloader serve`.
  let service: String
  /// The same of a server whose files never end.
  let origin: String

  /// Keeps twenty workers busy, then asks each probe so often, on a new connection each time as a collector may.
  func measure(count: Int) async throws {
    for number in 0..<20 { try await enqueue("\(origin)/endless-\(number)") }
    var active = 0
    while active < 20 {
      try await ContinuousClock().wait(for: .milliseconds(100))
      active = try await activeDownloads()
    }
    // For the first bytes to have come everywhere.
    try await ContinuousClock().wait(for: .seconds(1))
    for target in ["/health", "/metrics"] { try await time(target, count) }
  }

  private func time(_ target: String, _ count: Int) async throws {
    let port = UInt16(URL(string: service)?.port ?? 80)
    var times: [Duration] = []
    var bytes = 0
    for _ in 0..<count {
      let (duration, length) = try await BlockingThreads.shared.run {
        let start = ContinuousClock.now
        let fetch = HTTPFetch(host: "127.0.0.1", port: port, target: target, headers: [])
        var length = 0
        var status = 0
        try unsafe fetch.run(onHead: { status = $0.status }, onBytes: { length += $0.count })
        guard status == 200 else { throw HTTPStatusError(status) }
        return (start.duration(to: .now), length)
      }
      times.append(duration)
      bytes = length
      // At a pace, so that the answers are those of a machine at its usual work.
      try await ContinuousClock().wait(for: .milliseconds(5))
    }
    times.sort()
    func milliseconds(_ duration: Duration) -> String {
      "\((duration / .microseconds(10)).rounded() / 100) ms"
    }
    let over = times.count { $0 >= .milliseconds(50) }
    print(
      "\(target): min \(milliseconds(times[0])), median \(milliseconds(times[count / 2])), "
        + "p99 \(milliseconds(times[count * 99 / 100])), slowest \(milliseconds(times[count - 1])), "
        + "\(over) of \(count) took 50 ms or more, \(bytes) bytes")
  }

  private func enqueue(_ url: String) async throws {
    guard let endpoint = URL(string: "\(service)/api/v1/analysis") else { return }
    var request = URLRequest(url: endpoint)
    request.httpMethod = "POST"
    request.httpBody = Data("{\"url\": \"\(url)\"}".utf8)
    let (_, response) = try await URLSession.shared.data(for: request)
    try HTTPStatusError.check((response as? HTTPURLResponse)?.statusCode ?? 0, retryAfter: nil)
  }

  private func activeDownloads() async throws -> Int {
    struct Queue: Decodable {
      var active_downloads: Int
    }
    guard let endpoint = URL(string: "\(service)/api/metrics/queue") else { return 0 }
    let (data, _) = try await URLSession.shared.data(from: endpoint)
    return try JSONDecoder().decode(Queue.self, from: data).active_downloads
  }
}
