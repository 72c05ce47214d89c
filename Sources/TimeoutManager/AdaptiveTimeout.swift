public import ReliabilityCore

/// Limits of time that follow the work: long enough for what makes progress, short for what has stopped.
///
///     let file = try await withAdaptiveTimeout(.downloads) { progress in
///       try await download(url) { received, expected in
///         progress.report(bytes: received, of: expected)
///       }
///     }
///
/// Four limits hold at the same time, and the first to pass ends the work:
///
/// | limit | how long | error's kind |
/// |---|---|---|
/// | ``network`` | until the first progress | `network` |
/// | ``stall`` | from one progress to the next, in a window that slides | `stall` |
/// | the moving limit | ``base``, or what the estimate says | `total` |
/// | ``maximum`` | the whole of the work, whatever anybody estimates | `total` |
///
/// The moving limit is `elapsed + remaining / speed x 1.5`, never below ``base`` and never above ``maximum``; at least what a stall
/// would be granted is left when it moves, since the last bytes are not the last of the work. Only progress moves it: work that has
/// stopped earns no time. ``TimeoutDecision`` says at any moment what holds and why.
public struct AdaptiveTimeout: Sendable {
  /// How long the work may take while nothing better is known; greater than zero.
  ///
  /// An estimate never shortens it. What ``learned`` knows about the kind of work takes its place, within ``minimum`` and
  /// ``maximum``.
  public var base: Duration

  /// How long the work may take whatever happens; not below ``base``.
  public var maximum: Duration

  /// How long it may go on without progress; greater than zero, `nil` for no limit.
  public var stall: Duration?

  /// How long it may take until the first progress; greater than zero, `nil`: ``stall`` holds from the start.
  public var network: Duration?

  /// What a learned limit is never below; greater than zero and not above ``base``.
  public var minimum: Duration

  /// Whether progress moves the limit; `true` by default.
  public var isAdaptive = true

  /// By how much the estimate is multiplied; 1.5 by default, 1 or more.
  public var margin = 1.5

  /// Progress a second, in bytes, that must be reached over the window of ``stall``; 0 by default: any progress will do.
  ///
  /// Above zero a trickle counts as a stall. The window is sixteen buckets wide, so a stall is found up to a sixteenth of it late.
  public var minimumSpeed = 0.0

  /// Time constants of the two moving averages of the speed; 5 and 60 seconds by default, greater than zero.
  ///
  /// The estimate uses the slower of the two averages, which gives work that has just slowed down more time, not less.
  public var speedTimeConstants = (fast: Duration.seconds(5), slow: Duration.seconds(60))

  /// Finds out that heartbeats have stopped; `nil`, the default: heartbeats mean nothing.
  ///
  /// For work that is silent for long and alive all the same. Counts from the first heartbeat.
  public var heartbeats: PhiAccrualDetector?

  /// What is known about how long the kinds of work take; `nil`, the default: nothing is learned.
  public var learned: LearnedTimeouts?

  /// How busy the machine is, 0 to 1: it stretches the stall limit and the moving limit by as much, up to twice their length and
  /// never beyond the maximum.
  ///
  /// Asked at most once a second, on the thread of a report, and again before the work is ended, on a queue of its own; outside locks.
  /// Must not block. NaN counts as 0.
  public var pressure: (@Sendable () -> Double)?

  /// Told when the moving limit changes by a tenth, when its reason changes, and when a limit has passed; outside locks.
  ///
  /// Called where progress is reported, or in a task of its own; must not block.
  public var observer: (@Sendable (TimeoutDecision) -> Void)?

  /// Makes limits.
  ///
  /// - Parameters:
  ///   - base: How long the work may take while nothing better is known.
  ///   - maximum: How long it may take whatever happens.
  ///   - stall: How long it may go on without progress.
  ///   - network: How long it may take until the first progress.
  ///   - minimum: What a learned limit is never below; a minute, or ``base`` when that is less, unless given.
  /// - Precondition: ``validate()`` does not throw.
  public init(
    base: Duration, maximum: Duration, stall: Duration? = nil, network: Duration? = nil,
    minimum: Duration? = nil
  ) {
    self.base = base
    self.maximum = maximum
    self.stall = stall
    self.network = network
    self.minimum = minimum ?? min(base, .seconds(60))
    requireValid(validate)
  }

  /// For downloads: 30 minutes, 60 at most, 5 without progress, 1 until the first byte.
  public static let downloads = AdaptiveTimeout(
    base: .seconds(1800), maximum: .seconds(3600), stall: .seconds(300), network: .seconds(60))

  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public func validate() throws(ConfigurationError) {
    try check(base > .zero, "base", "must be greater than zero")
    try check(maximum >= base, "maximum", "must not be below the base")
    if let stall { try check(stall > .zero, "stall", "must be greater than zero") }
    if let network { try check(network > .zero, "network", "must be greater than zero") }
    try check(minimum > .zero, "minimum", "must be greater than zero")
    try check(minimum <= base, "minimum", "must not be above the base")
    // NaN fails the comparisons.
    try check(margin >= 1 && margin.isFinite, "margin", "must be finite and at least 1")
    try check(
      minimumSpeed >= 0 && minimumSpeed.isFinite, "minimumSpeed",
      "must be finite and must not be negative")
    try check(
      speedTimeConstants.fast > .zero && speedTimeConstants.slow >= speedTimeConstants.fast,
      "speedTimeConstants", "must be greater than zero, the fast one not above the slow one")
  }
}
