import Foundation
import ReliabilityCore
import ReliabilityMetrics
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import HealthMonitoring

@Suite struct DocumentTests {
  /// One component of every status.
  private func everyStatus() async throws -> Lab {
    let gate = Gate()
    var old = HealthCheck("old:age", interval: .seconds(1)) { .pass }
    old.missedIntervals = 1
    let lab = Lab([
      HealthCheck("disk:free", scope: .process, interval: .seconds(60), componentType: "system") {
        .pass(observing: 12.5, unit: "GiB")
      },
      HealthCheck("queue", scope: .optional, interval: .seconds(60)) { .warn("long") },
      old,
      HealthCheck("mail", scope: .optional, timeout: .seconds(600)) {
        await gate.pass()
        return .pass
      },
      HealthCheck("database", interval: .seconds(60)) { throw Polite() },
      HealthCheck("plain", interval: .seconds(60)) { throw Down(number: 7) },
    ])
    let task = Task { try await lab.monitor.checkAll() }
    try await until { lab.monitor.state.withLock { $0.waiters.first?.missing.count } == 1 }
    lab.clock.advance(by: .milliseconds(6_500))
    task.cancel()
    _ = try? await task.value
    gate.open()
    return lab
  }

  private func object(_ document: HealthDocument) throws -> [String: Any] {
    try #require(
      try JSONSerialization.jsonObject(with: Data(document.bytes)) as? [String: Any])
  }

  @Test func healthJSONFollowsTheDraft() async throws {
    let report = try await everyStatus().monitor.report()
    let document = report.rendered()
    #expect(document.contentType == "application/health+json")
    #expect(document.httpStatus == 503)
    let body = try object(document)
    #expect(body["status"] as? String == "fail")
    let notes = try #require(body["notes"] as? [String])
    #expect(notes == ["database: fail (the database is down)", "plain: fail (Down)"])
    let checks = try #require(body["checks"] as? [String: [[String: Any]]])
    let disk = try #require(checks["disk:free"]?.first)
    #expect(disk["status"] as? String == "pass")
    #expect(disk["componentType"] as? String == "system")
    #expect(disk["observedValue"] as? Double == 12.5)
    #expect(disk["observedUnit"] as? String == "GiB")
    #expect(disk["time"] as? String == "2025-01-15T14:30:22Z")
    #expect(disk["ageSeconds"] as? Double == 6.5)
    #expect(disk["output"] == nil)
    #expect(checks["queue"]?.first?["status"] as? String == "warn")
    #expect(checks["queue"]?.first?["output"] as? String == "long")
    #expect(checks["old:age"]?.first?["status"] as? String == "warn")
    #expect(checks["old:age"]?.first?["state"] as? String == "stale")
    #expect(checks["mail"]?.first?["status"] as? String == "warn", "optional, nothing known")
    #expect(checks["mail"]?.first?["state"] as? String == "unknown")
    #expect(checks["database"]?.first?["status"] as? String == "fail")
  }

  @Test func documentsNeverShowTheDescriptionOfAnError() async throws {
    let report = try await everyStatus().monitor.report()
    for format in HealthFormat.allCases {
      let text = report.rendered(as: format).text
      #expect(!text.contains("hunter2"))
      #expect(!text.contains("number: 7"))
      #expect(text.contains("the database is down"))
    }
  }

  @Test func actuatorHasItsOwnWords() async throws {
    let document = try await everyStatus().monitor.report().rendered(as: .actuator)
    #expect(document.contentType == "application/vnd.spring-boot.actuator.v3+json")
    let body = try object(document)
    #expect(body["status"] as? String == "DOWN")
    let components = try #require(body["components"] as? [String: [String: Any]])
    let words = components.mapValues { $0["status"] as? String }
    #expect(
      words == [
        "disk:free": "UP", "queue": "UP", "old:age": "UNKNOWN", "mail": "OUT_OF_SERVICE",
        "database": "DOWN", "plain": "DOWN",
      ])
    let details = try #require(components["disk:free"]?["details"] as? [String: Any])
    #expect(details["observedValue"] as? Double == 12.5)
  }

  @Test func microProfileKnowsUpAndDown() async throws {
    let document = try await everyStatus().monitor.report().rendered(as: .microProfile)
    #expect(document.contentType == "application/json")
    let body = try object(document)
    #expect(body["status"] as? String == "DOWN")
    let checks = try #require(body["checks"] as? [[String: Any]])
    #expect(
      checks.map { "\($0["name"]!) \($0["status"]!)" } == [
        "disk:free UP", "queue UP", "old:age UP", "mail UP", "database DOWN", "plain DOWN",
      ])
    let empty = Lab([]).monitor.document(as: .microProfile)
    #expect(empty.text == #"{"status":"UP","checks":[]}"#)
  }

  @Test func probesShowWhatCountsForThemAndStatusAloneHidesTheRest() async throws {
    let report = try await everyStatus().monitor.report()
    let live = try object(report.rendered(for: .liveness))
    #expect(live["status"] as? String == "pass")
    #expect((live["checks"] as? [String: Any])?.keys.sorted() == ["disk:free"])
    #expect(live["notes"] == nil)
    for format in HealthFormat.allCases {
      let bare = report.rendered(as: format, for: .readiness, showsDetails: false)
      #expect(!bare.text.contains("database"))
      #expect(bare.httpStatus == 503)
    }
    #expect(report.rendered(showsDetails: false).text == #"{"status":"fail"}"#)
    #expect(Lab([]).monitor.document().text == #"{"status":"pass"}"#)
  }

  @Test func warningsAndStaleAnswersAre200AndWhatIsUnknownIs503() async throws {
    for (status, code) in [
      (HealthStatus.pass, 200), (.warn, 200), (.stale, 200), (.unknown, 503), (.fail, 503),
    ] {
      #expect((status.isServing ? 200 : 503) == code)
    }
    #expect(HealthStatus.allCases.sorted() == [.pass, .warn, .stale, .unknown, .fail])
  }

  @Test func serviceIsNamedAndTheSameReportGivesTheSameBytes() async throws {
    var configuration = HealthMonitor.Configuration()
    configuration.service = .init(
      id: "downloader", version: "1", releaseID: "1.4.2", description: "fetches \"files\"")
    configuration.clock = ManualClock()
    let monitor = HealthMonitor([Patient().check()], configuration: configuration)
    let report = try await monitor.checkAll()
    let body = try object(report.rendered())
    #expect(body["serviceId"] as? String == "downloader")
    #expect(body["releaseId"] as? String == "1.4.2")
    #expect(body["description"] as? String == "fetches \"files\"")
    #expect(report.rendered() == report.rendered())
  }

  @Test func metricsAreInBaseUnitsAndCountEveryOutcome() async throws {
    let lab = try await everyStatus()
    let registry = MetricsRegistry()
    registry.register(lab.monitor)
    let snapshot = registry.snapshot()
    #expect(snapshot.rejections.isEmpty)
    #expect(snapshot["health_status"].count == 30)
    #expect(snapshot["health_status"].reduce(0) { $0 + $1.value } == 6)
    #expect(snapshot["health_checks_total"].count == 30)
    #expect(snapshot["health_alert_raised"].reduce(0) { $0 + $1.value } == 2)
    #expect(snapshot["health_check_duration_seconds"].first?.distribution?.count == 5)
    #expect(snapshot.families.allSatisfy { !$0.help.isEmpty })
  }
}
