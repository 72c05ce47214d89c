public import DeadLetterQueue
internal import ErrorContext
internal import ReliabilityCore

extension DeadLetterQueue: DeadLetterSink {
  /// Keeps a dead job with its payload as bytes, its attempts, and `jobs/<id>` as its source.
  ///
  ///     var configuration = JobQueue.Configuration()
  ///     configuration.deadLetters = deadLetters
  ///
  /// To have such a job done again, put it in again while it is redriven, with all of its attempts:
  ///
  ///     try await deadLetters.redrive(.kind(Transcode.kind)) { job, letter in
  ///       try await queue.enqueue(job)
  ///     }
  ///
  /// - Parameter job: The job.
  /// - Throws: As `add(bytes:as:)`.
  public func add(_ job: DeadJob) async throws {
    var draft = DeadLetter.Draft(kind: job.job.kind, report: job.report)
    draft.attempts = job.attempts
    draft.source = "jobs/\(job.job.id)"
    draft.firstFailure = job.attempts.first?.at
    draft.redriveCount = job.job.redrives
    try await add(bytes: job.job.payload, as: draft)
  }
}
