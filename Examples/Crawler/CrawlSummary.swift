internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// What a crawl came to: the JSON of `--json`, and the figures of the report for people.
struct CrawlSummary: Encodable {
  struct LockFigures: Encodable {
    var acquisitions = 0
    var timeouts = 0
    var averageWaitSeconds = 0.0

    private enum CodingKeys: String, CodingKey {
      case acquisitions, timeouts
      case averageWaitSeconds = "average_wait_seconds"
    }
  }

  var pages = 0
  var pagesFailed = 0
  var seedsFailed = 0
  var candidates = 0
  var committed = 0
  var alreadyKnown = 0
  var commitsFailed = 0
  var rejected: [String: Int] = [:]
  var failedSteps: [String: Int] = [:]
  var errors: [String: Int] = [:]
  var deadLetters = 0
  var lock = LockFigures()
  var breakerTransitions: [String: Int] = [:]
  var linksRefused = 0
  /// Pages that were found and not visited, because of a limit.
  var pagesLeftOut = 0
  /// URLs that are in one output and not in all.
  var orphanedURLs = 0
  var urls = 0
  var isComplete = true
  var warnings: [String] = []
  var seconds = 0.0

  var pagesPerSecond: Double { seconds > 0 ? Double(pages) / seconds : 0 }

  var isGood: Bool { seedsFailed == 0 && commitsFailed == 0 && orphanedURLs == 0 }

  private enum CodingKeys: String, CodingKey {
    case pages, candidates, committed, rejected, errors, lock, urls, warnings, seconds
    case pagesFailed = "pages_failed"
    case seedsFailed = "seeds_failed"
    case alreadyKnown = "already_known"
    case commitsFailed = "commits_failed"
    case failedSteps = "failed_by_step"
    case deadLetters = "dead_letters"
    case breakerTransitions = "breaker_transitions"
    case linksRefused = "links_refused"
    case pagesLeftOut = "pages_left_out"
    case orphanedURLs = "orphaned_urls"
    case isComplete = "complete"
    case pagesPerSecond = "pages_per_second"
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    for (key, value) in [
      (CodingKeys.pages, pages), (.pagesFailed, pagesFailed), (.seedsFailed, seedsFailed),
      (.candidates, candidates), (.committed, committed), (.alreadyKnown, alreadyKnown),
      (.commitsFailed, commitsFailed), (.deadLetters, deadLetters), (.linksRefused, linksRefused),
      (.pagesLeftOut, pagesLeftOut), (.orphanedURLs, orphanedURLs), (.urls, urls),
    ] { try container.encode(value, forKey: key) }
    try container.encode(rejected, forKey: .rejected)
    try container.encode(failedSteps, forKey: .failedSteps)
    try container.encode(errors, forKey: .errors)
    try container.encode(lock, forKey: .lock)
    try container.encode(breakerTransitions, forKey: .breakerTransitions)
    try container.encode(isComplete, forKey: .isComplete)
    try container.encode(warnings, forKey: .warnings)
    try container.encode((seconds * 1000).rounded() / 1000, forKey: .seconds)
    try container.encode((pagesPerSecond * 10).rounded() / 10, forKey: .pagesPerSecond)
  }
}

extension CrawlSummary {
  init(_ figures: CrawlTally.Figures) {
    pages = figures.pages
    pagesFailed = figures.pagesFailed
    seedsFailed = figures.seedsFailed
    candidates = figures.candidates
    committed = figures.committed
    alreadyKnown = figures.known
    commitsFailed = figures.commitsFailed
    rejected = figures.rejected
    failedSteps = figures.failedSteps
    errors = figures.errors
    breakerTransitions = figures.breakerTransitions
    linksRefused = figures.linksRefused
  }

  mutating func take(_ statistics: LockStatistics) {
    lock.acquisitions = statistics.acquisitions
    lock.timeouts = statistics.timeouts
    lock.averageWaitSeconds = ((statistics.wait.mean ?? 0) * 1_000_000).rounded() / 1_000_000
  }

  /// One line of JSON.
  func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }

  /// The report for people, several lines.
  func report(on terminal: Terminal) -> String {
    func counts(_ values: [String: Int]) -> String {
      let text = values.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
      return text.isEmpty ? "none" : text.joined(separator: ", ")
    }
    let average = Self.decimal(lock.averageWaitSeconds, places: 1000)
    let timeouts = lock.timeouts == 1 ? "1 timeout" : "\(lock.timeouts) timeouts"
    let rows = [
      (
        "pages",
        "\(pages)" + (pagesFailed > 0 ? ", \(pagesFailed) failed" : "")
          + (pagesLeftOut > 0 ? ", \(pagesLeftOut) found and not visited" : "")
      ),
      (
        "candidates",
        "\(candidates)" + (alreadyKnown > 0 ? ", and \(alreadyKnown) known before" : "")
      ),
      ("committed", "\(committed), \(urls) in all"),
      ("left out by rules", counts(rejected)),
      ("failed by step", counts(failedSteps)),
      ("errors by category", counts(errors)),
      ("dead letters", "\(deadLetters)"),
      ("locks", "\(timeouts), average wait \(average) s"),
      ("breakers", counts(breakerTransitions)),
      ("links refused", "\(linksRefused)"),
      ("orphaned URLs", "\(orphanedURLs) (wanted: 0)"),
      (
        "duration",
        "\(Self.decimal(seconds, places: 10)) s, \(Self.decimal(pagesPerSecond, places: 10)) pages/s"
      ),
    ]
    let width = (rows.map(\.0.count).max() ?? 0) + 2
    let lines = rows.map { name, value in
      terminal.styled(name + String(repeating: " ", count: width - name.count), .dim) + value
    }
    return "\n" + lines.joined(separator: "\n") + "\n\n" + verdict(on: terminal) + "\n"
  }

  private func verdict(on terminal: Terminal) -> String {
    if !isComplete {
      return terminal.styled(
        "Stopped. What is committed stays; the same command goes on from here.", .yellow)
    }
    if isGood { return terminal.styled("All well: every find is in every output.", .green) }
    if orphanedURLs > 0 {
      return terminal.styled("\(orphanedURLs) URLs are not in every output.", .red)
    }
    let seeds = seedsFailed > 0 ? "\(seedsFailed) seeds could not be visited" : ""
    let commits = commitsFailed > 0 ? "\(commitsFailed) finds could not be written" : ""
    let parts = [seeds, commits].filter { !$0.isEmpty }.joined(separator: ", ")
    return terminal.styled("\(parts); see \(FailureLog.name).", .red)
  }

  private static func decimal(_ value: Double, places: Int) -> String {
    let scaled = Int((min(max(value, 0), 1e12) * Double(places)).rounded())
    let fraction = String(scaled % places)
    let width = String(places).count - 1
    return "\(scaled / places)." + String(repeating: "0", count: width - fraction.count) + fraction
  }
}
