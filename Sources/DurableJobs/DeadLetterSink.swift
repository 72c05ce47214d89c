public import ErrorContext
public import ReliabilityCore

/// A job that failed for good, with everything that is known about it.
public struct DeadJob: Sendable {
  /// The job, with its payload and its failed attempts.
  public let job: JobRecord
  /// The last error.
  public let error: any Error
  /// What kind of trouble it is.
  public let category: ErrorCategory
  /// The report of the last error.
  public let report: ErrorReport
  /// The failed attempts that are known, oldest first, with the last one.
  public let attempts: [AttemptRecord]
}

/// Takes the jobs of a queue that failed for good.
///
/// When ``add(_:)`` has returned, the story is safe there; only then does the store call the job dead. A crash between the two
/// runs the job once more, so the same job may come a second time: its identifier tells.
public protocol DeadLetterSink: Sendable {
  /// Keeps a dead job.
  ///
  /// - Throws: When it can't; the queue tries again with a growing delay, and the job stays where it is.
  func add(_ job: DeadJob) async throws
}
