/// Something that happened to a monitor: what its observer is told.
///
///     configuration.observer = { event in
///       if event.kind == .alertRaised { page(event.description) }
///     }
public struct HealthEvent: Sendable {
  /// What happened.
  public struct Kind: RawRepresentable, Hashable, Sendable {
    /// The word itself.
    public let rawValue: String

    /// Makes a kind from a word.
    ///
    /// - Parameter rawValue: A word in lower camel case.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// A check's answer is another one than before.
    ///
    /// A component that flaps tells this every time; its alert is raised once.
    public static let statusChanged = Kind(rawValue: "statusChanged")
    /// A check did not end in time; it was cancelled and counts as failed.
    public static let timedOut = Kind(rawValue: "timedOut")
    /// A check that had not ended in time has ended.
    public static let endedLate = Kind(rawValue: "endedLate")
    /// An alert was raised.
    public static let alertRaised = Kind(rawValue: "alertRaised")
    /// An alert was cleared.
    public static let alertCleared = Kind(rawValue: "alertCleared")
  }

  /// What happened.
  public let kind: Kind
  /// The name of the check or the rule.
  public let name: String
  /// The alert, of the two kinds that are about one.
  public let alert: HealthAlert?
  /// How well the component was before; `nil` for a rule.
  public let before: HealthStatus?
  /// How well the component is; `nil` for a rule.
  public let after: HealthStatus?
  /// What the check threw, if that is why it failed.
  public let error: (any Error)?

  init(
    _ kind: Kind, _ name: String, alert: HealthAlert? = nil, before: HealthStatus? = nil,
    after: HealthStatus? = nil, error: (any Error)? = nil
  ) {
    self.kind = kind
    self.name = name
    self.alert = alert
    self.before = before
    self.after = after
    self.error = error
  }
}

extension HealthEvent: CustomStringConvertible {
  /// One line; without the error, which may say more than a log should.
  public var description: String {
    if let alert { return "\(kind.rawValue) \(alert)" }
    var text = "\(kind.rawValue) \(name)"
    if let before, let after, before != after { text += ": \(before) > \(after)" }
    return text
  }
}
