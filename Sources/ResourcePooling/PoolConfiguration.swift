public import ReliabilityCore

/// How many resources there are, how long they live, and how long anybody waits.
///
///     var configuration = PoolConfiguration(minimum: 1, maximum: 4)
///     configuration.leaseTimeout = .seconds(5)
///     configuration.discardAfter = { $0 is ConnectionLost || $0 is CancellationError }
///     configuration.observer = { event in print(event) }
///
/// A bad value traps with field and rule when the pool is made; ``validate()`` is for values from outside the code.
public struct PoolConfiguration: Sendable {
  /// How many are kept although nobody needs them; 2 by default, 0 at least.
  ///
  /// Being idle ends no resource of these. While the pool's `run()` is going on they are also made ahead of need and replaced.
  public var minimum: Int

  /// How many there may be at once, those being made and closed included; 10 by default, 1 at least and not below ``minimum``.
  public var maximum: Int

  /// How many callers may wait, 0 or more; 10,000 by default.
  ///
  /// Further ones are refused at once. Those for whom a resource is on its way, or may be made, don't count.
  public var maximumWaiters: Int

  /// The longest wait for a resource when a caller gives none; 30 seconds by default, `nil` for no limit.
  ///
  /// Zero or more; with zero nobody waits. `Deadline.current` shortens it.
  public var leaseTimeout: Duration?

  /// How long a resource beyond the minimum may be idle; 10 minutes by default, greater than zero, `nil` for no limit.
  public var idleLimit: Duration?

  /// How old a resource may be; 30 minutes by default, greater than zero, `nil` for no limit.
  ///
  /// An idle one is closed when its time comes, a lent one when it is given back.
  public var maximumAge: Duration?

  /// Which part of the two limits above chance may take off, for each resource anew; 0.1 by default, 0 to 1.
  ///
  /// Without it resources that were made together would all be replaced together.
  public var jitter: Double

  /// How many failed uses in a row end a resource; 5 by default, 1 at least, `nil` for no limit.
  ///
  /// A use fails when the body of `withResource` throws something other than a cancellation.
  public var maximumErrors: Int?

  /// How long a resource must have been idle to be checked before it is lent; zero by default: always.
  ///
  /// Zero or more. With a second, say, a busy pool pays for no checks and an idle one still lends nothing dead.
  public var checkAfterIdle: Duration

  /// How long to wait after a creation that failed, after the second one in a row, and so on.
  ///
  /// 100 milliseconds doubled up to 30 seconds by default, half of it at random.
  public var creationBackoff: Backoff

  /// How long making a resource may take before it is cancelled; 30 seconds by default, greater than zero.
  ///
  /// Code that ignores cancellation keeps its place in the pool until it ends. After another second, or the same time once more if
  /// that is less, nobody counts on it any longer, and others are made in the places that are left.
  public var creationTimeout: Duration

  /// How long a check, a rollback or a single closer may take before it is cancelled; 10 seconds by default, greater than zero.
  ///
  /// What ignores cancellation is treated as with ``creationTimeout``.
  public var upkeepTimeout: Duration

  /// How long a pool that ends waits for its loans; 30 seconds by default, 0 or more.
  ///
  /// What is still lent then is closed under its user's hands.
  public var drainTimeout: Duration

  /// Which errors of a use make its resource unfit to be lent again; `nil`, the default: none.
  ///
  /// Asked about every error thrown out of `withResource`, cancellations too: a protocol that was left in the middle of a message
  /// must not meet the next user. Called outside locks.
  public var discardAfter: (@Sendable (any Error) -> Bool)?

  /// Told about resources made and closed, and every error that nobody else sees; outside locks.
  ///
  /// The events of one resource come in order, those of different ones at the same time. May use the pool.
  public var observer: (@Sendable (PoolEvent) -> Void)?

  /// Where the chance of the jitter comes from.
  public var randomness: RandomSource

