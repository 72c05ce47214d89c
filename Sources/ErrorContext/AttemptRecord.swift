/// One failed attempt, as a report shows it.
///
///     for attempt in contextual.attempts {
///       print(attempt.number, attempt.category, attempt.error)
///     }
public struct AttemptRecord: Hashable, Sendable {
  /// Which attempt it was; the first is 1.
  public let number: Int

  /// The error's type and message, secrets taken out, 512 bytes at most.
  public let error: String

  /// What kind of trouble it was.
  public let category: ErrorCategory

  /// When the attempt ended, on the wall clock.
  public let at: WallTime

  /// How long the attempt took, `nil` when nobody timed it: a first attempt is not, so that success costs nothing.
  public let elapsed: Duration?

  /// How long the wait before the next attempt is, `nil` when this was the last one.
  public let delay: Duration?

  /// How it was tried, when there is more than one way: "range request", "720p", the name of a mirror.
  public let method: String?

  /// Makes a record from a text.
  ///
  /// - Parameters:
  ///   - number: Which attempt it was, from 1.
  ///   - error: The error's type and message. Redacted and limited to 512 bytes here.
  ///   - category: What kind of trouble it was.
  ///   - at: When the attempt ended.
  ///   - elapsed: How long it took, `nil` when nobody timed it.
  ///   - delay: How long the wait before the next attempt is, `nil` when there is none.
  ///   - method: How it was tried.
  public init(
    number: Int, error: String, category: ErrorCategory, at: WallTime, elapsed: Duration?,
    delay: Duration? = nil, method: String? = nil
  ) {
    self.number = number
    self.error = ReportText.clean(error, limit: 512)
    self.category = ReportText.category(category)
    self.at = at
    self.elapsed = elapsed?.inReport
    self.delay = delay?.inReport
    self.method = method.map { ReportText.clean($0, limit: 128) }
  }

  /// Makes a record of an error.
  ///
  /// - Parameters:
  ///   - number: Which attempt it was, from 1.
  ///   - failure: The error. Described, redacted and limited to 512 bytes here; not kept.
  ///   - category: What kind of trouble it was.
  ///   - at: When the attempt ended.
  ///   - elapsed: How long it took, `nil` when nobody timed it.
  ///   - delay: How long the wait before the next attempt is, `nil` when there is none.
  ///   - method: How it was tried.
  public init(
    number: Int, failure: any Error, category: ErrorCategory, at: WallTime = .now,
    elapsed: Duration?, delay: Duration? = nil, method: String? = nil
  ) {
    self.init(
      number: number, error: ReportText.summary(of: failure, limit: 512), category: category,
      at: at, elapsed: elapsed, delay: delay, method: method)
  }
}

extension Error {
  /// The error's message and contexts for a log: secrets taken out, 1,024 bytes at most.
  package var messageForLog: String {
    let contexts = (self as? ContextualError)?.frames ?? []
    let message = ReportText.message(of: self, limit: 512)
    return ReportText.printable(
      ([message] + contexts.map(\.description)).joined(separator: ", in "), limit: 1024)
  }
}

/// Where retries leave their failed attempts for the error context they run in.
package enum AttemptJournal {
  /// Whether anybody listens.
  ///
  /// Ask before building a record: outside an error context this costs one task-local read.
  package static var isActive: Bool { ContextScope.current.get() != nil }

  /// Adds an attempt to the innermost error context; does nothing outside one.
  package static func record(_ attempt: AttemptRecord) {
    ContextScope.current.get()?.add(attempt)
  }
}
