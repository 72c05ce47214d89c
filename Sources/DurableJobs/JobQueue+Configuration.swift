public import ErrorContext
public import ReliabilityCore

extension JobQueue {
  /// How a queue works.
  ///
  ///     var configuration = JobQueue.Configuration(name: "downloads")
  ///     configuration.workers = 8
  public struct Configuration: Sendable {
    /// What becomes of the slot of a body that doesn't listen to cancellation.
    public enum AbandonedSlot: Hashable, Sendable {
      /// It stays taken until the body has ended: there are never more bodies than ``Configuration/workers``.
      case held
      /// It is free for the next job: a body that hangs for ever blocks nobody, but more may run at once than there are workers.
      case freed
    }

    /// The name in figures; one of a small set of words.
    public var name: String
    /// How many jobs run at once, 1 or more; 3 by default.
    public var workers = 3
    /// How long a claim is good for unless it is renewed; a minute by default.
    ///
    /// It is renewed three times in that time. Only a process that stands still for longer loses its jobs.
    public var lease = Duration.seconds(60)
    /// How long a body that was told to stop may take for it; 30 seconds by default.
    public var patience = Duration.seconds(30)
    /// What becomes of the slot of a body that takes longer.
    public var abandonedSlot = AbandonedSlot.held
    /// How often a job may be lost with its worker before it is not run again, 1 or more; 3 by default.
    public var maxCrashes = 3
    /// How long jobs may go on when the task of ``JobQueue/run()`` is cancelled; 30 seconds by default.
    public var shutdownGrace = Duration.seconds(30)
    /// How often old jobs are cleaned away; every hour by default.
    public var cleanupInterval = Duration.seconds(3600)
    /// The longest wait that an error may ask for before the next attempt; five minutes by default.
    public var longestRequestedDelay = Duration.seconds(300)
    /// Says what kind of trouble an error is.
    public var classifier: ErrorClassifier?
    /// Takes what failed for good; such a job is `dead`, and without this `failed`.
    public var deadLetters: (any DeadLetterSink)?
    /// Told about everything that happens, outside locks, on the task it happens on.
    public var observer: (@Sendable (JobEvent) -> Void)?
    /// The time.
    public var clock: any TimeSource = ContinuousClock()
    /// The wall time, for the deadlines of jobs and for people.
    public var wallClock: @Sendable () -> WallTime = { .now }
    /// Where the jitter's chance comes from.
    public var randomness = RandomSource.system

    /// Makes the defaults.
    ///
    /// - Parameter name: The name in figures.
    public init(name: String = "default") { self.name = name }

    /// Checks values that came from outside the code.
    ///
    /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
    public func validate() throws(ConfigurationError) {
      try check(workers >= 1, "workers", "must be 1 or more")
      try check(lease > .zero, "lease", "must be greater than zero")
      try check(patience >= .zero, "patience", "must not be negative")
      try check(maxCrashes >= 1, "maxCrashes", "must be 1 or more")
      try check(shutdownGrace >= .zero, "shutdownGrace", "must not be negative")
      try check(cleanupInterval > .zero, "cleanupInterval", "must be greater than zero")
      try check(
        longestRequestedDelay >= .zero, "longestRequestedDelay", "must not be negative")
    }
  }
}
