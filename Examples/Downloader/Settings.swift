internal import Reliability
internal import ReliabilityExampleSupport

/// The settings that a job system has, by the names of its environment variables.
struct Settings: Sendable {
  /// What the programs differ in when nobody says anything.
  enum Mode { case plain, demo, serve }

  var queueMaxSize = 1000
  var retryAttempts = 3
  var retryBackoff = 1.5
  var cleanupInterval = Duration.seconds(3600)
  var downloadTimeout = Duration.seconds(3600)
  var videoInfoTimeout = Duration.seconds(30)
  var subtitleTimeout = Duration.seconds(60)
  var thumbnailTimeout = Duration.seconds(30)
  var enablesCaching = true
  var cacheMaxSize = 1000
  var videoInfoLife = Duration.seconds(3600)
  var enablesMetrics = true
  var metricsInterval = Duration.seconds(60)
  var healthInterval = Duration.seconds(30)
  var ratePerMinute = 60
  var rateBurst = 10
  /// Whether an external tool may be used.
  var isEnhanced = true

  /// How often a file is tried in all.
  var attempts: Int
  var workers: Int
  /// How long attempts may take; those for kinds of files are in ``timeouts``.
  var limits = TransferLimits()
  var durability = Durability.none
  var serverRate: RateLimit?
  var policy = AddressPolicy.any

  /// The external tool, when one is to be used.
  var tool: ToolSettings?

  /// Where each value came from.
  private(set) var entries: [SettingsReader.Entry] = []

  /// The options of the command line that belong to settings.
  static let options: [CommandLineGrammar.Option] =
    [
      .value("workers", "N", "how many files at once, 1 to 64 (default 4; serve: 3)"),
      .value(
        "attempts", "N",
        "how often to try each file in all, 1 to 100 (default 3; the demo and serve: 4)"),
      .value("timeout", "S", "seconds an attempt may take (default 3600; the demo: 5)"),
      .value(
        "base-timeout", "S",
        "seconds an attempt may take while nothing better is known; progress and what was learned move that, never "
          + "beyond --timeout (default 1800; the same as a --timeout that is given)"),
      .value(
        "stall", "S",
        "seconds an attempt may go without a byte (default 30, for the first one 60; the demo: 1)"),
      .value(
        "tool-stall", "S",
        "seconds a tool may go without output or growth of its file (default 300, or a --stall that is given)"
      ),
      .value(
        "durability", "LEVEL",
        "what a power cut may take: full, ordered, or none (default: what is new may be lost)"),
      .value("rate", "N", "requests a second to one server, 1 to 100000 (default: no limit)"),
      .value("env-file", "FILE", "read settings from a file of NAME=value lines"),
    ] + ToolSettings.options

  /// - Throws: `UsageError` that names the setting and says what is allowed.
  init(_ reader: inout SettingsReader, mode: Mode) throws(UsageError) {
    queueMaxSize = try reader.integer(
      nil, "JOB_QUEUE_MAX_SIZE", in: 1...10_000_000, default: 1000)
    let retriesAreSet = reader.isSet(nil, "JOB_RETRY_ATTEMPTS")
    retryAttempts = try reader.integer(nil, "JOB_RETRY_ATTEMPTS", in: 0...99, default: 3)
    retryBackoff = try reader.number(nil, "JOB_RETRY_BACKOFF", in: 1...100, default: 1.5)
    cleanupInterval = try reader.seconds(nil, "JOB_CLEANUP_INTERVAL", default: 3600)
    downloadTimeout = try reader.seconds(
      "timeout", "DOWNLOAD_TIMEOUT", default: mode == .demo ? 5 : 3600)
    videoInfoTimeout = try reader.seconds(nil, "VIDEO_INFO_TIMEOUT", default: 30)
    subtitleTimeout = try reader.seconds(nil, "SUBTITLE_TIMEOUT", default: 60)
    thumbnailTimeout = try reader.seconds(nil, "THUMBNAIL_TIMEOUT", default: 30)
    enablesCaching = try reader.bool("ENABLE_CACHING", default: true)
    cacheMaxSize = try reader.integer(nil, "CACHE_MAX_SIZE", in: 1...10_000_000, default: 1000)
    videoInfoLife = try reader.seconds(nil, "VIDEO_INFO_CACHE_TTL", default: 3600)
    enablesMetrics = try reader.bool("ENABLE_METRICS", default: true)
    metricsInterval = try reader.seconds(nil, "METRICS_COLLECTION_INTERVAL", default: 60)
    healthInterval = try reader.seconds(nil, "HEALTH_CHECK_INTERVAL", default: 30)
    ratePerMinute = try reader.integer(
      nil, "RATE_LIMIT_PER_MINUTE", in: 1...1_000_000, default: 60)
    rateBurst = try reader.integer(nil, "RATE_LIMIT_BURST", in: 1...1_000_000, default: 10)
    isEnhanced = try reader.bool("DOWNLOADER_ENHANCED", default: true)
    try reader.unused("REDIS_POOL_SIZE", "jobs are kept in files")
    try reader.unused("REDIS_TIMEOUT", "jobs are kept in files")

    let usual = mode == .plain && !retriesAreSet ? 3 : retryAttempts + 1
    attempts = try reader.integer("attempts", nil, in: 1...100, default: usual)
    workers = try reader.integer("workers", nil, in: 1...64, default: mode == .serve ? 3 : 4)
    limits = try Self.limits(&reader, downloadTimeout, mode)
    durability = try reader.word("durability", default: DurabilityWord.none).level
    let rate = try reader.integer("rate", nil, in: 0...100_000, default: 0)
    serverRate = rate > 0 ? RateLimit(rate, per: .seconds(1)) : nil
    tool = try ToolSettings.read(&reader, isEnabled: isEnhanced)
    entries = reader.entries
  }

