import Foundation
import Reliability
import ReliabilityExampleSupport
import ReliabilityTestSupport
import Testing

/// `downloader serve`, the built program, as its clients meet it.
@Suite(.realTime, .timeLimit(.minutes(10)), .enabled(if: Command.exists))
struct RealTimeServeTests {
  /// A server of files, for as long as the body runs.
  private func withOrigin(
    _ handler: @escaping HTTPServer.Handler = { .text(200, "content of \($0.path)") },
    _ body: (String) async throws -> Void
  ) async throws {
    let origin = try HTTPServer(handler: handler)
    do { try await body("http://127.0.0.1:\(origin.port)") } catch {
      await origin.stop()
      throw error
    }
    await origin.stop()
  }

  private static let promtool = ["/usr/bin/promtool", "/usr/local/bin/promtool"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  /// By the judge that Prometheus brings along; the strict parser of the metrics' own tests needs nothing.
  @Test(.enabled(if: promtool != nil, "needs promtool of Prometheus"))
  func promtoolAcceptsTheMetrics() async throws {
    try await withOrigin { origin in
      let service = try await Service(["--allow-private"])
      let body = #"{"url":"\#(origin)/a.txt"}"#
      let job = try await service.send("POST", "/api/v1/analysis", body: body).json()
      _ = try await service.wait(for: try #require(job["id"] as? String), ["completed"])
      let metrics = try await service.get("/metrics")
      #expect(metrics.status == 200)
      try service.directory.write(metrics.body, to: "metrics")
      let verdict = await
        (try Command(
          [
            "-c",
            "\(try #require(Self.promtool)) check metrics <'\(service.directory.file("metrics"))'",
          ],
          program: "/bin/sh")).wait()
      #expect(verdict.status == 0, "\(verdict.output) \(verdict.error)")
      #expect(await service.stop().status == 0)
    }
  }

  @Test func aJobIsTakenDoneAndShown() async throws {
    try await withOrigin { origin in
      let service = try await Service(["--allow-private"])
      let answer = try await service.send(
        "POST", "/api/v1/analysis",
        body: #"{"url":"\#(origin)/a.txt","priority":"high","task_id":"mine"}"#)
      #expect(answer.status == 202)
      let job = try answer.json()
      let id = try #require(job["id"] as? String)
      #expect(answer.field("Location") == "/api/v1/jobs/\(id)")
      #expect(job["task_id"] as? String == "mine" && job["priority"] as? String == "high")
      #expect(job["url"] as? String == "\(origin)/a.txt")
      let done = try await service.wait(for: id, ["completed"])
      #expect(done["attempts"] as? Int == 0 && done["ended_at"] is String)
      #expect(service.directory.read("files/a.txt") == "content of /a.txt")
      #expect(try await service.send("DELETE", "/api/v1/jobs/\(id)").status == 409)
      let old = try await service.send(
        "POST", "/api/v1/analyze", body: #"{"url":"\#(origin)/b.txt"}"#)
      #expect(old.status == 202 && old.field("Deprecation")?.hasPrefix("@") == true)
      #expect(old.field("Link") == "</api/v1/analysis>; rel=\"successor-version\"")
      #expect(await service.stop().status == 0)
    }
  }

  @Test func everyDocumentOfFiguresHasExactlyItsMembers() async throws {
    try await withOrigin { origin in
      let service = try await Service(["--allow-private"])
      let id = try await service.enqueue("\(origin)/a")
      _ = try await service.wait(for: id, ["completed"])
      func members(_ value: Any?, _ prefix: String = "") -> Set<String> {
        guard let object = value as? [String: Any] else { return [prefix] }
        return object.reduce(into: []) { all, member in
          all.formUnion(
            members(member.value, prefix.isEmpty ? member.key : "\(prefix).\(member.key)"))
        }
      }
      func document(_ name: String) async throws -> [String: Any] {
        let answer = try await service.get("/api/metrics/\(name)")
        #expect(answer.status == 200 && answer.field("Content-Type") == "application/json")
        return try answer.json()
      }
      let queue = try await document("queue")
      #expect(
        members(queue) == [
          "active_downloads", "queued_tasks", "status_breakdown.completed",
          "status_breakdown.downloading", "status_breakdown.failed", "capacity_usage",
        ])
      #expect(queue["capacity_usage"] as? String == "0.0%")
      #expect((queue["status_breakdown"] as? [String: Int])?["completed"] == 1)
      let worker = try await document("worker")
      #expect(
        members(worker) == [
          "worker.running", "worker.tasks_processed", "worker.tasks_succeeded",
          "worker.tasks_failed", "worker.success_rate", "worker.average_duration", "worker.uptime",
        ])
      let figures = try #require(worker["worker"] as? [String: Any])
      #expect(figures["success_rate"] as? Double == 100 && figures["running"] as? Bool == true)
      #expect(
        members(try await document("jobs")) == [
          "queue.active", "queue.queued", "queue.completed", "queue.failed", "queue.capacity_used",
        ])
      let system = try await document("system")
      let states = JobState.allCases.map { "tasks.breakdown.\($0.rawValue)" }
      #expect(
        members(system)
          == Set(
            [
              "queue.active", "queue.queued", "worker.running", "worker.success_rate",
              "jobs.active",
              "jobs.queued", "jobs.completed", "tasks.total",
            ] + states))
      #expect((system["worker"] as? [String: Any])?["success_rate"] as? String == "100.0%")
      let performance = try await document("performance?time_window=3600")
      #expect(
        members(performance) == [
          "performance.average_task_duration", "performance.success_rate",
          "performance.tasks_per_hour", "performance.uptime_hours", "health.error_count",
          "health.last_error",
        ])
      let average = (performance["performance"] as? [String: Any])?["average_task_duration"]
      #expect((average as? String)?.hasSuffix("s") == true)
      for window in ["0", "x", "-1", "99999999"] {
        #expect(
          try await service.get("/api/metrics/performance?time_window=\(window)").status == 400)
      }
      #expect(try await service.get("/api/metrics/none").status == 404)
      _ = await service.stop()
    }
  }

  private static let refused: [(String, String, String, Int, String)] = [
    ("POST", "/api/v1/analysis", "", 400, "JSON"),
    ("POST", "/api/v1/analysis", "[]", 400, ""),
    ("POST", "/api/v1/analysis", "{}", 400, "url is missing"),
    ("POST", "/api/v1/analysis", #"{"url":7}"#, 400, "url has the wrong type"),
    ("POST", "/api/v1/analysis", #"{"url":"nonsense"}"#, 400, "is not a URL"),
    ("POST", "/api/v1/analysis", #"{"url":"ftp://a/b"}"#, 400, "http"),
    ("POST", "/api/v1/analysis", #"{"url":"http://example.org/..%2fx"}"#, 400, "leave"),
    (
      "POST", "/api/v1/analysis", #"{"url":"http://1.1.1.1/a","priority":"urgent"}"#, 400,
      "priority"
    ),
    ("POST", "/api/v1/analysis", #"{"url":"http://1.1.1.1/a","task_id":""}"#, 400, "task_id"),
    ("POST", "/api/v1/analysis", #"{"url":"http://2130706433/a"}"#, 400, "reserved"),
    ("POST", "/api/v1/analysis", #"{"url":"http://[::ffff:10.0.0.1]/a"}"#, 400, "reserved"),
    ("POST", "/api/v1/analysis", #"{"url":"http://localhost/a"}"#, 400, "reserved"),
    ("GET", "/api/v1/jobs/9999", "", 404, "job"), ("GET", "/api/v1/jobs/x", "", 404, "job"),
    ("DELETE", "/api/v1/jobs/9999", "", 404, "job"), ("PUT", "/", "", 405, "not allowed"),
    ("GET", "/api/v1/analysis", "", 405, "not allowed"), ("GET", "/../etc/passwd", "", 404, ""),
    ("GET", "/api/v1/dead-letters/77", "", 404, "dead letter"), ("GET", "/nothing", "", 404, ""),
  ]

  @Test func whatCannotBeDoneIsAProblemDocument() async throws {
    let service = try await Service()
    for (method, target, body, status, word) in Self.refused {
      let answer = try await service.send(method, target, body: body)
      #expect(answer.status == status, "\(answer)")
      #expect(answer.field("Content-Type") == "application/problem+json")
      let problem = try answer.json()
      #expect(problem["status"] as? Int == status)
      for member in ["type", "title", "detail", "category"] {
        #expect((problem[member] as? String)?.isEmpty == false, "\(member)")
      }
      #expect(word.isEmpty || answer.body.contains(word), "\(answer.body)")
    }
    #expect(await service.stop().status == 0)
  }

  @Test func oneClientMayNotAskAllTheTime() async throws {
    let service = try await Service(["RATE_LIMIT_PER_MINUTE=60", "RATE_LIMIT_BURST=10"])
    var statuses: [Int] = []
    var wait: String?
    for _ in 0..<40 {
      let answer = try await service.get("/api/metrics/queue")
      statuses.append(answer.status)
      if answer.status == 429 { wait = answer.field("Retry-After") }
    }
    #expect(statuses.prefix(10).allSatisfy { $0 == 200 })
    #expect(statuses.contains(429))
    #expect((wait.flatMap { Int($0) } ?? 0) >= 1)
    #expect(try await service.get("/health/live").status == 200)
    #expect(try await service.get("/metrics").status == 200)
    _ = await service.stop()
  }

  @Test func aTokenIsAskedForEverywhereButByProbes() async throws {
    let directory = ScratchDirectory()
    try directory.write("a-secret-of-some-length\n", to: "token")
    let service = try await Service(["--token-file", directory.file("token")], in: directory)
    for target in ["/api/metrics/queue", "/metrics", "/api/v1/jobs/1", "/api/v1/status"] {
      let answer = try await service.get(target)
      #expect(answer.status == 401 && answer.field("WWW-Authenticate") == "Bearer")
      let field = "Authorization: Bearer a-secret-of-some-length"
      #expect(try await service.send("GET", target, fields: [field]).status != 401)
    }
    for target in ["/health/live", "/health/ready", "/"] {
      #expect(try await service.get(target).status != 401)
    }
    _ = await service.stop()
  }

  @Test func pagesOfOtherSitesAreTurnedAway() async throws {
    let service = try await Service()
    let body = #"{"url":"http://1.1.1.1/a"}"#
    let other = try await service.send(
      "POST", "/api/v1/analysis", body: body, fields: ["Origin: https://evil.example"])
    #expect(other.status == 403)
    let port = service.port
    let rebound = try await withCheckedThrowingContinuation { continuation in
      _ = BlockingThread {
        continuation.resume(
          with: Result {
            let client = try LoopbackClient(port: port)
            client.send("GET /api/v1/status HTTP/1.1\r\nHost: evil.example:\(port)\r\n\r\n")
            return client.readReply().head
          })
      }
    }
    #expect(rebound.hasPrefix("HTTP/1.1 421"))
    _ = await service.stop()
  }

  @Test func aRunningDownloadIsCancelledForGood() async throws {
    let stall: HTTPServer.Handler = { _ in
      HTTPReply(
        status: 200, body: .bytes(Array(repeating: 1, count: 1000)),
        fault: .stall(after: 10, for: .seconds(600)))
    }
    try await withOrigin(stall) { origin in
      let service = try await Service(["--allow-private", "--stall", "600"])
      let id = try await service.enqueue("\(origin)/slow")
      _ = try await service.wait(for: id, ["running"])
      let answer = try await service.send("DELETE", "/api/v1/jobs/\(id)")
      #expect(answer.status == 200)
      #expect(try answer.json()["state"] as? String == "cancelled")
      #expect(await service.stop().status == 0)
      #expect(service.directory.names(in: "files").filter { $0.contains("slow") } == [])
    }
  }

  @Test func withThePolicyOfServeNothingIsFetchedFromLoopback() async throws {
    let hits = Tally()
    try await withOrigin({ _ in
      hits.next()
      return .text(200, "secret")
    }) { origin in
      let url = try #require(URL(string: "\(origin)/x"))
      await #expect(throws: AddressBook.Failure.self) {
        _ = try await HTTPFetch.prepared(
          host: "127.0.0.1", port: UInt16(url.port ?? 0), target: "/x", headers: [],
          policy: .publicOnly, silence: .seconds(5))
      }
      #expect(hits.value == 0)
    }
  }
}
