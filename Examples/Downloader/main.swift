import Foundation
import FoundationNetworking
import ReliabilityExampleSupport

func rss() -> String { (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8))?.split(separator: "\n").first { $0.hasPrefix("VmHWM") }.map(String.init) ?? "?" }
let origin = try MediaOrigin(stall: .seconds(20), drip: .seconds(8))
let client = HTTPClient()
let clock = ContinuousClock()
if CommandLine.arguments.contains("serve") { print(origin.url(of: origin.items[0])); try await Task.sleep(for: .seconds(1000)) }
for item in origin.items where !item.faults.isEmpty {
  let url = URL(string: origin.url(of: item))!
  for round in 0..<3 {
    let t = clock.now
    var n = 0
    var digest = SHA256()
    let task = Task { () async throws -> (Int, String) in
      var n = 0; var digest = SHA256()
      do {
      try await client.withResponse(from: url) { r, x in
        print("  ", r.statusCode, r.value(forHTTPHeaderField: "Retry-After") ?? "", r.expectedContentLength)
        while let p = try await x.next() { n += p.count; p.withUnsafeBytes { unsafe digest.update($0) } }
      } } catch { print("   error", type(of: error), error, "after", n) }
      return (n, digest.hexadecimal)
    }
    let timer = Task { try await Task.sleep(for: .seconds(1)); task.cancel() }
    (n, _) = try await task.value; timer.cancel()
    let d = try await task.value.1
    print(item.file.name, item.file.byteCount, item.faults, "round", round, n, d == item.file.sha256(), clock.now - t)
  }
}
print(origin.faultsMet)
// backpressure
struct Big: Sendable {}
let big = try HTTPServer { _ in HTTPReply(status: 200, body: HTTPBody(count: 400_000_000) { _, b in }) }
print(rss())
try await client.withResponse(from: URL(string: "http://127.0.0.1:\(big.port)/")!) { r, x in
  var n = 0
  while let p = try await x.next() { n += p.count; if n < 100_000_000 { usleep(500) } }
  print("big", n)
}
print(rss())
await origin.stop(); await big.stop()
print("stopped")
