/// What a program accepts on its command line: enough to parse it and to explain it.
///
///     let grammar = CommandLineGrammar(
///       usage: ["greet [NAME …]"], summary: "Greets people.",
///       options: [.value("times", "N", "how often (1 to 9, default 1)"), .flag("loud", "in capitals")])
///     let line = try grammar.parse(["--times=3", "Ada"])
///     print(try line.integer("times", in: 1...9) ?? 1, line.operands)  // 3 ["Ada"]
///
/// `--name value` and `--name=value` mean the same; `--` ends the options; the last of several values counts unless
/// the option may be repeated; `--help` and `-h` are always there.
public struct CommandLineGrammar: Sendable {
  /// One option.
  public struct Option: Sendable {
    let name: String
    let placeholder: String?
    let help: String

    /// An option without a value.
    public static func flag(_ name: String, _ help: String) -> Option {
      Option(name: name, placeholder: nil, help: help)
    }

    /// An option with a value.
    public static func value(_ name: String, _ placeholder: String, _ help: String) -> Option {
      Option(name: name, placeholder: placeholder, help: help)
    }
  }

  let usage: [String]
  let summary: String
  let options: [Option]
  let epilogue: String

  /// Describes a command line.
  ///
  /// - Parameters:
  ///   - usage: The forms the command takes, each starting with the program's name.
  ///   - summary: What the program does.
  ///   - options: The options, in the order of the help.
  ///   - epilogue: Shown at the end of the help.
  public init(usage: [String], summary: String, options: [Option], epilogue: String = "") {
    self.usage = usage
    self.summary = summary
    self.options = options + [.flag("help", "show this and leave")]
    self.epilogue = epilogue
  }

  /// The text of `--help`.
  public var help: String {
    let columns = options.map { option in
      (left: "  --\(option.name)\(option.placeholder.map { " \($0)" } ?? "")", right: option.help)
    }
    let width = (columns.map(\.left.count).max() ?? 0) + 2
    var lines = usage.enumerated().map { ($0 == 0 ? "Usage: " : "       ") + $1 }
    lines += ["", summary, "", "Options:"]
    lines += columns.map { left, right in
      left + String(repeating: " ", count: width - left.count) + right
    }
    if !epilogue.isEmpty { lines += ["", epilogue] }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Takes a command line apart.
  ///
  /// - Parameter arguments: The arguments without the program's name.
  /// - Throws: ``UsageError`` for an option that doesn't exist, lacks its value, or has one and must not.
  public func parse(_ arguments: [String]) throws(UsageError) -> ParsedCommandLine {
    var parsed = ParsedCommandLine()
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      if argument == "--" {
        parsed.operands += rest
        break
      }
      guard argument.hasPrefix("-"), argument != "-" else {
        parsed.operands.append(argument)
        continue
      }
      let text = argument == "-h" ? "--help" : argument
      let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let option = options.first(where: { "--\($0.name)" == parts[0] }) else {
        throw UsageError("unknown option \(parts[0].quotedForDisplay)\(suggestion(for: parts[0]))")
      }
      guard let placeholder = option.placeholder else {
        guard parts.count == 1 else { throw UsageError("--\(option.name) takes no value") }
        parsed.flags.insert(option.name)
        continue
      }
      if parts.count == 2 {
        parsed.values[option.name, default: []].append(String(parts[1]))
      } else if let value = rest.first, !value.hasPrefix("--") {
        parsed.values[option.name, default: []].append(value)
        rest.removeFirst()
      } else {
        throw UsageError("--\(option.name) needs a value: --\(option.name) \(placeholder)")
      }
    }
    return parsed
  }

  private func suggestion(for text: Substring) -> String {
    let word = text.drop { $0 == "-" }
    let near = options.first { !word.isEmpty && ($0.name.hasPrefix(word) || word == $0.name) }
    return near.map { "; did you mean --\($0.name)?" } ?? "; --help lists what there is"
  }
}

/// What was found on a command line.
public struct ParsedCommandLine: Sendable {
  /// What is neither an option nor the value of one, in order.
  public internal(set) var operands: [String] = []

  var flags: Set<String> = []
  var values: [String: [String]] = [:]

  /// Whether an option without a value was given.
  public func flag(_ name: String) -> Bool { flags.contains(name) }

  /// Every value of an option, in order.
  public func all(_ name: String) -> [String] { values[name] ?? [] }

  /// The value of an option, or `nil` when it was not given.
  public func text(_ name: String) throws(UsageError) -> String? {
    guard let value = values[name]?.last else { return nil }
    guard !value.isEmpty, !value.utf8.contains(0) else {
      throw UsageError("--\(name) must not be empty")
    }
    return value
  }

  /// The value of an option as a whole number.
  ///
  /// - Throws: ``UsageError`` when it is not a number of the range.
  public func integer(_ name: String, in range: ClosedRange<Int>) throws(UsageError) -> Int? {
    guard let value = values[name]?.last else { return nil }
    guard let number = Int(value), range ~= number else {
      throw UsageError(
        "--\(name) must be a whole number from \(range.lowerBound) to \(range.upperBound), "
          + "not \(value.quotedForDisplay)")
    }
    return number
  }

  /// The value of an option as a number of seconds, which may have a fraction.
  ///
  /// - Throws: ``UsageError`` when it is not a number of the range.
  public func seconds(_ name: String, in range: ClosedRange<Double>) throws(UsageError) -> Duration?
  {
    guard let value = values[name]?.last else { return nil }
    guard let number = Double(value), range ~= number else {
      throw UsageError(
        "--\(name) must be a number of seconds from \(range.lowerBound) to "
          + "\(range.upperBound), not \(value.quotedForDisplay)")
    }
    return .seconds(number)
  }
}

/// A command line that breaks a rule; the message names the option and says what is allowed.
public struct UsageError: Error, Hashable, CustomStringConvertible {
  /// One line without the program's name.
  public let description: String

  /// Makes an error from one line.
  public init(_ description: String) { self.description = description }
}

extension StringProtocol {
  /// The text between quotes, on one line and not too long, safe to show on a terminal.
  public var quotedForDisplay: String {
    var text = ""
    for scalar in unicodeScalars.prefix(120) {
      let value = scalar.value
      // Control characters and the marks that turn the direction of writing around could forge what is shown.
      let hidden =
        value < 32 || (127..<160) ~= value || (0x202a...0x202e) ~= value
        || (0x2066...0x2069) ~= value
      if hidden {
        text += "\\u{\(String(value, radix: 16))}"
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
    return "\"\(text)\(unicodeScalars.count > 120 ? "…" : "")\""
  }
}
