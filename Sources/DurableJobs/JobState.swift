/// Where a job is in its life.
///
///     if let job = try await queue.status(of: id), job.state.isEnd {
///       print(job.state, job.note ?? "")  // completed
///     }
///
/// | from | to |
/// |---|---|
/// | `scheduled` | `pending`, `cancelled` |
/// | `pending` | `running`, `cancelled` |
/// | `running` | `completed`, `failed`, `dead`, `cancelled`, `retrying`, `pending`, `scheduled` |
/// | `retrying` | `pending`, `cancelled` |
/// | `failed`, `dead` | `pending`, when somebody redrives the job |
/// | `completed`, `cancelled` | |
///
/// A running job goes back to `pending` when its worker was shut down or lost, and to `scheduled` when its kind may not
/// run for the moment: neither burns an attempt.
public enum JobState: String, Hashable, Sendable, Codable, CaseIterable {
  /// Not due yet.
  case scheduled
  /// Ready to run.
  case pending
  /// A worker has it.
  case running
  /// Failed, and waits for its next attempt.
  case retrying
  /// Done.
  case completed
  /// Failed for good, and no dead-letter queue was there to take it.
  case failed
  /// Failed for good; its story is in the dead-letter queue.
  case dead
  /// Taken back by somebody.
  case cancelled

  /// Whether nothing happens to the job any more by itself.
  public var isEnd: Bool {
    switch self {
    case .completed, .failed, .dead, .cancelled: true
    case .scheduled, .pending, .running, .retrying: false
    }
  }

  /// Whether a job may go from this state to another one.
  public func canBecome(_ next: JobState) -> Bool {
    switch self {
    case .scheduled, .retrying: next == .pending || next == .cancelled
    case .pending: next == .running || next == .cancelled
    case .running: next != .running
    case .failed, .dead: next == .pending
    case .completed, .cancelled: false
    }
  }
}

extension JobState: CustomStringConvertible {
  /// The word itself.
  public var description: String { rawValue }
}

/// How much a job matters; the higher one starts first.
///
/// A job that has waited one aging step for each level that it lacks to ``critical`` has aged: then every second start
/// goes to the job that aged first, so nobody waits for ever and a critical job never waits behind more than one.
public enum JobPriority: Int, Hashable, Sendable, Codable, CaseIterable, Comparable {
  /// When nothing else is to be done.
  case lowest = 0
  /// Below the ordinary.
  case low = 1
  /// The default.
  case normal = 2
  /// Before the ordinary.
  case high = 3
  /// Before everything else.
  case critical = 4

  /// Whether the first one starts later.
  public static func < (lhs: JobPriority, rhs: JobPriority) -> Bool { lhs.rawValue < rhs.rawValue }
}

/// The name of a job within its store; grows with every job and is never given twice.
public struct JobID: RawRepresentable, Hashable, Sendable, Codable, Comparable {
  /// The number, from 1.
  public let rawValue: UInt64

  /// Makes an identifier from its number.
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// Whether the first one was given earlier.
  public static func < (lhs: JobID, rhs: JobID) -> Bool { lhs.rawValue < rhs.rawValue }
}

extension JobID: CustomStringConvertible {
  /// The number.
  public var description: String { String(rawValue) }
}
