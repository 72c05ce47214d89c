public import ReliabilityCore

/// How one job is to be run.
///
///     var options = JobOptions()
///     options.priority = .high
///     options.start = .after(.seconds(60))
///     options.unique = UniqueKey("video-42")
///     try await queue.enqueue(Transcode(video: 42), options: options)
public struct JobOptions: Hashable, Sendable {
  /// When a job may start.
  public enum Start: Hashable, Sendable {
    /// As soon as a worker is free.
    case now
    /// After a while, by the monotonic clock; in a durable store, across restarts too.
    case after(Duration)
    /// At a date of the wall clock, whatever becomes of that clock meanwhile.
    case at(WallTime)
  }

  /// How much it matters; normal by default.
  public var priority = JobPriority.normal
  /// When it may start; now by default.
  public var start = Start.now
  /// How often its body may fail in all, 1 or more; 4 by default: three retries after the first run.
  public var maxAttempts = 4
  /// How long to wait after a failure; half a second, doubled each time, 15 minutes at most.
  public var backoff = Backoff.exponential(
    base: .milliseconds(500), factor: 2, cap: .seconds(900), jitter: .equal)
  /// The longest time one attempt may take; an hour by default, `nil` for no limit.
  public var timeout: Duration? = .seconds(3600)
  /// Whether the fallback of the kind, if there is one, runs when an attempt takes too long.
  public var usesFallback = true
  /// What the job is the only one of, while it lives.
  public var unique: UniqueKey?
  /// When the job is of no use any more.
  ///
  /// A date of the wall clock. It is not started after that, a running attempt is stopped, and it fails for good.
  public var deadline: WallTime?
  /// Words to find it by; few and short.
  public var tags: [String] = []
  /// The identifier of whoever asked for it, kept beside the job's own.
  public var callerID: String?

  /// Makes the defaults.
  public init() {}

  /// Makes options that differ in the priority.
  public init(priority: JobPriority) { self.priority = priority }

  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public func validate() throws(ConfigurationError) {
    try check(maxAttempts >= 1, "maxAttempts", "must be 1 or more")
    try check(maxAttempts <= 1_000_000_000, "maxAttempts", "must not be above a billion")
    try backoff.validate()
    if let timeout { try check(timeout > .zero, "timeout", "must be greater than zero") }
    try check(tags.count <= 32, "tags", "must not be more than 32")
  }
}

/// What there may be only one live job of.
///
///     options.unique = UniqueKey("video-42", within: .kind, until: .ended)
///
/// A second job with the same key is not made: ``JobQueue/enqueue(_:options:)`` answers with the first one. The key is free
/// again after every end: completion, failure, death and cancellation.
public struct UniqueKey: Hashable, Sendable, Codable {
  /// Among which jobs a key is compared.
  public enum Scope: String, Hashable, Sendable, Codable {
    /// Those of the same kind.
    case kind
    /// All of the store.
    case store
  }

  /// How long a job keeps its key.
  public enum Release: String, Hashable, Sendable, Codable {
    /// Until it has ended.
    case ended
    /// Until it first starts.
    case started
  }

  /// The key itself.
  public var key: String
  /// Among which jobs it is compared.
  public var scope: Scope
  /// How long the job keeps it.
  public var release: Release

  /// Makes a key.
  ///
  /// - Parameters:
  ///   - key: Any text.
  ///   - scope: Among which jobs it is compared; those of the same kind by default.
  ///   - release: How long the job keeps it; until its end by default.
  public init(_ key: String, within scope: Scope = .kind, until release: Release = .ended) {
    self.key = key
    self.scope = scope
    self.release = release
  }
}
