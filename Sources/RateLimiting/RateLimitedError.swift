public import ReliabilityCore

/// A request was refused to keep within a rate.
///
/// It says when to come back, so that `retry` waits that long and not less.
public struct RateLimitedError: LocalRejection, Hashable {
  /// Why it was refused.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The word itself.
    public let rawValue: String

    /// Makes a code from a word.
    ///
    /// - Parameter rawValue: A word in lower camel case.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The wait would not end before the deadline or the timeout, so it was not begun.
    public static let deadline = Code(rawValue: "deadline")
    /// As many as may wait do so already.
    public static let queueFull = Code(rawValue: "queueFull")
    /// More permits were asked for than can ever be saved up.
    public static let exceedsBurst = Code(rawValue: "exceedsBurst")
  }

  /// The limiter's name.
  public let limiter: String

  /// Why it was refused.
  public let code: Code

  /// How long until it could be allowed, as things stand; `nil` when it never will be.
  public let retryAfter: Duration?

  /// Describes a refusal.
  ///
  /// - Parameters:
  ///   - limiter: The limiter's name.
  ///   - code: Why it was refused.
  ///   - retryAfter: How long until it could be allowed.
  public init(limiter: String, code: Code, retryAfter: Duration?) {
    self.limiter = limiter
    self.code = code
    self.retryAfter = retryAfter
  }

  /// `ErrorCategory.overload`; `ErrorCategory.validation` for what can never be allowed.
  public var category: ErrorCategory { code == .exceedsBurst ? .validation : .overload }

  /// Retryable after ``retryAfter``, or not at all.
  public var retryability: Retryability {
    code == .exceedsBurst ? .notRetryable : .retryable(after: retryAfter)
  }

  /// One sentence for a person.
  public var userMessage: String? {
    code == .exceedsBurst
      ? "The request is larger than the limit \(limiter) ever allows."
      : "Too many requests: the limit \(limiter) is reached."
  }

  /// What to do about it.
  public var suggestedActions: [String] {
    code == .exceedsBurst
      ? ["Ask for fewer permits at once, or raise the burst."] : ["Try again later."]
  }
}

extension RateLimitedError: CustomStringConvertible {
  /// The limiter, the reason and the time in one line.
  public var description: String {
    let wait = retryAfter.map { ", retry after \($0)" } ?? ""
    return "rate limit \(limiter): \(code.rawValue)\(wait)"
  }
}
