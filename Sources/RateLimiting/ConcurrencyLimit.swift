public import ReliabilityCore

/// How many may do something at once: a number, or one that is found by watching how long calls take.
///
///     let pages = ConcurrencyLimiter(.fixed(4), name: "pages")
///     let search = ConcurrencyLimiter(.adaptive, name: "search")
///     var careful = AdaptiveLimit()
///     careful.maximum = 50
///     let reports = ConcurrencyLimiter(.adaptive(careful), name: "reports")
public struct ConcurrencyLimit: Sendable {
  enum Shape: Sendable {
    case fixed(Int)
    case adaptive(AdaptiveLimit)
  }

  let shape: Shape

  /// Always so many, until `ConcurrencyLimiter.resize(to:)` says otherwise.
  ///
  /// - Parameter limit: 1 to 1,000,000.
  public static func fixed(_ limit: Int) -> ConcurrencyLimit {
    ConcurrencyLimit(shape: .fixed(limit))
  }

  /// As many as the other side bears, found out by the rules of ``AdaptiveLimit``.
  public static func adaptive(_ settings: AdaptiveLimit) -> ConcurrencyLimit {
    ConcurrencyLimit(shape: .adaptive(settings))
  }

  /// As many as the other side bears, found out with the usual numbers: 20 at first, 1 at least, 200 at most.
  public static let adaptive = ConcurrencyLimit.adaptive(AdaptiveLimit())

  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public func validate() throws(ConfigurationError) {
    switch shape {
    case .fixed(let limit): try Self.validate(limit)
    case .adaptive(let settings): try settings.validate()
    }
  }

  static let range = 1...1_000_000

  static func validate(_ limit: Int) throws(ConfigurationError) {
    try check(range.contains(limit), "limit", "must be between 1 and 1000000")
  }
}
