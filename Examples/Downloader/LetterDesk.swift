internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// Which dead letters are meant.
struct LetterQuery: Hashable, Sendable {
  var kind: String?
  var category: String?
  var olderThan: Duration?
  var isDryRun = false
  var limit = 1000

  init() {}

  /// - Throws: ``ServeProblem`` that names the parameter.
  init(_ request: HTTPRequest) throws(ServeProblem) {
    kind = request.parameter("kind")
    category = request.parameter("category")
    if let text = request.parameter("older_than") {
      guard let age = AgeText.parse(text) else {
        throw ServeProblem(400, "older_than \(AgeText.rule), not \(text.quotedForDisplay)")
      }
      olderThan = age
    }
    isDryRun = request.parameter("dry_run") == "true"
    if let text = request.parameter("limit") {
      guard let number = Int(text), (1...10_000).contains(number) else {
        throw ServeProblem(400, "limit must be 1 to 10000, not \(text.quotedForDisplay)")
      }
      limit = number
    }
  }

  /// The same as the query of a request.
  var parameters: String {
    var items: [URLQueryItem] = []
    if let kind { items.append(URLQueryItem(name: "kind", value: kind)) }
    if let category { items.append(URLQueryItem(name: "category", value: category)) }
    if let olderThan {
      items.append(
        URLQueryItem(name: "older_than", value: "\(Int(olderThan / .seconds(1)))s"))
    }
    if isDryRun { items.append(URLQueryItem(name: "dry_run", value: "true")) }
    var parts = URLComponents()
    parts.queryItems = items.isEmpty ? nil : items
    return parts.percentEncodedQuery.map { "?\($0)" } ?? ""
  }

  var filter: DeadLetter.Filter {
    var filter = DeadLetter.Filter()
    filter.kind = kind
    filter.category = category.map { ErrorCategory(rawValue: $0) }
    filter.olderThan = olderThan
    return filter
  }
}

/// Ages as people write them: `90s`, `15m`, `12h`, `7d`.
enum AgeText {
  static let rule = "must be a number with s, m, h or d, such as 12h"

  static func parse(_ text: String) -> Duration? {
    let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
    guard let last = text.last, let unit = units[last], let number = Int(text.dropLast()),
      (0...1_000_000).contains(number)
    else { return nil }
    return .seconds(number * unit)
  }
}

/// A dead letter in a list.
struct LetterSummary: Codable, Hashable, Sendable {
  var id: String
  var kind: String
  var category: String
  var reason: String
  var arrivedAt: String
  var attempts: Int
  var redriveCount: Int
  var url: String?
  var fingerprint: String

  private enum CodingKeys: String, CodingKey {
    case id, kind, category, reason, arrivedAt = "arrived_at", attempts, redriveCount =
      "redrive_count", url, fingerprint
  }

  init(_ letter: DeadLetter) {
    id = "\(letter.id)"
    kind = letter.kind
    category = letter.category.rawValue
    reason = letter.reason
    arrivedAt = "\(letter.arrivedAt)"
    attempts = letter.attempts.count + letter.attemptsDropped
    redriveCount = letter.redriveCount
    url = (try? letter.payload(as: DownloadJob.self))?.url
    fingerprint = letter.fingerprint
  }
}

/// All that is known of a dead letter.
struct LetterDetail: Codable, Sendable {
  var letter: LetterSummary
  var source: String?
  var firstFailure: String
  var lastFailure: String
  var payload: String
  var report: ErrorReport

  private enum CodingKeys: String, CodingKey {
    case letter, source, firstFailure = "first_failure", lastFailure = "last_failure", payload,
      report
  }
}

/// What a redrive came to.
struct LetterRedrive: Codable, Hashable, Sendable {
  var selected: Int
  var requeued: Int
  var failed: Int
  var undecodable: Int
  var isDryRun: Bool

  private enum CodingKeys: String, CodingKey {
    case selected, requeued, failed, undecodable, isDryRun = "dry_run"
  }
}

/// Looks after the dead letters of a queue.
struct LetterDesk: Sendable {
  let downloads: DownloadQueue

  func list(_ query: LetterQuery) async throws -> [LetterSummary] {
    try await Self.list(downloads.letters, query)
  }

  static func list(
    _ letters: DeadLetterQueue<DownloadJob>, _ query: LetterQuery
  ) async throws -> [LetterSummary] {
    try await letters.letters(matching: query.filter, limit: query.limit).letters
      .map(LetterSummary.init)
  }

  func show(_ id: DeadLetter.ID) async throws -> LetterDetail {
    try await Self.show(downloads.letters, id)
  }

  static func show(
    _ letters: DeadLetterQueue<DownloadJob>, _ id: DeadLetter.ID
  ) async throws -> LetterDetail {
    guard let letter = try await letters.letter(id) else {
      throw ServeProblem.notFound("dead letter \(id)")
    }
    return LetterDetail(
      letter: LetterSummary(letter), source: letter.source,
      firstFailure: "\(letter.firstFailure)", lastFailure: "\(letter.lastFailure)",
      payload: String(decoding: letter.payload, as: UTF8.self), report: letter.report)
  }

  /// Puts the work of letters into the queue again, with all of its attempts.
  func redrive(_ query: LetterQuery) async throws -> LetterRedrive {
    var options = DeadLetter.RedriveOptions()
    options.isDryRun = query.isDryRun
    options.maximumCount = query.limit
    let report = try await downloads.letters.redrive(query.filter, options: options) { job, _ in
      var options = downloads.defaults
      options.unique = UniqueKey(job.url)
      options.callerID = job.taskID
      try await downloads.queue.enqueue(job, options: options)
    }
    return LetterRedrive(
      selected: report.selected, requeued: report.succeeded, failed: report.failed,
      undecodable: report.undecodable, isDryRun: report.isDryRun)
  }

  func discard(_ id: DeadLetter.ID, reason: String) async throws -> LetterSummary {
    let detail = try await show(id)
    guard try await downloads.letters.discard(id, reason: reason) else {
      throw ServeProblem(409, "dead letter \(id) is being redriven")
    }
    return detail.letter
  }
}

extension DownloadService {
  var letters: LetterDesk { LetterDesk(downloads: downloads) }
}
