/// How a dead-letter queue keeps its letters.
///
///     var configuration = DeadLetterConfiguration()
///     configuration.capacity = 50_000
///     configuration.overflow = .spill(to: "/var/lib/shop/dead-letters.archive")
///     configuration.retention.maximumAge = .seconds(90 * 86_400)
///     configuration.observer = { event in print(event) }
public struct DeadLetterConfiguration: Sendable {
  /// What happens to a letter for which there is no room.
  public enum Overflow: Hashable, Sendable {
    /// It is refused with ``DeadLetterError/Code/full``: who gives the work up still has it and must decide.
    case reject
    /// The oldest letters leave and are lost.
    ///
    /// Each is counted and told to the observer.
    case dropOldest
    /// The oldest letters leave after they were written to an archive, a file that `DeadLetterQueue` opens to read.
    ///
    /// The archive grows without a bound: it is the user's to take away.
    case spill(to: String)
  }

  /// How long letters are kept.
  ///
  /// What is past it leaves for good, counted and told as expired.
  public struct Retention: Hashable, Sendable {
    /// Longest stay since a letter came or came back; `nil` for no limit.
    ///
    /// Kept within a hundredth of it or a minute, whichever is longer, while the queue is open.
    public var maximumAge: Duration?
    /// The most letters that are kept; the oldest leave.
    ///
    /// `nil` for no limit but the capacity. Unlike the capacity it never refuses anything.
    public var maximumCount: Int?

    /// No limits.
    public init() {}
  }

  /// When the observer is warned that letters pile up.
  public struct Alert: Hashable, Sendable {
    /// More letters than this: 10 by default, `nil` for no such warning.
    ///
    /// Given once; again after there were four fifths of it or fewer.
    public var count: Int? = 10
    /// More than so many arrivals within the ``window``; `nil` for no such warning.
    public var arrivals: Int?
    /// The stretch of time for arrivals, a minute by default.
    public var window: Duration = .seconds(60)

    /// A warning above 10 letters.
    public init() {}
  }

  /// The queue's name in figures and events; one of a small set of words.
  public var name = "default"
  /// The most letters, 10,000 by default.
  public var capacity = 10_000
  /// The most bytes of all letters as they are stored, 256 MiB by default.
  ///
  /// On disk, or in memory for a queue in memory; the file itself may be twice as large and a mebibyte more.
  public var maximumBytes = 256 << 20
  /// The most bytes of one payload, 16 MiB by default, at most 32.
  public var maximumPayloadBytes = 16 << 20
  /// The most bytes of a report, 1 to 512 KiB, 16 KiB by default; longer ones are cut as reports are.
  public var maximumReportBytes = 16 << 10
  /// What happens when there is no room.
  public var overflow = Overflow.reject
  /// How long letters are kept.
  public var retention = Retention()
  /// When letters pile up.
  public var alert = Alert()
  /// What must be true of a letter after a power cut when `add` returns.
  ///
  /// `Durability.none` is for letters whose loss is bearable.
  public var durability = Durability.full
  /// How long opening waits for another owner to go, zero by default.
  public var ownerTimeout = Duration.zero
  /// How reports of failed redrives are made.
  public var reports = ErrorReport.Options()
  /// Monotonic time: ages, windows, timers.
  public var clock: any TimeSource = ContinuousClock()
  /// Told what happens, outside locks, on the task whose call found out or on one of the queue's own.
  public var observer: (@Sendable (DeadLetterEvent) -> Void)?

  /// Stands for the machine's own times in tests.
  package var moments: (@Sendable () -> PersistedMoment)?

  /// The defaults.
  public init() {}

  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public func validate() throws(ConfigurationError) {
    try check(capacity >= 1, "capacity", "must be at least 1")
    try check(maximumBytes >= 1024, "maximumBytes", "must be at least 1024")
    try check(
      (1...(32 << 20)).contains(maximumPayloadBytes), "maximumPayloadBytes",
      "must be between 1 byte and 32 MiB")
    try check(
      (1024...(512 << 10)).contains(maximumReportBytes), "maximumReportBytes",
      "must be between 1 KiB and 512 KiB")
    if case .spill(let path) = overflow {
      try check(!path.isEmpty, "overflow", "must name an archive")
    }
    if let age = retention.maximumAge {
      try check(age > .zero, "retention.maximumAge", "must be greater than zero")
    }
    if let count = retention.maximumCount {
      try check(count >= 0, "retention.maximumCount", "must not be negative")
    }
    if let count = alert.count { try check(count >= 0, "alert.count", "must not be negative") }
    if let arrivals = alert.arrivals {
      try check(arrivals >= 0, "alert.arrivals", "must not be negative")
    }
    try check(alert.window > .zero, "alert.window", "must be greater than zero")
    try check(ownerTimeout >= .zero, "ownerTimeout", "must not be negative")
  }
}
