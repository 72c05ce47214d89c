internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// What the command line asks for.
struct Options {
  var urls: [String] = []
  var from: String?
  var isDemo = false
  var output: String?
  var workers = 4
  var attempts: Int
  var limits: TransferLimits
  var backoff: Duration
  var checksums: [(url: String, digest: String)] = []
  var isJSON = false
  var isQuiet = false
  /// Where jobs and dead letters survive the program.
  var state: String?
  var keepsManifest = false
  var durability = Durability.none
  var policy = AddressPolicy.any
  var rate: RateLimit?
  var tool: ToolSettings?
  var queueCapacity = 1000
  var showsHelp = false

  static let grammar = CommandLineGrammar(
    usage: [
      "downloader [URL …] [options]", "downloader demo [options]",
      "downloader serve [options]", "downloader status --state DIR",
      "downloader dead-letters list | show ID | redrive | discard ID --state DIR [options]",
      "downloader config [options]", "downloader doctor DIR [--sweep]",
    ],
    summary: """
      Downloads files over HTTP: tries again what can be tried again, resumes what broke off, verifies
      length and checksum, and publishes each file whole or not at all. Without a URL it runs the demo,
      against a server of its own that misbehaves on purpose. Each command has a --help of its own.
      """,
    options: [
      .value("from", "FILE", "read further URLs from a file, one a line; - is standard input"),
      .value("output", "DIR", "where the files go (default: here; the demo: a temporary place)"),
      .value("state", "DIR", "keep jobs and dead letters here, so that a later run goes on"),
      .flag("manifest", "write down in DIR/manifest.json what is there, and skip it next time"),
    ] + Settings.options + [
      .value("checksum", "URL=SHA256", "what a file must be; may be repeated"),
      .flag("json", "end with one line of JSON on standard output, all else on standard error"),
      .flag("quiet", "show only what went wrong"),
    ],
    epilogue: """
      Leaves with 0 when all is well, 1 when a file failed or could not be written, 2 for a wrong
      option or URL, 130 after Ctrl-C.
      """)

  /// Reads a command line.
  ///
  /// - Parameter arguments: The arguments without the program's name.
  /// - Throws: `UsageError` with one line that names the option and says what is allowed.
  init(
    _ arguments: [String],
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws(UsageError) {
    let line = try Self.grammar.parse(arguments)
    showsHelp = line.flag("help")
    isJSON = line.flag("json")
    isQuiet = line.flag("quiet")
    from = try line.text("from")
    output = try line.text("output")
    isDemo = line.operands.first == "demo" || (line.operands.isEmpty && from == nil)
    urls = line.operands
    if line.operands.first == "demo" { urls.removeFirst() }
    if isDemo, let extra = urls.first {
      throw UsageError("the demo takes no URL, but \(extra.quotedForDisplay) was given")
    }
    if isDemo, from != nil { throw UsageError("the demo takes no --from") }
    state = try line.text("state")
    keepsManifest = line.flag("manifest")
    var reader = try SettingsReader(line, environment: environment)
    let settings = try Settings(&reader, mode: isDemo ? .demo : .plain)
    workers = settings.workers
    attempts = settings.attempts
    limits = settings.limits
    backoff = isDemo ? .milliseconds(100) : .seconds(1)
    durability = settings.durability
    rate = settings.serverRate
    tool = settings.tool
    queueCapacity = settings.queueMaxSize
    for text in line.all("checksum") {
      // An address may contain "=" too; the digest can't.
      guard let equals = text.lastIndex(of: "=") else {
        throw UsageError("--checksum must be URL=SHA256, not \(text.quotedForDisplay)")
      }
      let digest = text[text.index(after: equals)...]
      guard SHA256.isHexadecimal(digest) else {
        throw UsageError(
          "--checksum needs 64 hexadecimal digits after the last =, not \(digest.quotedForDisplay)")
      }
      checksums.append((String(text[..<equals]), digest.lowercased()))
    }
  }
}