  private static func limits(
    _ reader: inout SettingsReader, _ timeout: Duration, _ mode: Mode
  ) throws(UsageError) -> TransferLimits {
    var limits = TransferLimits(timeout: timeout, pressure: { MachinePressure.now })
    let isTold = mode == .demo || reader.isSet("timeout", "DOWNLOAD_TIMEOUT")
    let usual = isTold ? timeout : min(timeout, limits.base)
    limits.base = try reader.seconds("base-timeout", nil, default: usual / .seconds(1))
    if limits.base > timeout {
      throw UsageError(
        "--base-timeout must not be above what an attempt may take, \(timeout / .seconds(1)) seconds"
      )
    }
    let stallIsTold = mode == .demo || reader.isSet("stall", nil)
    limits.stall = try reader.seconds("stall", nil, default: mode == .demo ? 1 : 30)
    // Who says how long to wait for a byte means the first one too.
    if stallIsTold { limits.network = nil }
    let toolStall = stallIsTold ? limits.stall : limits.toolStall
    limits.toolStall = try reader.seconds("tool-stall", nil, default: toolStall / .seconds(1))
    return limits
  }

  /// How long to wait after a failed attempt.
  var backoff: Backoff {
    .exponential(
      base: .milliseconds(500), factor: retryBackoff, cap: .seconds(900), jitter: .equal)
  }

  /// Limits of time by the extension of a file's name.
  var timeouts: [String: Duration] {
    var timeouts: [String: Duration] = [:]
    for name in ["srt", "vtt", "ass", "ssa", "sub"] { timeouts[name] = subtitleTimeout }
    for name in ["jpg", "jpeg", "png", "webp", "gif"] { timeouts[name] = thumbnailTimeout }
    return timeouts
  }
}

/// The names of the levels of durability.
enum DurabilityWord: String, CaseIterable {
  case full, ordered, none

  var level: Durability {
    switch self {
    case .full: .full
    case .ordered: .ordered
    case .none: .none
    }
  }
}

/// `downloader config`: what is in force, and where each value came from.
enum ConfigText {
  static func table(_ entries: [SettingsReader.Entry]) -> String {
    let names = (entries.map(\.name.count).max() ?? 0) + 2
    let values = (entries.map(\.value.count).max() ?? 0) + 2
    return entries.map { entry in
      let name = entry.name.padding(to: names)
      let value = (entry.value.isEmpty ? "-" : entry.value).padding(to: max(3, values))
      return name + value + "\(entry.source)" + (entry.note.map { "  (\($0))" } ?? "") + "\n"
    }.joined()
  }
}

extension String {
  /// The text with blanks at its end, so many characters in all.
  func padding(to width: Int) -> String {
    self + String(repeating: " ", count: Swift.max(0, width - count))
  }
}
