public import ReliabilityCore

/// The numbers of a limit that adapts to how much the other side bears.
///
///     var settings = AdaptiveLimit()
///     settings.maximum = 50
///     settings.probeInterval = .seconds(30)
///     let limiter = ConcurrencyLimiter(.adaptive(settings), name: "search")
///
/// Calls that take longer than usual wait in a line on the other side; then the limit falls until they don't. Calls that are
/// as fast as usual leave room for more; then it rises. At the end of each ``window`` with enough samples:
///
///     usual    = average of the windows' mean times, exponentially weighted over the last `longWindow` windows
///     gradient = min(1, max(0.5, tolerance × usual / mean time of this window))
///     target   = limit × gradient + headroom × (2 × gradient − 1)
///     limit    = limit × (1 − smoothing) + target × smoothing, at most limit × dropFactor after a drop
///
/// The limit moves only in a window in which at least half of it was in use: when there is little to do, neither speed nor
/// failures say anything about the limit. The usual time of a stretch that was slow all along is slow, so every
/// ``probeInterval`` the limit is put to a quarter for some ten calls, and what they take is the new usual time.
///
/// Source: Netflix, concurrency-limits, `Gradient2Limit` (20 at first, 200 at most, smoothing 0.2, tolerance 1.5, long window
/// 600, headroom 4) inside its `WindowedLimit` (1 s, 10 samples); the factor after a drop is its `AIMDLimit`'s, 0.9. Differences:
/// the headroom shrinks with the gradient, without which the limit could not fall below 8; the probes, after Envoy's
/// gradient controller (every 60 s, spread by a tenth either way).
public struct AdaptiveLimit: Sendable {
  /// The limit before anything is known, from ``minimum`` to ``maximum``.
  public var initial = 20
  /// The limit never falls below this; 1 at least.
  public var minimum = 1
  /// The limit never rises above this; 1,000,000 at most.
  public var maximum = 200
  /// How much of the way to its target the limit goes in a window, above 0 and at most 1.
  public var smoothing = 0.2
  /// How many times as long as usual calls may take before the limit falls, 1 to 100.
  public var tolerance = 1.5
  /// Over how many windows the usual time is averaged, 1 to 1,000,000.
  public var longWindow = 600
  /// By how much the limit may rise at once, before smoothing, 0 to 1,000,000.
  public var headroom = 4.0
  /// What is left of the limit after a window with a drop (a timeout, a refusal for overload), 0.1 to 1.
  public var dropFactor = 0.9
  /// How long samples are collected at least before the limit moves: a millisecond to an hour.
  public var window = Duration.seconds(1)
  /// How many samples make a window at least, 1 to 1,000,000.
  public var windowSamples = 10
  /// How often the usual time is measured anew, at least ten windows; `nil` for never.
  public var probeInterval: Duration? = .seconds(60)
  /// Where the chance that spreads the probes comes from.
  public var randomness = RandomSource.system

  /// Makes settings with the usual numbers.
  public init() {}

  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public func validate() throws(ConfigurationError) {
    try check(minimum >= 1, "minimum", "must be at least 1")
    try check(
      minimum <= initial && initial <= maximum, "initial", "must be between minimum and maximum")
    try check(maximum <= ConcurrencyLimit.range.upperBound, "maximum", "must not be above 1000000")
    // NaN is in no range.
    try check(smoothing > 0 && smoothing <= 1, "smoothing", "must be above 0 and at most 1")
    try check((1...100).contains(tolerance), "tolerance", "must be between 1 and 100")
    try check((1...1_000_000).contains(longWindow), "longWindow", "must be between 1 and 1000000")
    try check((0...1_000_000).contains(headroom), "headroom", "must be between 0 and 1000000")
    try check((0.1...1).contains(dropFactor), "dropFactor", "must be between 0.1 and 1")
    try check(
      window >= .milliseconds(1) && window <= .seconds(3600), "window",
      "must be between a millisecond and an hour")
    try check(
      (1...1_000_000).contains(windowSamples), "windowSamples", "must be between 1 and 1000000")
    if let probeInterval {
      try check(
        probeInterval >= window * 10 && probeInterval <= .seconds(366 * 86_400), "probeInterval",
        "must be between ten windows and 366 days")
    }
  }
}
