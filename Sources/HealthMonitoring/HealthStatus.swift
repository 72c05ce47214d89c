/// How well something is, from best to worst.
///
///     let status = monitor.report().status(for: .readiness)
///     if status >= .stale { page(theOneOnDuty) }
///
/// A check says ``pass``, ``warn`` or ``fail``. The monitor adds the two states of which no check can tell: that its last
/// answer is too old to be believed, and that there is none yet.
public enum HealthStatus: String, CaseIterable, Hashable, Sendable, Comparable {
  /// All is well.
  case pass
  /// It works, but somebody should look at it.
  case warn
  /// The last answer was good, and is too old to say anything about the present.
  case stale
  /// Nothing is known yet: the check has not ended once.
  case unknown
  /// It does not work.
  case fail

  private var rank: Int {
    switch self {
    case .pass: 0
    case .warn: 1
    case .stale: 2
    case .unknown: 3
    case .fail: 4
    }
  }

  /// Whether the first is better than the second.
  public static func < (lhs: HealthStatus, rhs: HealthStatus) -> Bool { lhs.rank < rhs.rank }

  /// Whether an HTTP probe should be answered with success.
  ///
  /// ``warn`` and ``stale`` are: to take an instance out of service because its *monitor* is slow makes an outage of a
  /// nuisance. The document says what is stale.
  public var isServing: Bool { self < .unknown }
}

/// What somebody wants to know about a process.
///
///     let document = monitor.document(for: .liveness)
///     respond(document.httpStatus, document.contentType, document.bytes)
public enum HealthProbe: String, CaseIterable, Hashable, Sendable {
  /// Whether the process should be left alone, or ended and started again.
  ///
  /// Asks no dependency: a database that is down would otherwise have every instance restarted, over and over, which heals
  /// nothing. Only checks with the scope ``HealthCheck/Scope/process`` count, and one that has not ended yet counts as passed.
  case liveness
  /// Whether the process should be sent work.
  ///
  /// The process itself and its dependencies count. Until each has been checked once, the answer is no. An optional
  /// dependency makes it no worse than ``HealthStatus/warn``.
  case readiness
  /// Everything there is to know, for people: counted as ``readiness``, with alerts.
  case everything
}
