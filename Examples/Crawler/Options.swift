internal import Reliability
internal import ReliabilityExampleSupport

/// What the command line asks for.
struct Options {
  enum Mode: Hashable {
    case crawl
    case demo
    /// Serves the demo's sites until it is stopped.
    case serve
  }

  var mode = Mode.crawl
  var plan = Crawl.Plan()
  var output: String?
  var state: String?
  var languageData: String?
  var allowsPrivate = false
  var attempts = 3
  var timeout: Duration
  var rate: Int
  var isJSON = false
  var isQuiet = false
  var showsHelp = false
  /// How many plain pages the served site has; 0 for the demo's.
  var servedPages = 0

  static let grammar = CommandLineGrammar(
    usage: ["crawler SEED-URL … [options]", "crawler demo [options]"],
    summary: """
      Visits the pages of the seeds' sites, listens to the sounds they refer to, and writes what fits: the
      address to urls.txt, what is known of it to metadata.jsonl, and an entry to manifest.json, all three
      or none. Without a URL it runs the demo, against servers of its own that misbehave on purpose.
      """,
    options: [
      .value("output", "DIR", "where the outputs go (default: here; the demo: a temporary place)"),
      .value("max-pages", "N", "how many pages at most (default 1000)"),
      .value("depth", "N", "how many links away from a seed, 0 to 1000 (default 5)"),
      .value("workers", "N", "how many at once, 1 to 64 (default 20)"),
      .value("language", "CODE", "only finds on pages in this language: \(Self.languages)"),
      .value("voice", "VOICE", "only finds with this voice: child, adult, or any (default any)"),
      .value(
        "state", "DIR", "where an interrupted crawl is kept (default: .crawler in the output)"),
      .flag(
        "allow-private", "also visit this machine and private networks beyond the seeds' sites"),
      .value("attempts", "N", "how often to try each address in all, 1 to 100 (default 3)"),
      .value(
        "timeout", "S", "seconds a page may take, a sound ten times that (default 30; the demo: 2)"),
      .value("rate", "N", "requests a second to each public site, 1 to 10000 (default 10)"),
      .value("language-data", "DIR", "learn the languages from texts such as en.txt instead"),
      .flag("json", "end with one line of JSON on standard output, all else on standard error"),
      .flag("quiet", "show only what went wrong"),
    ],
    epilogue: """
      Leaves with 0 when all is well, 1 when a seed could not be visited or a find not be written, 2 for a
      wrong option or URL, 130 after Ctrl-C. What fails on the way is told in errors.jsonl. Run the same
      command again after an interruption, and it goes on.
      """)

  private static let languages = LanguageSamples.all.keys.sorted().joined(separator: ", ")

  /// Reads a command line.
  ///
  /// - Parameter arguments: The arguments without the program's name.
  /// - Throws: `UsageError` with one line that names the option and says what is allowed.
  init(_ arguments: [String]) throws(UsageError) {
    // Not in the help: what the scripts beside this program need.
    var arguments = arguments
    if arguments.first == "serve" {
      mode = .serve
      arguments.removeFirst()
      if let count = arguments.first, let pages = Int(count) {
        servedPages = pages
        arguments.removeFirst()
      }
    }
    let line = try Self.grammar.parse(arguments)
    showsHelp = line.flag("help")
    isJSON = line.flag("json")
    isQuiet = line.flag("quiet")
    output = try line.text("output")
    state = try line.text("state")
    languageData = try line.text("language-data")
    allowsPrivate = line.flag("allow-private")
    var operands = line.operands
    if mode == .crawl, operands.isEmpty || operands.first == "demo" {
      mode = .demo
      if !operands.isEmpty { operands.removeFirst() }
    }
    if mode != .crawl, let extra = operands.first {
      throw UsageError("the demo takes no URL, but \(extra.quotedForDisplay) was given")
    }
    plan.mostPages = try line.integer("max-pages", in: 1...10_000_000) ?? 1_000
    plan.depth = try line.integer("depth", in: 0...1_000) ?? 5
    plan.workers = try line.integer("workers", in: 1...64) ?? 20
    attempts = try line.integer("attempts", in: 1...100) ?? 3
    timeout =
      try line.seconds("timeout", in: 0.1...86_400) ?? .seconds(mode == .demo ? 2 : 30)
    rate = try line.integer("rate", in: 1...10_000) ?? 10
    plan.language = try line.text("language")?.lowercased()
    switch try line.text("voice") {
    case "child": plan.voice = "child"
    case "adult": plan.voice = "adult"
    case "any": plan.voice = nil
    case nil: plan.voice = mode == .demo ? "child" : nil
    case let other?:
      throw UsageError("--voice must be child, adult or any, not \(other.quotedForDisplay)")
    }
    if mode == .demo, plan.language == nil { plan.language = "en" }
    plan.seeds = try Self.seeds(operands)
  }

  private static func seeds(_ texts: [String]) throws(UsageError) -> [WebAddress] {
    var seeds: [WebAddress] = []
    for text in texts {
      guard let seed = WebAddress(text) else {
        throw UsageError(
          "\(text.quotedForDisplay) is not an http or https URL without user name; one looks like "
            + "https://example.org/")
      }
      if !seeds.contains(seed) { seeds.append(seed) }
    }
    return seeds
  }
}
