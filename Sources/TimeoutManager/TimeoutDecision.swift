internal import ReliabilityCore

/// What an adaptive timeout allows at a moment, why, and what it has computed that from.
///
///     print(progress.decision)
///     // 42.5 min allowed (estimate): 900.0 s of work left at 1.0 MB/s, x 1.5; base 30.0 min, at most 60.0 min
///
/// A value: it can be kept, compared and put into a report.
public struct TimeoutDecision: Hashable, Sendable {
  /// Why the limit is what it is, or which limit has passed.
  public enum Reason: String, CaseIterable, Hashable, Sendable {
    /// Nothing better is known than the base.
    case base
    /// What was learned about this kind of work.
    case learned
    /// What is left, at the present speed, times the margin.
    case estimate
    /// The estimate, cut at the maximum.
    case maximum
    /// The machine is busy, which stretched the limit.
    case pressure
    /// Passed: the limit for the whole.
    case limitPassed
    /// Passed: no first progress came.
    case noFirstProgress
    /// Passed: progress stopped, or became a trickle.
    case stalled
    /// Passed: heartbeats stopped.
    case heartbeatsStopped
  }

  /// Why.
  public let reason: Reason
  /// Which limit has passed, for the error; `nil` while none has.
  public let passed: TimeoutError.Kind?
  /// How long the work may take, from its start.
  public let limit: Duration
  /// When the first of all limits passes unless there is progress, from the start of the work.
  public let nextLimit: Duration
  /// How long the work has taken.
  public let elapsed: Duration
  /// How long since the last progress, or since the start.
  public let sinceProgress: Duration
  /// The base in force: the configured or the learned one.
  public let base: Duration
  /// What no decision goes beyond: the configured maximum, or what an outer deadline leaves of it.
  public let maximum: Duration
  /// How much is done, in bytes or as a fraction; `nil` before the first report.
  public let completed: Double?
  /// Of how much; `nil` when nobody has said.
  public let total: Double?
  /// Whether the two are fractions of the whole and not bytes.
  public let isFraction: Bool
  /// Progress a second, averaged over the last seconds; `nil` while there is none.
  public let fastSpeed: Double?
  /// Progress a second, averaged over the last minute; `nil` while there is none.
  public let slowSpeed: Double?
  /// How long the rest takes at the slower of the two speeds, without margin; `nil` when nobody can know.
  public let estimatedRemaining: Duration?
  /// By what the estimate is multiplied.
  public let margin: Double
  /// How busy the machine was when it was last asked, 0 to 1.
  public let pressure: Double
  /// The suspicion that heartbeats have stopped; `nil` where nobody looks.
  public let phi: Double?
}

extension TimeoutDecision: CustomStringConvertible {
  /// The limit or what has passed, and what it was computed from, in one line.
  public var description: String {
    var facts: [String] = []
    if let estimatedRemaining, let speed = slowSpeed {
      let pace =
        isFraction ? "\(Self.short(speed * 100)) %/s" : "\(Self.short(speed / 1_000_000)) MB/s"
      let fast = fastSpeed.map { isFraction ? $0 * 100 : $0 / 1_000_000 } ?? 0
      facts.append(
        "\(Self.time(estimatedRemaining)) left at \(pace) (lately \(Self.short(fast))), "
          + "x \(Self.short(margin))")
    } else if total == nil, completed != nil {
      facts.append("the total is not known")
    }
    if pressure > 0 { facts.append("pressure \(Self.short(pressure))") }
    if let phi { facts.append("phi \(Self.short(phi))") }
    facts.append("last progress \(Self.time(sinceProgress)) ago")
    facts.append("base \(Self.time(base)), at most \(Self.time(maximum))")
    let head =
      passed.map { "\($0.rawValue) limit passed after \(Self.time(elapsed)) (\(reason.rawValue))" }
      ?? "\(Self.time(limit)) allowed (\(reason.rawValue))"
    return head + ": " + facts.joined(separator: "; ")
  }

  private static func time(_ duration: Duration) -> String {
    let seconds = duration.seconds
    return seconds < 120 ? "\(short(seconds)) s" : "\(short(seconds / 60)) min"
  }

  /// One digit after the point, also of what does not fit an integer.
  private static func short(_ value: Double) -> String {
    guard value.magnitude < 1e15 else { return "\(value)" }
    return "\((value * 10).rounded() / 10)"
  }
}
