import ErrorContext
import Foundation
import Testing

/// Whatever the error: a report is complete, bounded, valid, and comes back from a decoder as it was.
@Suite struct ErrorReportPropertyTests {
  @Test("No report has an empty title, detail or category, whatever the error", arguments: 0..<150)
  func neverEmpty(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let error = hostileError(&random, depth: 0)
    let report = hostileReport(error, &random)
    for text in [
      report.title, report.detail, report.category.rawValue, report.userMessage,
      report.errorMessage,
      report.errorType, report.type, report.reference, report.fingerprint,
    ] {
      #expect(text.contains { !$0.isWhitespace && $0 != "\u{FFFD}" }, "seed \(seed)")
    }
    let json = try members(report.json())
    for key in ["title", "detail", "category"] {
      #expect((json[key] as? String)?.isEmpty == false, "seed \(seed) \(key)")
    }
  }

  @Test(
    "JSON stays within every limit and is valid; the whole is at most 512 KiB through Codable",
    arguments: 0..<60)
  func bounded(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let report = hostileReport(hostileError(&random, depth: 0), &random)
    for limit in [0, 1024, 2000, 5000, 20_000, ErrorReport.defaultJSONLimit] {
      for isPretty in [false, true] {
        let bytes = report.json(pretty: isPretty, limit: limit)
        #expect(bytes.count <= max(1024, limit), "seed \(seed)")
        let json = try members(bytes)
        #expect((json["title"] as? String)?.isEmpty == false, "seed \(seed)")
      }
    }
    #expect(try JSONEncoder().encode(report).count <= 524_288, "seed \(seed)")
    #expect(report.text(limit: 3000).utf8.count <= 3000, "seed \(seed)")
    #expect(report.text().utf8.count <= 16_384, "seed \(seed)")
  }

  @Test(
    "The writer and Codable produce the same members, and both decode to the same report",
    arguments: 0..<60)
  func roundTrip(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let report = hostileReport(hostileError(&random, depth: 0), &random)
    let written = report.json(limit: .max)
    let encoded = try JSONEncoder().encode(report)
    #expect(
      try members(written) as NSDictionary == members([UInt8](encoded)) as NSDictionary,
      "seed \(seed)")
    let decoded = try JSONDecoder().decode(ErrorReport.self, from: encoded)
    #expect(decoded == report, "seed \(seed)")
    #expect(decoded.json(limit: .max) == written, "seed \(seed)")
  }

  @Test("A truncated report says so and still decodes")
  func truncated() throws {
    let report = ErrorReport(
      Described(description: "it broke"),
      process: .init(
        output: String(repeating: "x", count: 2000),
        errorOutput: String(repeating: "y", count: 2000)))
    let bytes = report.json(limit: 1500)
    #expect(try members(bytes)["truncated"] as? Bool == true)
    let decoded = try JSONDecoder().decode(ErrorReport.self, from: Data(bytes))
    #expect(decoded.reference == report.reference && decoded.detail == report.detail)
  }

  @Test("A report from elsewhere with members missing or empty is completed when read")
  func foreignReport() throws {
    let json =
      #"{"title":"","detail":" ","category":"","occurred_at":"2025-01-15T14:30:22.5Z","new":1}"#
    let report = try JSONDecoder().decode(ErrorReport.self, from: Data(json.utf8))
    #expect(report.title == "Unexpected error" && report.category == .unknown)
    #expect(!report.detail.isEmpty)
    #expect(report.occurredAt == WallTime(nanosecondsSince1970: 1_736_951_422_500_000_000))
  }

  private func hostileReport(_ error: any Error, _ random: inout SeededGenerator) -> ErrorReport {
    var options = ErrorReport.Options.fixed
    options.referencePrefix = hostileText(&random)
    options.typeBase = Bool.random(using: &random) ? "https://example.org/" : hostileText(&random)
    let text = hostileText(&random)
    let isRich = Bool.random(using: &random)
    let timeline = (0..<(isRich ? 200 : 0)).map {
      ErrorReport.TimelineEntry(
        .init(rawValue: text), at: WallTime(secondsSince1970: Int64($0)), detail: text)
    }
    let attempts = (0..<20).map {
      AttemptRecord(
        number: $0, error: text, category: .init(rawValue: text), at: .now,
        elapsed: .nanoseconds(123_456_789),
        delay: .seconds(-3), method: text)
    }
    var result: ErrorReport?
    withErrorContext(text, ["a": .public(text), text: .public(text), "c": text]) {
      if isRich { for _ in 0..<50 { breadcrumb(text) } }
      for attempt in attempts where isRich { AttemptJournal.record(attempt) }
      result = ErrorReport(
        error, options: options, timeline: timeline,
        process: isRich
          ? .init(
            arguments: [String](repeating: text, count: 100), exitCode: .min, signal: .max,
            output: text,
            errorOutput: text,
            resources: .init(at: .now, cpuPercent: .nan, memoryMegabytes: .infinity),
            duration: .seconds(-1))
          : nil,
        download: isRich
          ? .init(title: text, url: text, attempts: attempts, recoveryTaken: text) : nil)
    }
    // Not finite numbers become null, so such a report can't come back equal: replaced by what a reader sees.
    guard isRich, let data = try? JSONEncoder().encode(result!) else { return result! }
    return (try? JSONDecoder().decode(ErrorReport.self, from: data)) ?? result!
  }

  private func hostileError(_ random: inout SeededGenerator, depth: Int) -> any Error {
    switch Int.random(in: 0..<(depth < 4 ? 9 : 6), using: &random) {
    case 0: return Plain()
    case 1: return Described(description: hostileText(&random))
    case 2:
      return Classified(
        category: ErrorCategory(rawValue: hostileText(&random)),
        retryability: .retryable(after: .seconds(-5)), userMessage: hostileText(&random),
        suggestedActions: [hostileText(&random), hostileText(&random)])
    case 3:
      return NSError(
        domain: hostileText(&random), code: .min, userInfo: [NSLocalizedDescriptionKey: ""])
    case 4: return ValidationError(hostileText(&random), field: hostileText(&random))
    case 5: return CancellationError()
    case 6:
      return NetworkError(
        hostileText(&random), retryAfter: .seconds(Int64.max),
        cause: hostileError(&random, depth: depth + 1))
    case 7:
      let count = Int.random(in: 0...20, using: &random)
      return Group(causes: (0..<count).map { _ in hostileError(&random, depth: depth + 2) })
    default:
      let inner = hostileError(&random, depth: depth + 1)
      do {
        return try withErrorContext(hostileText(&random)) { () throws -> any Error in throw inner }
      } catch { return error }
    }
  }

  private func hostileText(_ random: inout SeededGenerator) -> String {
    switch Int.random(in: 0..<12, using: &random) {
    case 0: ""
    case 1: "  \n\t "
    case 2: "\u{0}\u{1}\u{2}\u{1B}"
    case 3: String(repeating: "x", count: 300_000)
    case 4: String(repeating: "\u{0}\"\\\n", count: 20_000)
    case 5: "e" + String(repeating: "\u{301}", count: 30_000)
    case 6: String(repeating: "👩‍👩‍👧‍👦", count: 2000)
    case 7: "https://me:pw@host/?" + String(repeating: "a=b&", count: 1000)
    case 8: "\u{202E}\u{FEFF}\u{200B}"
    case 9: "--password " + String(repeating: "\"", count: 999)
    case 10: "…"
    default: "the server said no 42 times"
    }
  }
}
