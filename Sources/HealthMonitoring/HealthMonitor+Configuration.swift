public import ReliabilityCore

extension HealthMonitor {
  /// What the answers are about, for the documents.
  ///
  ///     configuration.service = .init(id: "downloader", version: "1", releaseID: "1.4.2")
  public struct Service: Hashable, Sendable {
    /// The service's own name.
    public var id: String?
    /// The public version of its interface.
    public var version: String?
    /// The version of what runs.
    public var releaseID: String?
    /// What it is, for a person.
    public var description: String?

    /// Makes a description of a service.
    ///
    /// - Parameters:
    ///   - id: The service's own name.
    ///   - version: The public version of its interface.
    ///   - releaseID: The version of what runs.
    ///   - description: What it is, for a person.
    public init(
      id: String? = nil, version: String? = nil, releaseID: String? = nil,
      description: String? = nil
    ) {
      self.id = id
      self.version = version
      self.releaseID = releaseID
      self.description = description
    }
  }

  /// What a monitor does beside asking its checks.
  ///
  ///     var configuration = HealthMonitor.Configuration()
  ///     configuration.rules = AlertRule.recommended(in: registry)
  ///     configuration.observer = { event in log(event.description) }
  public struct Configuration: Sendable {
    /// The alert rules; none by default.
    public var rules: [AlertRule]
    /// How long from one evaluation of the rules to the next; 10 seconds by default, 1 millisecond or more.
    public var alertInterval: Duration
    /// What the answers are about.
    public var service: Service
    /// Told about alerts and changes, outside locks, one event after the other.
    ///
    /// May use the monitor. One that blocks holds up the next events, and nothing else.
    public var observer: (@Sendable (HealthEvent) -> Void)?
    /// The clock that decides.
    public var clock: any TimeSource
    /// The clock that is shown.
    public var wallClock: @Sendable () -> WallTime

    /// Makes a configuration with the defaults.
    ///
    /// - Parameters:
    ///   - rules: The alert rules.
    ///   - alertInterval: How long from one evaluation of the rules to the next.
    ///   - service: What the answers are about.
    public init(
      rules: [AlertRule] = [], alertInterval: Duration = .seconds(10), service: Service = .init()
    ) {
      self.rules = rules
      self.alertInterval = alertInterval
      self.service = service
      observer = nil
      clock = ContinuousClock()
      wallClock = { .now }
    }

    /// Checks values that came from outside the code.
    ///
    /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
    public func validate() throws(ConfigurationError) {
      try check(alertInterval >= .milliseconds(1), "alertInterval", "must be at least 1 ms")
      for (index, rule) in rules.enumerated() {
        do {
          try rule.validate()
        } catch {
          throw ConfigurationError(field: "rules[\(index)].\(error.field)", rule: error.rule)
        }
      }
    }
  }

  /// Checks what came from outside the code: the configuration, the checks, and that no name is there twice.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public static func validate(
    _ checks: [HealthCheck], _ configuration: Configuration
  ) throws(ConfigurationError) {
    try configuration.validate()
    var names: Set<String> = []
    for (index, one) in checks.enumerated() {
      do {
        try one.validate()
      } catch {
        throw ConfigurationError(field: "checks[\(index)].\(error.field)", rule: error.rule)
      }
      try check(names.insert(one.name).inserted, "checks[\(index)].name", "must not occur twice")
    }
    for (index, rule) in configuration.rules.enumerated() {
      try check(names.insert(rule.name).inserted, "rules[\(index)].name", "must not occur twice")
    }
  }
}