  /// The clock that decides.
  public var clock: any TimeSource

  /// Makes a configuration with the defaults where nothing is given.
  ///
  /// - Parameters:
  ///   - minimum: How many are kept although nobody needs them.
  ///   - maximum: How many there may be at once.
  ///   - maximumWaiters: How many callers may wait.
  ///   - leaseTimeout: The longest wait for a resource.
  ///   - idleLimit: How long a resource beyond the minimum may be idle.
  ///   - maximumAge: How old a resource may be.
  /// - Precondition: ``validate()`` does not throw.
  public init(
    minimum: Int = 2, maximum: Int = 10, maximumWaiters: Int = 10_000,
    leaseTimeout: Duration? = .seconds(30), idleLimit: Duration? = .seconds(600),
    maximumAge: Duration? = .seconds(1800)
  ) {
    self.minimum = minimum
    self.maximum = maximum
    self.maximumWaiters = maximumWaiters
    self.leaseTimeout = leaseTimeout
    self.idleLimit = idleLimit
    self.maximumAge = maximumAge
    jitter = 0.1
    maximumErrors = 5
    checkAfterIdle = .zero
    creationBackoff = .exponential(
      base: .milliseconds(100), cap: .seconds(30), jitter: .equal)
    creationTimeout = .seconds(30)
    upkeepTimeout = .seconds(10)
    drainTimeout = .seconds(30)
    randomness = .system
    clock = ContinuousClock()
    requireValid(validate)
  }

  /// Two to ten resources; see the properties for the rest.
  public static let `default` = PoolConfiguration()

  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public func validate() throws(ConfigurationError) {
    try check(minimum >= 0, "minimum", "must not be negative")
    try check(maximum >= 1, "maximum", "must be at least 1")
    try check(minimum <= maximum, "minimum", "must not be above the maximum")
    try check(maximumWaiters >= 0, "maximumWaiters", "must not be negative")
    if let leaseTimeout {
      try check(leaseTimeout >= .zero, "leaseTimeout", "must not be negative")
    }
    if let idleLimit { try check(idleLimit > .zero, "idleLimit", "must be greater than zero") }
    if let maximumAge { try check(maximumAge > .zero, "maximumAge", "must be greater than zero") }
    // NaN fails both comparisons.
    try check(jitter >= 0 && jitter <= 1, "jitter", "must be between 0 and 1")
    if let maximumErrors { try check(maximumErrors >= 1, "maximumErrors", "must be at least 1") }
    try check(checkAfterIdle >= .zero, "checkAfterIdle", "must not be negative")
    try check(creationTimeout > .zero, "creationTimeout", "must be greater than zero")
    try check(upkeepTimeout > .zero, "upkeepTimeout", "must be greater than zero")
    try check(drainTimeout >= .zero, "drainTimeout", "must not be negative")
    do {
      try creationBackoff.validate()
    } catch {
      throw ConfigurationError(field: "creationBackoff.\(error.field)", rule: error.rule)
    }
  }
}

extension PoolRules {
  init(_ configuration: PoolConfiguration, _ handlers: PoolHandlers) {
    minimum = configuration.minimum
    maximum = configuration.maximum
    maximumWaiters = configuration.maximumWaiters
    checksOnLend = handlers.checkOnLend != nil
    // Parts of a nanosecond are not nothing: zero would mean something else.
    checkAfterIdle =
      configuration.checkAfterIdle > .zero ? max(1, configuration.checkAfterIdle.nanoseconds) : 0
    checksOnReturn = handlers.checkOnReturn != nil
    rollsBack = handlers.rollback != nil
    idleLimit = configuration.idleLimit.map { max(1, $0.nanoseconds) } ?? .max
    maximumAge = configuration.maximumAge.map { max(1, $0.nanoseconds) } ?? .max
    jitter = configuration.jitter
    maximumErrors = configuration.maximumErrors ?? .max
    backoff = configuration.creationBackoff
  }
}
