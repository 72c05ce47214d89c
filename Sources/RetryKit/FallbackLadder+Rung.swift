public import ReliabilityCore

extension FallbackLadder {
  /// One rung: what it stands for, how often it is tried, how much it may take, and when to go on with the next one.
  ///
  ///     FallbackLadder.Step(
  ///       MediaQuality.p480, attempts: 2, timeoutMultiplier: 0.8, memoryLimit: 4096 << 20,
  ///       stepsDownOn: [.memoryExhaustion, .timeout])
  public struct Step: Sendable {
    /// What the rung stands for; handed to the body.
    public var rung: Rung
    /// What it is called in outcomes, events and metrics.
    public var name: String
    /// How the rung is tried again before the next one is.
    public var retry: RetryPolicy
    /// What the limit of time given to `run` is multiplied by.
    public var timeoutMultiplier: Double
    /// How much memory the rung may take, in bytes, `nil` when that does not matter.
    ///
    /// With less free memory the rung is passed over, except for the lowest one. The body gets it as the limit of what it
    /// starts.
    public var memoryLimit: Int?
    /// The categories of errors on which to go on with the next rung.
    ///
    /// Any other error is thrown: a page that is not there is not there in a lower quality either.
    public var stepsDownOn: Set<ErrorCategory>

    /// Makes a rung.
    ///
    /// - Parameters:
    ///   - rung: What it stands for.
    ///   - name: What it is called; its description unless given. One of a small set of words.
    ///   - attempts: How often it is tried, 1 at least, with the default backoff in between; never again after memory ran
    ///     out. For anything else set ``retry``.
    ///   - timeoutMultiplier: What the limit of time is multiplied by; above zero.
    ///   - memoryLimit: How much memory it may take, in bytes; above zero.
    ///   - stepsDownOn: The categories of errors on which to go on with the next rung.
    public init(
      _ rung: Rung, name: String? = nil, attempts: Int = 1, timeoutMultiplier: Double = 1,
      memoryLimit: Int? = nil, stepsDownOn: Set<ErrorCategory> = [.memoryExhaustion, .timeout]
    ) {
      self.rung = rung
      self.name = name ?? String(describing: rung)
      var policy = RetryPolicy(maxAttempts: attempts)
      policy.rules[.memoryExhaustion] = .never
      self.retry = policy
      self.timeoutMultiplier = timeoutMultiplier
      self.memoryLimit = memoryLimit
      self.stepsDownOn = stepsDownOn
    }

    func validate(as field: String) throws(ConfigurationError) {
      try check(!name.isEmpty, "\(field).name", "must not be empty")
      try check(
        timeoutMultiplier > 0 && timeoutMultiplier.isFinite, "\(field).timeoutMultiplier",
        "must be finite and greater than zero")
      if let memoryLimit {
        try check(memoryLimit > 0, "\(field).memoryLimit", "must be greater than zero")
      }
      do {
        try retry.validate()
      } catch {
        throw ConfigurationError(field: "\(field).retry.\(error.field)", rule: error.rule)
      }
    }
  }

  /// What the body of `run` gets to know: the rung, which attempt on it, and its limits.
  ///
  /// The ladder hands the limits on; to keep them is the body's business, by `withTimeout` and by what it starts:
  ///
  ///     try await ladder.run(timeout: .seconds(3600)) { attempt in
  ///       try await withTimeout(attempt.timeout ?? .seconds(3600)) {
  ///         try await transcode(to: attempt.rung, memoryLimit: attempt.memoryLimit)
  ///       }
  ///     }
  public struct Attempt: Sendable {
    /// What the rung stands for.
    public let rung: Rung
    /// Its name.
    public let name: String
    /// Its place in the ladder, from 0.
    public let index: Int
    /// Which attempt on this rung, from 1.
    public let number: Int
    /// The limit of time given to `run`, times the rung's multiplier; `nil` when none was given.
    public let timeout: Duration?
    /// How much memory the rung may take, in bytes.
    public let memoryLimit: Int?
  }
}
