public import ReliabilityCore

/// One question that is asked again and again about one component.
///
///     let database = HealthCheck("database:responseTime", interval: .seconds(15), timeout: .seconds(2)) {
///       let start = clock.now
///       try await connection.query("SELECT 1")
///       return .pass(observing: (clock.now - start).inMilliseconds, unit: "ms")
///     }
///
/// A check that throws has failed; one that throws `CancellationError` says nothing, and the last answer grows old.
public struct HealthCheck: Sendable {
  /// For what a component counts.
  public enum Scope: String, CaseIterable, Hashable, Sendable {
    /// The process itself: when it fails, only a restart helps.
    ///
    /// A deadlocked worker, a corrupt state. Counts for liveness and for readiness.
    case process
    /// What the process can't work without; counts for readiness.
    case dependency
    /// What the process can do without: shown, and never worse than a warning for the whole.
    case optional
  }

  /// The component, maybe with what is measured: `database` or `database:responseTime`.
  public let name: String
  /// For what it counts.
  public let scope: Scope
  /// How long from one start to the next; 1 millisecond or more.
  public let interval: Duration
  /// How long it may take; greater than zero.
  public let timeout: Duration
  /// What kind of component it is, for the document: `datastore`, `system`, `component`.
  public let componentType: String?
  /// After how many intervals without an answer the last one is stale; 1 or more.
  public var missedIntervals = 3
  /// How long it must fail without a pause before an alert is raised; zero, the default: the first failure raises it.
  public var alertAfter: Duration = .zero
  /// How long it must be well without a pause before its alert is cleared; three intervals by default.
  ///
  /// This is what makes one alert of a component that flaps.
  public var clearAfter: Duration

  let body: @Sendable () async throws -> HealthReading

  /// Makes a check.
  ///
  /// - Parameters:
  ///   - name: The component, maybe with what is measured: one of a small set of words, unique in its monitor.
  ///   - scope: For what it counts.
  ///   - interval: How long from one start to the next; 30 seconds by default, 1 millisecond or more. A check that is still running
  ///     when the next one is due is not started twice.
  ///   - timeout: How long it may take; 5 seconds by default, greater than zero. Then the component counts as failed, and the body is
  ///     cancelled. `Deadline.current` tells it inside.
  ///   - componentType: What kind of component it is, for the document.
  ///   - body: Asks. Runs in a task of its own; must not block its thread.
  public init(
    _ name: String, scope: Scope = .dependency, interval: Duration = .seconds(30),
    timeout: Duration = .seconds(5), componentType: String? = nil,
    _ body: @escaping @Sendable () async throws -> HealthReading
  ) {
    self.name = name
    self.scope = scope
    self.interval = interval
    self.timeout = timeout
    self.componentType = componentType
    clearAfter = interval.saturatingMultiply(by: 3, limit: .farAway)
    self.body = body
  }

  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public func validate() throws(ConfigurationError) {
    try check(!name.isEmpty && name.utf8.count <= 200, "name", "must have 1 to 200 bytes")
    try check(interval >= .milliseconds(1), "interval", "must be at least 1 ms")
    try check(timeout > .zero, "timeout", "must be greater than zero")
    try check(missedIntervals >= 1, "missedIntervals", "must be at least 1")
    try check(alertAfter >= .zero, "alertAfter", "must not be negative")
    try check(clearAfter >= .zero, "clearAfter", "must not be negative")
  }
}
