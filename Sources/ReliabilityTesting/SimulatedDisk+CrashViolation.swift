/// A crash that the code under test does not survive: the smallest one that was found.
///
/// Print it: it lists the calls up to the crash, what became of every write that was not yet durable, and what the
/// check said.
public struct CrashViolation: Error, Sendable, CustomStringConvertible {
  /// What the check threw, as text.
  public let message: String
  /// What the check threw.
  public let underlying: any Error
  /// The seed of the exploration.
  public let seed: UInt64
  /// The calls up to the crash.
  public let trace: [TracedCall]
  /// What became of each change that was not durable at the crash, one a line.
  public let changes: [String]
  /// The calls of the recovery up to the second crash, or `nil` when there was only one.
  public let recoveryTrace: [TracedCall]?
  /// What became of each change of the recovery that was not durable at the second crash.
  public let recoveryChanges: [String]?
  /// What was explored until then.
  public internal(set) var report: ExplorationReport

  /// How many of the last calls the text shows.
  private static let shownCalls = 60

  /// The whole story, in order.
  public var description: String {
    var lines = ["A crash breaks a promise: \(message)"]
    lines += CrashViolation.section("the calls of the run", trace)
    lines += ["then the power failed. What was not yet durable:"] + CrashViolation.list(changes)
    if let recoveryTrace, let recoveryChanges {
      lines += CrashViolation.section("after the restart, the calls of the recovery", recoveryTrace)
      lines += ["then the power failed again. What was not yet durable:"]
      lines += CrashViolation.list(recoveryChanges)
    }
    lines.append("explored: \(report)")
    return lines.joined(separator: "\n")
  }

  private static func section(_ title: String, _ trace: [TracedCall]) -> [String] {
    let hidden = trace.count - shownCalls
    let note = hidden > 0 ? " (the last \(shownCalls) of \(trace.count))" : ""
    return ["\(title)\(note):"] + trace.suffix(shownCalls).map(\.description)
  }

  private static func list(_ changes: [String]) -> [String] {
    changes.isEmpty ? ["  nothing"] : changes.map { "  " + $0 }
  }

  /// The part of a trace before a crash.
  static func cut(_ trace: [TracedCall], at point: CrashPoint) -> [TracedCall] {
    var notes = 0
    return Array(
      trace.prefix { call in
        if call.call != nil { return call.number <= point.callCount }
        notes += 1
        return notes <= point.acknowledged && call.number <= point.callCount
      })
  }
}
