public import ReliabilityCore

/// A call was not begun, because as many as may be were in flight.
///
/// `retry` waits as long as it says, when it says so.
public struct ConcurrencyLimitedError: LocalRejection, Hashable {
  /// Why it was not begun.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The word itself.
    public let rawValue: String

    /// Makes a code from a word.
    ///
    /// - Parameter rawValue: A word in lower camel case.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// As many as may wait did so already.
    public static let queueFull = Code(rawValue: "queueFull")
    /// The line could not be expected to end before the deadline or the timeout, so the wait was not begun.
    public static let deadline = Code(rawValue: "deadline")
    /// It waited until the deadline or the timeout.
    public static let timedOut = Code(rawValue: "timedOut")
  }

  /// The limiter's name.
  public let limiter: String

  /// Why it was not begun.
  public let code: Code

  /// How many could be in flight.
  public let limit: Int

  /// How long the line would have taken, at the pace at which it has moved; `nil` when too little is known.
  public let retryAfter: Duration?

  /// Describes a refusal.
  ///
  /// - Parameters:
  ///   - limiter: The limiter's name.
  ///   - code: Why the call was not begun.
  ///   - limit: How many could be in flight.
  ///   - retryAfter: How long the line would have taken.
  public init(limiter: String, code: Code, limit: Int, retryAfter: Duration? = nil) {
    self.limiter = limiter
    self.code = code
    self.limit = limit
    self.retryAfter = retryAfter
  }

  /// Always `ErrorCategory.overload`.
  public var category: ErrorCategory { .overload }

  /// Retryable, after ``retryAfter`` when that is known.
  public var retryability: Retryability { .retryable(after: retryAfter) }

  /// One sentence for a person.
  public var userMessage: String? { "Too much is going on at once: \(limiter) is at its limit." }

  /// What to do about it.
  public var suggestedActions: [String] { ["Try again later."] }
}

extension ConcurrencyLimitedError: CustomStringConvertible {
  /// The limiter, the reason, the limit and the time in one line.
  public var description: String {
    let wait = retryAfter.map { ", retry after \($0)" } ?? ""
    return "concurrency limit \(limiter) (\(limit)): \(code.rawValue)\(wait)"
  }
}
