internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// What `downloader serve` is asked for.
struct ServeOptions: Sendable {
  var listen: ListenAddress
  var state: String
  var output: String
  var tokenFile: String?
  /// How long downloads may go on after SIGTERM.
  var grace: Duration
  var settings: Settings
  var isQuiet: Bool
  var showsHelp: Bool
  /// What is in force, and where it came from.
  var entries: [SettingsReader.Entry]

  static let grammar = CommandLineGrammar(
    usage: ["downloader serve --state DIR [options]", "downloader config [options]"],
    summary: """
      Takes download jobs over HTTP and works on them until it is told to stop. Jobs, dead letters and the list of files
      survive its end, however it ends. config prints what is in force and where each value came from.

        POST   /api/v1/analysis       {"url": "…", "priority": "high", "task_id": "…"}: 202 and the job
        POST   /api/v1/analyze        the same, under its old name
        GET    /api/v1/jobs/ID        a job;  DELETE cancels it
        GET    /api/metrics/queue     also worker, jobs, system, performance?time_window=3600
        GET    /metrics               for Prometheus
        GET    /health                also /health/live and /health/ready
        GET    /                      a page for people
      """,
    options: [
      .value("listen", "ADDRESS:PORT", "where to listen (default 127.0.0.1:8080)"),
      .value("state", "DIR", "where jobs and dead letters are kept"),
      .value("output", "DIR", "where the files go (default: files, beside the state)"),
      .value("token-file", "FILE", "a file with the token that clients must send"),
      .value("grace", "S", "seconds that downloads may go on after SIGTERM (default 30)"),
      .flag("allow-private", "download from loopback, private and link-local addresses too"),
    ] + Settings.options + [.flag("quiet", "show only what went wrong")],
    epilogue: """
      Settings come from flags, else from the environment, else from --env-file: JOB_QUEUE_MAX_SIZE,
      JOB_RETRY_ATTEMPTS, JOB_RETRY_BACKOFF, JOB_CLEANUP_INTERVAL, DOWNLOAD_TIMEOUT, VIDEO_INFO_TIMEOUT,
      SUBTITLE_TIMEOUT, THUMBNAIL_TIMEOUT, ENABLE_CACHING, CACHE_MAX_SIZE, VIDEO_INFO_CACHE_TTL, ENABLE_METRICS,
      METRICS_COLLECTION_INTERVAL, HEALTH_CHECK_INTERVAL, RATE_LIMIT_PER_MINUTE, RATE_LIMIT_BURST.
      Leaves with 0 after SIGTERM or Ctrl-C, 1 when it can't work, 2 for a wrong option.
      """)

  /// Reads a command line.
  ///
  /// - Parameters:
  ///   - arguments: The arguments without the program's name and `serve`.
  ///   - environment: The environment variables.
  ///   - needsState: Whether `--state` must be there.
  /// - Throws: `UsageError` with one line that names the option and says what is allowed.
  init(
    _ arguments: [String],
    environment: [String: String] = ProcessInfo.processInfo.environment, needsState: Bool = true
  ) throws(UsageError) {
    let line = try Self.grammar.parse(arguments)
    showsHelp = line.flag("help")
    if let extra = line.operands.first {
      throw UsageError(
        "\(needsState ? "serve" : "config") takes no operand, but \(extra.quotedForDisplay) was given"
      )
    }
    var reader = try SettingsReader(line, environment: environment)
    listen = try ListenAddress(try reader.text("listen", default: "127.0.0.1:8080") ?? "")
    state = try reader.text("state") ?? ""
    if state.isEmpty, needsState, !showsHelp {
      throw UsageError("serve needs --state DIR, where jobs and dead letters are kept")
    }
    output = try reader.text("output", default: "\(state.isEmpty ? "DIR" : state)/files") ?? ""
    tokenFile = try reader.text("token-file")
    grace = try reader.seconds("grace", nil, in: 0...86_400, default: 30)
    let allowsPrivate = reader.flag("allow-private")
    settings = try Settings(&reader, mode: .serve)
    settings.policy = allowsPrivate ? .any : .publicOnly
    isQuiet = line.flag("quiet")
    entries = reader.entries
    if !listen.isLoopback, tokenFile == nil {
      throw UsageError(
        "--listen \(listen) can be reached from other machines: give a --token-file, or listen on "
          + "127.0.0.1")
    }
  }
}
