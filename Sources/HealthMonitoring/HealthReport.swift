public import ReliabilityCore

/// The last answers of all checks at one moment.
///
///     let report = monitor.report()
///     for component in report.components where component.status != .pass {
///       print(component.name, component.status, component.output ?? "")
///     }
///
/// Made from answers that are there already: no check runs for it.
public struct HealthReport: Sendable {
  /// The last answer of one check, and how old it is.
  public struct Component: Sendable {
    /// The check's name.
    public let name: String
    /// For what it counts.
    public let scope: HealthCheck.Scope
    /// What kind of component it is.
    public let componentType: String?
    /// How well it is.
    public let status: HealthStatus
    /// What was measured, if anything.
    public let observedValue: Double?
    /// The unit of what was measured.
    public let observedUnit: String?
    /// What is wrong, for a person.
    ///
    /// Of an error that a check threw, only the sentence that it has for people (`ClassifiedError.userMessage`) or the name of
    /// its type: a description may hold an address or a password, and this document is read by strangers.
    public let output: String?
    /// What the check threw, if that is why it failed.
    public let error: (any Error)?
    /// When the answer was given, by the wall clock; `nil` when there is none.
    public let checkedAt: WallTime?
    /// How old the answer is, by the monotonic clock; `nil` when there is none.
    public let age: Duration?
    /// How long the check took, or until it was given up; `nil` when there is no answer.
    public let duration: Duration?
    /// For how long the check is running already, when it ignores that its time is over.
    ///
    /// It is not started again until it ends.
    public let hangingFor: Duration?
  }

  /// What answers are about.
  public let service: HealthMonitor.Service
  /// When the report was made, by the wall clock.
  public let time: WallTime
  /// The components, in the order of their checks.
  public let components: [Component]
  /// The alerts that are raised, those of components first.
  public let alerts: [HealthAlert]

  /// The answer to a probe: that of the worst component that counts for it.
  public func status(for probe: HealthProbe) -> HealthStatus {
    components.lazy.filter { probe.includes($0) }.map { probe.counted($0) }.max() ?? .pass
  }
}

extension HealthProbe {
  /// Whether a component is of interest.
  func includes(_ component: HealthReport.Component) -> Bool {
    self != .liveness || component.scope == .process
  }

  /// As what a component counts for the whole.
  func counted(_ component: HealthReport.Component) -> HealthStatus {
    if component.scope == .optional { return component.status == .pass ? .pass : .warn }
    if self == .liveness, component.status == .unknown { return .pass }
    return component.status
  }
}

/// Something is wrong, and has been for long enough to tell somebody.
///
///     for alert in monitor.alerts { print(alert) }  // dead_letters: 12.0 is above 10.0
public struct HealthAlert: Hashable, Sendable {
  /// The name of the rule, or of the check.
  public let name: String
  /// Whether it is about a check, and not about a rule's value.
  public let isComponent: Bool
  /// The rule's threshold; `nil` for a component.
  public let threshold: AlertRule.Threshold?
  /// The value at the last evaluation; `nil` for a component, and when there was none.
  public let value: Double?
  /// The rule's note, or what the check said, as far as there is something.
  public let note: String?
  /// When it was raised, by the wall clock.
  public let since: WallTime
}

extension HealthAlert: CustomStringConvertible {
  /// The name, what is wrong, and the note.
  public var description: String {
    var text = name
    if let threshold {
      let words =
        switch threshold {
        case .above: "above"
        case .atLeast: "at or above"
        case .below: "below"
        case .atMost: "at or below"
        }
      text += ": \(value.map { "\($0)" } ?? "the value") is \(words) \(threshold.value)"
    } else {
      text += ": fail"
    }
    return note.map { "\(text) (\($0))" } ?? text
  }
}
