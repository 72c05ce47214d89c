public import ErrorContext
public import ReliabilityCore

/// Something that happened to a supervised process, for the observer of a ``ProcessSupervisor``.
///
///     let supervisor = ProcessSupervisor(observer: { event in
///       if case .alert(let alert) = event.kind { print(event.processID, alert) }
///     })
public struct ProcessEvent: Sendable {
  /// What happened.
  public enum Kind: Sendable {
    /// It was started.
    case started
    /// The first byte of output came.
    case firstOutput
    /// The resources were measured.
    case sampled(ResourceSample)
    /// A limit is near, or no longer.
    case alert(ProcessAlert)
    /// It is being ended for this reason.
    case stopping(ProcessStopReason)
    /// It was asked to end (SIGTERM).
    case terminated
    /// It was ended by force (SIGKILL).
    case killed
    /// It has ended.
    case ended(ProcessReport)
  }

  /// What happened.
  public let kind: Kind
  /// The program as it was given.
  public let command: String
  /// The number of the process.
  public let processID: Int32
  /// When it was.
  public let at: WallTime
}

/// A limit of a process is near, or no longer.
public struct ProcessAlert: Hashable, Sendable {
  /// What is near its limit.
  public enum Kind: String, Hashable, Sendable {
    /// Memory, as a part of the limit.
    case memory
    /// Processor time per elapsed time, in percent of one core.
    case cpu
    /// Time, as a part of the total limit.
    case time
    /// The time in seconds until memory reaches its limit, if it goes on growing.
    case memoryTrend = "memory_trend"
  }

  /// What is near its limit.
  public let kind: Kind
  /// Whether it is near; `false` takes an earlier alert back.
  public let isRaised: Bool
  /// The figure, in the unit of the kind.
  public let value: Double
  /// The threshold it passed.
  public let threshold: Double
}
