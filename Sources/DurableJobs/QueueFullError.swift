public import ReliabilityCore

/// A job was not taken: the queue has as many live jobs as it may have.
///
///     do {
///       try await queue.enqueue(Transcode(video: 42))
///     } catch let error as QueueFullError {
///       respond(503, retryAfter: error.retryAfter)
///     }
public struct QueueFullError: LocalRejection, Hashable {
  /// How many live jobs the queue takes.
  public let capacity: Int
  /// How many there were.
  public let live: Int
  /// How many were to be added.
  public let submitted: Int
  /// When to try again.
  public let retryAfter: Duration

  /// Describes a refusal.
  ///
  /// - Parameters:
  ///   - capacity: How many live jobs the queue takes.
  ///   - live: How many there were.
  ///   - submitted: How many were to be added.
  ///   - retryAfter: When to try again.
  public init(capacity: Int, live: Int, submitted: Int, retryAfter: Duration = .seconds(1)) {
    self.capacity = capacity
    self.live = live
    self.submitted = submitted
    self.retryAfter = retryAfter
  }

  /// `ErrorCategory.overload`.
  public var category: ErrorCategory { .overload }
  /// Retryable, after ``retryAfter``; never when more were submitted than the queue takes at all.
  public var retryability: Retryability {
    submitted > capacity ? .notRetryable : .retryable(after: retryAfter)
  }
  /// Says that the queue is full.
  public var userMessage: String? { "There is too much work waiting at the moment." }
  /// Suggests to try again later.
  public var suggestedActions: [String] { ["Try again later."] }
}

extension QueueFullError: CustomStringConvertible {
  /// The figures in one line.
  public var description: String {
    "queue full: \(live) of \(capacity) jobs, \(submitted) more refused"
  }
}
