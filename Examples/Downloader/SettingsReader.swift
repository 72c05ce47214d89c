internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// Finds the value of a setting: a flag, else an environment variable, else a line of the `--env-file`, else the default.
///
///     var reader = try SettingsReader(line)
///     let workers = try reader.integer("workers", "JOB_WORKERS", in: 1...64, default: 4)
///
/// What it has found is kept with where it came from, for `downloader config`.
struct SettingsReader {
  /// Where a value came from.
  enum Source: Hashable, Sendable, CustomStringConvertible {
    case flag
    case environment
    case file(String)
    case standard

    var description: String {
      switch self {
      case .flag: "flag"
      case .environment: "environment"
      case .file(let path): path
      case .standard: "default"
      }
    }
  }

  /// A setting that is in force.
  struct Entry: Hashable, Sendable {
    var name: String
    var value: String
    var source: Source
    /// What there is to say about it.
    var note: String?
  }

  private let line: ParsedCommandLine
  private let environment: [String: String]
  private let file: [String: String]
  private let path: String
  private(set) var entries: [Entry] = []

  /// - Parameters:
  ///   - line: The flags; `--env-file` names a further file.
  ///   - environment: The environment variables.
  /// - Throws: `UsageError` when the file can't be read.
  init(
    _ line: ParsedCommandLine,
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws(UsageError) {
    self.line = line
    self.environment = environment
    path = try line.text("env-file") ?? ""
    file = path.isEmpty ? [:] : try EnvironmentFile.read(path)
  }

  private struct Found {
    var name: String
    var text: String
    var source: Source
  }

  private func find(_ flag: String?, _ variable: String?) throws(UsageError) -> Found? {
    if let flag, let text = line.all(flag).last {
      return Found(name: "--\(flag)", text: text, source: .flag)
    }
    guard let variable else { return nil }
    if let text = environment[variable] {
      return Found(name: variable, text: text, source: .environment)
    }
    if let text = file[variable] {
      return Found(name: variable, text: text, source: .file(path))
    }
    return nil
  }

  /// Whether somebody set it.
  func isSet(_ flag: String?, _ variable: String?) -> Bool { (try? find(flag, variable)) != nil }

  private mutating func value<Value>(
    _ flag: String?, _ variable: String?, default standard: Value?, rule: String,
    _ parse: (String) -> Value?
  ) throws(UsageError) -> Value? {
    let name = variable ?? flag.map { "--\($0)" } ?? ""
    guard let found = try find(flag, variable) else {
      entries.append(
        Entry(name: name, value: standard.map { "\($0)" } ?? "", source: .standard))
      return standard
    }
    guard let value = parse(found.text) else {
      throw UsageError("\(found.name) must be \(rule), not \(found.text.quotedForDisplay)")
    }
    entries.append(Entry(name: name, value: found.text, source: found.source))
    return value
  }

  /// A whole number.
  mutating func integer(
    _ flag: String?, _ variable: String?, in range: ClosedRange<Int>, default standard: Int
  ) throws(UsageError) -> Int {
    let rule = "a whole number from \(range.lowerBound) to \(range.upperBound)"
    return try value(flag, variable, default: standard, rule: rule) { text in
      Int(text).flatMap { range ~= $0 ? $0 : nil }
    } ?? standard
  }

  /// A number that may have a fraction.
  mutating func number(
    _ flag: String?, _ variable: String?, in range: ClosedRange<Double>, default standard: Double
  ) throws(UsageError) -> Double {
    let rule = "a number from \(range.lowerBound) to \(range.upperBound)"
    return try value(flag, variable, default: standard, rule: rule) { text in
      Double(text).flatMap { range ~= $0 ? $0 : nil }
    } ?? standard
  }

  /// A number of seconds, which may have a fraction.
  mutating func seconds(
    _ flag: String?, _ variable: String?, in range: ClosedRange<Double> = 0.001...31_536_000,
    default standard: Double
  ) throws(UsageError) -> Duration {
    let rule = "a number of seconds from \(range.lowerBound) to \(range.upperBound)"
    let seconds = try value(flag, variable, default: standard, rule: rule) { text in
      Double(text).flatMap { range ~= $0 ? $0 : nil }
    }
    return .seconds(seconds ?? standard)
  }

  /// A yes or no.
  mutating func bool(_ variable: String, default standard: Bool) throws(UsageError) -> Bool {
    try value(nil, variable, default: standard, rule: "true or false") { text in
      switch text.lowercased() {
      case "true", "1", "yes", "on": true
      case "false", "0", "no", "off": false
      default: nil
      }
    } ?? standard
  }

  /// One of a few words.
  mutating func word<Value: RawRepresentable & CaseIterable>(
    _ flag: String, default standard: Value
  ) throws(UsageError) -> Value where Value.RawValue == String {
    let words = Value.allCases.map(\.rawValue).joined(separator: ", ")
    let found: String? = try value(
      flag, nil, default: standard.rawValue, rule: "one of \(words)"
    ) { Value(rawValue: $0) == nil ? nil : $0 }
    return found.flatMap(Value.init) ?? standard
  }

  /// A text that is not empty.
  mutating func text(_ flag: String, default standard: String? = nil) throws(UsageError) -> String?
  {
    let text = try line.text(flag)
    entries.append(
      Entry(
        name: "--\(flag)", value: text ?? standard ?? "", source: text == nil ? .standard : .flag))
    return text ?? standard
  }

  /// A switch.
  mutating func flag(_ flag: String) -> Bool {
    let isOn = line.flag(flag)
    entries.append(
      Entry(name: "--\(flag)", value: "\(isOn)", source: isOn ? .flag : .standard))
    return isOn
  }

  /// A variable that means nothing here; reported when somebody sets it.
  mutating func unused(_ variable: String, _ why: String) throws(UsageError) {
    let found = try find(nil, variable)
    entries.append(
      Entry(
        name: variable, value: found?.text ?? "", source: found?.source ?? .standard,
        note: "unused: \(why)"))
  }
}

/// A file of `NAME=value` lines, as `.env` files are.
enum EnvironmentFile {
  static func read(_ path: String) throws(UsageError) -> [String: String] {
    guard let data = FileManager.default.contents(atPath: path),
      let text = String(data: data, encoding: .utf8)
    else {
      throw UsageError("--env-file can't read \(path.quotedForDisplay); give a text file")
    }
    return try parse(text, path: path)
  }

  /// Comments begin with `#`, `export` may stand before a name, and a value may be in quotes.
  static func parse(_ text: String, path: String) throws(UsageError) -> [String: String] {
    var values: [String: String] = [:]
    for (number, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
      .enumerated()
    {
      var line = line.trimmingCharacters(in: .whitespaces)
      if line.isEmpty || line.hasPrefix("#") { continue }
      if line.hasPrefix("export ") { line = String(line.dropFirst(7)) }
      guard let equals = line.firstIndex(of: "="), equals > line.startIndex else {
        throw UsageError(
          "line \(number + 1) of \(path.quotedForDisplay) must be NAME=value, not "
            + line.quotedForDisplay)
      }
      let name = line[..<equals].trimmingCharacters(in: .whitespaces)
      var value = line[line.index(after: equals)...].trimmingCharacters(in: .whitespaces)
      if value.count >= 2, let quote = value.first, quote == "\"" || quote == "'",
        value.last == quote
      {
        value = String(value.dropFirst().dropLast())
      } else if let comment = value.range(of: " #") {
        value = value[..<comment.lowerBound].trimmingCharacters(in: .whitespaces)
      }
      values[name] = value
    }
    return values
  }
}
