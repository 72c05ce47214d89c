/// How a result is shown: as a row for people, as a line of JSON for programs.
enum Report {
  static let tableHeader = row(
    ["name", "unit", "min", "median", "p99", "yardstick", "ratio", "allocs", "figures"])

  static func tableRow(_ result: Result) -> String {
    row([
      result.name, result.unit.name,
      short(result.summary.min), short(result.summary.median), short(result.summary.p99),
      result.yardstick.map { short($0.summary.min) } ?? "-",
      result.ratio.map(short) ?? "-",
      result.allocations.map(short) ?? "-",
      result.figures.map { "\($0.name)=\(short($0.value))" }.joined(separator: " "),
    ])
  }

  /// One object on one line; every key is always there.
  static func json(_ result: Result) -> String {
    let yardstick = result.yardstick.map { name, summary in
      object([
        ("name", string(name)), ("min", number(summary.min)), ("median", number(summary.median)),
        ("p99", number(summary.p99)),
      ])
    }
    return object([
      ("name", string(result.name)),
      ("unit", string(result.unit.name)),
      ("min", number(result.summary.min)),
      ("median", number(result.summary.median)),
      ("p99", number(result.summary.p99)),
      ("samples", "\(result.summary.samples)"),
      ("yardstick", yardstick ?? "null"),
      ("ratio", number(result.ratio)),
      ("allocations", number(result.allocations)),
      ("figures", object(result.figures.map { ($0.name, number($0.value)) })),
    ])
  }

  private static func object(_ members: [(String, String)]) -> String {
    "{" + members.map { "\(string($0)):\($1)" }.joined(separator: ",") + "}"
  }

  /// JSON knows no NaN and no infinity.
  static func number(_ value: Double?) -> String {
    guard let value, value.isFinite else { return "null" }
    return "\((value * 1e4).rounded() / 1e4)"
  }

  static func string(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": result += "\\\(scalar)"
      case "\u{0}"..."\u{1F}":
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  private static func row(_ cells: [String]) -> String {
    let widths = [28, 5, 10, 10, 10, 10, 7, 7]
    var line = ""
    for (index, cell) in cells.enumerated() {
      guard index < widths.count else {
        line += "  " + cell
        continue
      }
      let padding = String(repeating: " ", count: max(0, widths[index] - cell.count))
      line += index < 2 ? cell + padding + " " : padding + cell + " "
    }
    while line.last == " " { line.removeLast() }
    return line
  }

  /// About four digits: 0.123, 12.3, 1234.
  static func short(_ value: Double) -> String {
    guard value.isFinite else { return "\(value)" }
    let scale: Double =
      switch value.magnitude {
      case ..<10: 1000
      case ..<1000: 10
      default: 1
      }
    let rounded = (value * scale).rounded() / scale
    return rounded == rounded.rounded() && rounded.magnitude < 1e15
      ? "\(Int(rounded))" : "\(rounded)"
  }
}
