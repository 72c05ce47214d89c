internal import Foundation
internal import Reliability

/// What an interrupted crawl needs to go on, in a directory of its own.
///
/// Links are noted when their page has been read, and the page as done when all its candidates are decided. A crash
/// loses the last notes at most: then a page is read again, and what was committed is known by the outputs.
final class CrawlState: Sendable {
  /// What is known of an earlier run that was interrupted.
  struct Earlier: Sendable {
    var pages: [Frontier.Page] = []
    var done: Set<WebAddress> = []
    var decided: Set<WebAddress> = []
    var isEmpty: Bool { pages.isEmpty && done.isEmpty && decided.isEmpty }
  }

  private struct Record: Codable {
    var kind: String
    var plan: String?
    var url: String?
    var depth: Int?
    var links: [String]?

    static let plan = "plan"
    static let links = "links"
    static let done = "done"
    static let decided = "decided"
    static let end = "end"
  }

  /// The directory.
  let path: String
  let earlier: Earlier
  private let owner: Owner
  private let log: AppendLog

  /// Keeps others out as long as it lives.
  private final class Owner: Sendable {
    let held: HeldLock
    init(_ held: consuming HeldLock) { self.held = held }
  }

  /// Takes a place for state: the first one that no living crawler has.
  ///
  /// - Parameters:
  ///   - directory: Where the places are; it must exist.
  ///   - plan: What the crawl is to do. The state of another plan is thrown away.
  /// - Throws: `StoreError`, `LockError`.
  init(in directory: String, plan: String) async throws {
    let (path, owner) = try await Self.place(in: directory)
    self.path = path
    self.owner = owner
    let file = "\(path)/frontier.jsonl"
    var options = AppendLog.Options()
    options.content = .init("crawl-frontier", version: 1)
    var log = try await AppendLog(file, options: options)
    var earlier = try await Self.read(log, plan: plan)
    if earlier == nil {
      try await log.close()
      for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
      where name.hasPrefix("frontier.jsonl") {
        try? FileManager.default.removeItem(atPath: "\(path)/\(name)")
      }
      log = try await AppendLog(file, options: options)
      earlier = Earlier()
      try await log.append(encoding: Record(kind: Record.plan, plan: plan), durability: .none)
    }
    self.earlier = earlier ?? Earlier()
    self.log = log
  }

  private static func place(in directory: String) async throws -> (String, Owner) {
    for number in 1... {
      let path = "\(directory)/crawl-\(number)"
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      if let held = try await BackoffLock("\(path)/owner.lock").tryLock() {
        return (path, Owner(held))
      }
    }
    fatalError("unreachable")
  }

  /// - Returns: `nil` when there is nothing to go on with: no state, that of another plan, or of a crawl that came to its end.
  private static func read(_ log: AppendLog, plan: String) async throws -> Earlier? {
    var earlier = Earlier()
    var hasPlan = false
    let decoder = JSONDecoder()
    for try await record in log.records() {
      guard let record = try? decoder.decode(Record.self, from: Data(record.payload)) else {
        continue
      }
      let address = record.url.flatMap { WebAddress($0) }
      switch record.kind {
      case Record.plan:
        guard record.plan == plan else { return nil }
        hasPlan = true
      case Record.links:
        for link in record.links ?? [] {
          guard let address = WebAddress(link) else { continue }
          earlier.pages.append(Frontier.Page(address: address, depth: record.depth ?? 0))
        }
      case Record.done: if let address { earlier.done.insert(address) }
      case Record.decided: if let address { earlier.decided.insert(address) }
      case Record.end: return nil
      default: continue
      }
    }
    return hasPlan ? earlier : nil
  }

  /// Notes which pages a page leads to that nobody has noted before.
  func note(links: [WebAddress], depth: Int) async throws {
    guard !links.isEmpty else { return }
    try await write(
      Record(kind: Record.links, depth: depth, links: links.map(\.description)))
  }

  /// Notes that a candidate was left out or has failed for good.
  func note(decided address: WebAddress) async throws {
    try await write(Record(kind: Record.decided, url: address.description))
  }

  /// Notes that a page and all its candidates are done.
  func note(done page: Frontier.FinishedPage) async throws {
    try await write(Record(kind: Record.done, url: page.address.description))
  }

  /// Ends: the next crawl begins anew when this one came to its end.
  func close(isComplete: Bool) async throws {
    if isComplete { try await write(Record(kind: Record.end)) }
    try await log.close()
  }

  private func write(_ record: Record) async throws {
    // Without a sync: it survives the end of the program, and a power cut costs a few pages that are read again.
    try await log.append(encoding: record, durability: .none)
  }
}
