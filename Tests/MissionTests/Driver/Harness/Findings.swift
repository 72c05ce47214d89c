import Reliability

/// What a check found: lines for people, figures for the table, and violations, of which there must be none.
final class Findings: Sendable {
  private struct Contents {
    var figures: [Figure] = []
    var violations: [String] = []
  }

  private let contents = Lock(Contents())

  /// Says what was done.
  func note(_ text: String) { print(text) }

  /// Adds a line to the table of thresholds.
  ///
  /// A count that is not met is a violation. A time is one only when half of the samples missed it by far: other work on
  /// the machine must not fail a build, so that a time that was missed by little is only said.
  func add(_ figure: Figure) {
    contents.withLock { $0.figures.append(figure) }
    if figure.isViolated { violation("\(figure.name): \(figure.measured), limit \(figure.limit)") }
  }

  /// Something that must never be.
  func violation(_ text: String) {
    print("  violation \(text)")
    contents.withLock { $0.violations.append(text) }
  }

  func expect(_ holds: Bool, _ text: @autoclosure () -> String) {
    if !holds { violation(text()) }
  }

  /// Prints the table and the verdict.
  ///
  /// - Returns: Whether nothing was violated.
  func report() -> Bool {
    let (figures, violations) = contents.withLock { ($0.figures, $0.violations) }
    if !figures.isEmpty { print(Figure.table(figures)) }
    print(violations.isEmpty ? "PASS" : "FAIL: \(violations.count) violations")
    return violations.isEmpty
  }
}
