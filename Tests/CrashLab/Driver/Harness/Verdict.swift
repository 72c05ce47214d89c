/// What one part of the lab found.
struct Verdict {
  let name: String
  private(set) var violations: [String] = []
  private(set) var figures: [(String, String)] = []
  /// Why it could not be tried.
  var skipped: String?

  init(_ name: String) { self.name = name }

  mutating func require(_ holds: Bool, _ violation: @autoclosure () -> String) {
    if !holds { violations.append(violation()) }
  }

  mutating func add(_ found: some Sequence<String>) { violations += found }

  mutating func figure(_ name: String, _ value: some CustomStringConvertible) {
    figures.append((name, value.description))
  }

  /// Prints one line for `Tests/CrashLab/run`, and the violations below it.
  func print() -> Int32 {
    let text = figures.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
    if let skipped {
      Swift.print("SKIP\t\(name)\t\(skipped)")
      return 0
    }
    Swift.print("\(violations.isEmpty ? "PASS" : "FAIL")\t\(name)\t\(text)")
    for violation in violations.prefix(12) { Swift.print("  violation: \(violation)") }
    if violations.count > 12 { Swift.print("  … \(violations.count) in all") }
    return violations.isEmpty ? 0 : 1
  }
}

/// When to stop.
struct Stopwatch {
  private let start = System.now
  private let end: Int64

  init(_ duration: Duration) {
    let parts = duration.components
    end = start + parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000
  }

  var isOver: Bool { System.now >= end }
}
