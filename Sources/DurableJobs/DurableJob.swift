/// A kind of job: a name, and what its body needs to know.
///
///     struct Transcode: DurableJob {
///       static let kind = "transcode"
///       var video: Int
///     }
///
/// It carries data only. What does the work, with its clients and connections, is the closure that a ``JobQueue`` is made
/// with. The payload is stored as JSON unless the type has a coding of its own.
public protocol DurableJob: Codable, Sendable {
  /// The name under which jobs of this type are stored; must not change while such jobs wait.
  static var kind: String { get }

  /// Its content as bytes; JSON by default.
  func encodedPayload() throws -> [UInt8]

  /// Makes it from its bytes; from JSON by default.
  init(encodedPayload: [UInt8]) throws
}

/// What a job's body is told beside its payload.
///
///     $0.handle(Transcode.self) { job, context in
///       for part in 0..<10 {
///         try await transcode(job.video, part)
///         context.report(progress: Double(part + 1) / 10)
///       }
///     }
public struct JobContext: Sendable {
  /// The job.
  public let id: JobID
  /// Which attempt this is, from 1.
  public let attempt: Int
  /// How many attempts there may be.
  public let maxAttempts: Int
  /// Grows with every claim of the job.
  ///
  /// Give it to whatever the body writes to, so that the writes of an older run that is still on its way are refused.
  public let fencingToken: UInt64
  /// How it was asked for.
  public var options: JobOptions { run.item.job.options }
  /// Whether the fallback runs, because the body took too long.
  public let isFallback: Bool
  let run: JobRun

  /// Says how far the work is; shown by ``JobQueue/status(of:)`` and told as an event.
  ///
  /// Not stored: after a crash it is gone.
  ///
  /// - Parameters:
  ///   - progress: From 0 to 1; anything else is limited to that, NaN to 0.
  ///   - message: For people.
  public func report(progress: Double, _ message: String? = nil) {
    let fraction = progress > 0 ? min(progress, 1) : 0
    run.report(JobProgress(fraction: fraction, message: message))
  }
}

/// How far a job is.
public struct JobProgress: Hashable, Sendable, Codable {
  /// From 0 to 1.
  public var fraction: Double
  /// For people.
  public var message: String?

  /// Makes a report of progress.
  public init(fraction: Double, message: String? = nil) {
    self.fraction = fraction
    self.message = message
  }
}
