public import ReliabilityCore
public import ReliabilityMetrics

/// When a number means trouble, and when it no longer does.
///
///     let backlog = AlertRule("backlog", .above(100), clearsAt: 80, for: .seconds(60)) {
///       Double(queue.pendingCount)
///     }
///
/// An alert is raised when the value has been beyond ``threshold`` for the whole of ``minimumDuration``, and cleared when it
/// has been back on the good side of ``clearThreshold`` for the whole of ``clearDuration``. Between the two nothing changes:
/// that is the hysteresis, which keeps a value that trembles around its threshold from raising an alert every minute.
///
/// A missing value, and NaN, is no evidence: it raises nothing, clears nothing, and interrupts both durations.
public struct AlertRule: Sendable {
  /// On which side of the threshold the trouble lies.
  public enum Threshold: Hashable, Sendable {
    /// More than this is trouble.
    case above(Double)
    /// This or more is trouble.
    case atLeast(Double)
    /// Less than this is trouble.
    case below(Double)
    /// This or less is trouble.
    case atMost(Double)

    /// The number.
    public var value: Double {
      switch self {
      case .above(let value), .atLeast(let value), .below(let value), .atMost(let value): value
      }
    }

    /// Whether large values are the bad ones.
    public var isUpper: Bool {
      switch self {
      case .above, .atLeast: true
      case .below, .atMost: false
      }
    }

    /// Whether a value means trouble; NaN does not.
    public func isBroken(by value: Double) -> Bool {
      switch self {
      case .above(let limit): value > limit
      case .atLeast(let limit): value >= limit
      case .below(let limit): value < limit
      case .atMost(let limit): value <= limit
      }
    }
  }

  enum Source: Sendable {
    case value(@Sendable () -> Double?)
    case metrics(MetricsRegistry, @Sendable (MetricsSnapshot) -> Double?)
  }

  /// What it is about: one of a small set of words, unique in its monitor.
  public let name: String
  /// When it is trouble.
  public let threshold: Threshold
  /// Where the value must be for the trouble to be over; `nil`: wherever the threshold is not broken.
  ///
  /// Of an upper threshold this or less, of a lower one this or more.
  public let clearThreshold: Double?
  /// How long the threshold must be broken without a pause before the alert is raised; zero: at once.
  public let minimumDuration: Duration
  /// How long the value must be good without a pause before the alert is cleared; zero: at once.
  public var clearDuration: Duration
  /// When set, it is not the value that counts but how much it grew in this stretch of time.
  ///
  /// For counters: `lock_timeouts_total` over a day. A counter that starts again at zero (its process was restarted) counts
  /// from there. At most 64 points of the stretch are kept, so that its beginning is off by a sixtieth at most.
  public var growthOver: Duration?
  /// What to do about it, or why it matters, for the one who is woken.
  public var note: String?

  let source: Source

  /// Makes a rule over a value that a closure supplies.
  ///
  /// - Parameters:
  ///   - name: What it is about: one of a small set of words.
  ///   - threshold: When it is trouble.
  ///   - clearsAt: Where the value must be for the trouble to be over; not beyond the threshold.
  ///   - duration: How long the threshold must be broken before the alert is raised.
  ///   - value: Tells the value, `nil` when there is none. Called at every evaluation, outside locks; must not block.
  public init(
    _ name: String, _ threshold: Threshold, clearsAt: Double? = nil,
    for duration: Duration = .zero, value: @escaping @Sendable () -> Double?
  ) {
    self.init(name, threshold, clearsAt, duration, .value(value))
  }

  /// Makes a rule over the figures of a registry.
  ///
  /// All rules of a monitor that read the same registry share one snapshot for each evaluation.
  ///
  /// - Parameters:
  ///   - name: What it is about: one of a small set of words.
  ///   - threshold: When it is trouble.
  ///   - clearsAt: Where the value must be for the trouble to be over; not beyond the threshold.
  ///   - duration: How long the threshold must be broken before the alert is raised.
  ///   - metrics: Whose figures to read.
  ///   - value: Finds the value among them, `nil` when there is none.
  public init(
    _ name: String, _ threshold: Threshold, clearsAt: Double? = nil,
    for duration: Duration = .zero, in metrics: MetricsRegistry,
    value: @escaping @Sendable (MetricsSnapshot) -> Double?
  ) {
    self.init(name, threshold, clearsAt, duration, .metrics(metrics, value))
  }

  init(
    _ name: String, _ threshold: Threshold, _ clearThreshold: Double?, _ duration: Duration,
    _ source: Source
  ) {
    self.name = name
    self.threshold = threshold
    self.clearThreshold = clearThreshold
    minimumDuration = duration
    clearDuration = duration
    self.source = source
  }

  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public func validate() throws(ConfigurationError) {
    try check(!name.isEmpty && name.utf8.count <= 200, "name", "must have 1 to 200 bytes")
    try check(threshold.value.isFinite, "threshold", "must be finite")
    if let clearThreshold {
      try check(
        clearThreshold.isFinite && !threshold.isBroken(by: clearThreshold), "clearsAt",
        "must be finite and must not be beyond the threshold")
    }
    try check(minimumDuration >= .zero, "minimumDuration", "must not be negative")
    try check(clearDuration >= .zero, "clearDuration", "must not be negative")
    if let growthOver { try check(growthOver > .zero, "growthOver", "must be greater than zero") }
  }

  /// Whether a value says that the trouble is over.
  func isCleared(by value: Double) -> Bool {
    guard !threshold.isBroken(by: value) else { return false }
    guard let clearThreshold else { return true }
    return threshold.isUpper ? value <= clearThreshold : value >= clearThreshold
  }
}
