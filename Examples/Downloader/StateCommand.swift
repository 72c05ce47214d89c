internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// `downloader status` and `downloader dead-letters …`: about a state directory, whoever has it.
///
/// When a running `serve` has it, it is asked over HTTP; otherwise the files are opened here.
struct StateCommand {
  enum Action {
    case status
    case list
    case show(DeadLetter.ID)
    case redrive
    case discard(DeadLetter.ID, reason: String)
  }

  var action: Action
  var query = LetterQuery()
  var state: String
  var isJSON: Bool
  var showsHelp = false

  static let grammar = CommandLineGrammar(
    usage: [
      "downloader status --state DIR", "downloader dead-letters list --state DIR [options]",
      "downloader dead-letters show ID --state DIR",
      "downloader dead-letters redrive --state DIR [options]",
      "downloader dead-letters discard ID --reason TEXT --state DIR",
    ],
    summary: """
      Looks after what a state directory holds: breakers that are open, jobs that are stuck, downloads that failed for good.
      A running serve is asked over HTTP.
      """,
    options: [
      .value("state", "DIR", "the state directory of serve, or of a run with --state"),
      .value("kind", "K", "only dead letters of this kind of work"),
      .value("category", "C", "only those of this category: network, timeout, validation, …"),
      .value("older-than", "D", "only those older than this, such as 90s, 15m, 12h, 7d"),
      .flag("dry-run", "redrive: only say what would be done"),
      .value("reason", "TEXT", "discard: why"),
      .flag("json", "print JSON"),
    ])

  /// - Throws: `UsageError`.
  init(_ arguments: [String]) throws(UsageError) {
    let line = try Self.grammar.parse(arguments)
    showsHelp = line.flag("help")
    isJSON = line.flag("json")
    let words = line.operands
    switch words.first {
    case "status": action = .status
    case "dead-letters": action = try Self.action(Array(words.dropFirst()), line, showsHelp)
    default: throw UsageError("there is no command \((words.first ?? "").quotedForDisplay)")
    }
    state = try line.text("state") ?? ""
    if state.isEmpty, !showsHelp { throw UsageError("--state DIR is needed") }
    query.kind = try line.text("kind")
    query.category = try line.text("category")
    query.isDryRun = line.flag("dry-run")
    if let age = try line.text("older-than") {
      guard let duration = AgeText.parse(age) else {
        throw UsageError("--older-than \(AgeText.rule), not \(age.quotedForDisplay)")
      }
      query.olderThan = duration
    }
  }

  private static func action(
    _ words: [String], _ line: ParsedCommandLine, _ showsHelp: Bool
  ) throws(UsageError) -> Action {
    func id() throws(UsageError) -> DeadLetter.ID {
      guard words.count == 2, let id = DeadLetter.ID(words[1]) else {
        throw UsageError("dead-letters \(words[0]) needs the number of one dead letter")
      }
      return id
    }
    switch words.first {
    case "list" where words.count == 1: return .list
    case "redrive" where words.count == 1: return .redrive
    case "show": return .show(try id())
    case "discard":
      guard let reason = try line.text("reason") else {
        throw UsageError("dead-letters discard needs --reason TEXT")
      }
      return .discard(try id(), reason: reason)
    case nil where showsHelp: return .list
    default:
      throw UsageError("dead-letters must be followed by list, show ID, redrive or discard ID")
    }
  }

  /// Does it.
  ///
  /// - Returns: What is printed.
  /// - Throws: ``StateInUse``, ``ServeProblem``, `StoreError`, ``OutputError``.
  func run() async throws -> String {
    if let inUse = try await StateDirectory.owner(of: state) {
      guard let owner = inUse.owner, let listen = owner.listen else { throw inUse }
      do {
        return try await text(from: ServeClient(listen, tokenFile: owner.tokenFile))
      } catch is HTTPFetch.Failure {
        // It has stopped listening, and finishes what it does.
        throw inUse
      }
    }
    let directory = try await StateDirectory.open(state, command: "maintenance")
    let downloads = DownloadQueue(
      store: try await directory.openStore(JobStoreOptions()),
      letters: try await directory.openLetters(),
      worker: DownloadWorker(
        DownloadWorker.Configuration(directory: state), manifest: nil,
        tracker: DownloadTracker(
          display: ProgressDisplay(terminal: Terminal(.error), total: 0, isQuiet: true),
          failuresKept: 0)),
      defaults: JobOptions(), configuration: JobQueue.Configuration(name: "downloads"))
    do {
      let text = try await text(from: downloads)
      try await directory.close(downloads)
      return text
    } catch {
      try? await directory.close(downloads)
      throw error
    }
  }

  private func text(from downloads: DownloadQueue) async throws -> String {
    let desk = LetterDesk(downloads: downloads)
    switch action {
    case .status:
      let figures = ServeFigures(metrics: try await downloads.queue.metrics(), isRunning: false)
      return try shown(
        ServeStatus(
          breakers: [], stuckJobs: try await StuckJobs.find(in: downloads.queue),
          deadLetters: downloads.letters.count, active: figures.active, queued: figures.queued))
    case .list: return try shown(try await desk.list(query))
    case .show(let id): return try shown(try await desk.show(id))
    case .redrive: return try shown(try await desk.redrive(query))
    case .discard(let id, let reason):
      return try shown(discarded: try await desk.discard(id, reason: reason))
    }
  }

  private func text(from client: ServeClient) async throws -> String {
    let base = "/api/v1/dead-letters"
    switch action {
    case .status: return try shown(try await client.get("/api/v1/status", as: ServeStatus.self))
    case .list:
      return try shown(try await client.get(base + query.parameters, as: [LetterSummary].self))
    case .show(let id):
      return try shown(try await client.get("\(base)/\(id)", as: LetterDetail.self))
    case .redrive:
      return try shown(
        try await client.send("POST", "\(base)/redrive\(query.parameters)", as: LetterRedrive.self))
    case .discard(let id, let reason):
      let encoded = reason.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
      return try shown(
        discarded: try await client.send(
          "DELETE", "\(base)/\(id)?reason=\(encoded)", as: LetterSummary.self))
    }
  }
}
