/// What the command line asks for.
struct Options: Sendable {
  var lists = false
  var printsJSON = false
  var showsHelp = false
  var filter: String?

  static let help = """
    usage: benchmarks [--filter REGEX] [--json] [--list]

      --filter REGEX  run the benchmarks whose name contains a match (the yardsticks always run)
      --json          print one JSON object a line instead of a table
      --list          print the names and measure nothing
      --help          print this

    Times are in nanoseconds unless said otherwise. `ratio` is this minimum over the yardstick's minimum, both
    measured in turns in the same run. `scaled_ns` is what the minimum would be on a machine whose uncontended
    mutex pair takes 9 ns. Needs a release build: swift run -c release benchmarks
    """

  /// - Throws: `UsageError` at the first flag that is unknown or lacks its value, and for a bad expression.
  init(_ arguments: [String]) throws {
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      switch argument {
      case "--list": lists = true
      case "--json": printsJSON = true
      case "--help", "-h": showsHelp = true
      case "--filter":
        guard let value = rest.popFirst() else { throw UsageError("--filter needs an expression") }
        filter = value
      case let flag where flag.hasPrefix("--filter="):
        filter = String(flag.dropFirst("--filter=".count))
      default: throw UsageError("unknown argument \(argument); --help shows what there is")
      }
    }
    _ = try includes("")
  }

  /// Whether the filter lets a name through.
  func includes(_ name: String) throws -> Bool {
    guard let filter else { return true }
    do {
      return try name.contains(Regex(filter))
    } catch {
      throw UsageError("--filter \(filter) is not a regular expression")
    }
  }
}

/// A command line that asks for something impossible, in one line that says what.
struct UsageError: Error {
  var message: String
  init(_ message: String) { self.message = message }
}
