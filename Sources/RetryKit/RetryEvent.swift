internal import ErrorContext
public import ReliabilityCore

/// Something that happened while an operation was being retried, for a policy's observer.
///
/// Calls that succeed at once have no event.
///
///     policy.observer = { event in
///       print(event)  // attempt 1 of 3 failed (network), next in 1.3 seconds: connection reset
///     }
public struct RetryEvent: Sendable {
  /// What happened.
  public enum Kind: Hashable, Sendable {
    /// An attempt failed and another one follows after ``RetryEvent/delay``.
    case retrying
    /// An attempt failed, and none follows.
    case stopped(RetryStopReason)
    /// An attempt succeeded after others had failed.
    case recovered
  }

  /// What happened.
  public let kind: Kind
  /// Which attempt it was, from 1.
  public let attempt: Int
  /// How many attempts the policy allows, or `nil` when it sets no limit.
  public let maxAttempts: Int?
  /// How long the wait before the next attempt is; `nil` when none follows.
  public let delay: Duration?
  /// The error of the attempt; `nil` when it returned a result.
  public let error: (any Error)?
  /// What kind of trouble the error is; `nil` without an error, and when a cancellation ended it before anybody asked.
  public let category: ErrorCategory?
  /// How long the attempt took.
  ///
  /// `nil` for a first attempt under a policy that had nobody to tell: it is not timed.
  public let elapsed: Duration?
}

extension RetryEvent: CustomStringConvertible {
  /// One line for a log, without the secrets of the error's message.
  public var description: String {
    let number = "attempt \(attempt)" + (maxAttempts.map { " of \($0)" } ?? "")
    let trouble =
      error == nil
      ? " returned a result that was refused" : " failed" + (category.map { " (\($0))" } ?? "")
    let cause = error.map { ": \($0.messageForLog)" } ?? ""
    return switch kind {
    case .retrying: "\(number)\(trouble), next in \(delay ?? .zero)\(cause)"
    case .stopped(let reason): "\(number)\(trouble), giving up (\(reason))\(cause)"
    case .recovered: "\(number) succeeded"
    }
  }
}

/// Why no further attempt was made.
public struct RetryStopReason: RawRepresentable, Hashable, Sendable {
  /// The reason as a word: low cardinality, fit for a metric label.
  public let rawValue: String

  /// Makes a reason from a word.
  public init(rawValue: String) {
    self.rawValue = rawValue
  }

  /// All attempts that the policy, or its rule for the error's category, allows were made.
  public static let attemptsExhausted = Self(rawValue: "attemptsExhausted")
  /// The error, or the policy's rule for its category, says that trying again cannot help.
  public static let notRetryable = Self(rawValue: "notRetryable")
  /// The policy's ``RetryPolicy/shouldRetry`` said no.
  public static let predicate = Self(rawValue: "predicate")
  /// The caller said that the operation must not be repeated.
  public static let notIdempotent = Self(rawValue: "notIdempotent")
  /// The retry budget was empty.
  public static let budgetExhausted = Self(rawValue: "budgetExhausted")
  /// The wait could not end before the task's deadline.
  public static let deadline = Self(rawValue: "deadline")
  /// The wait could not end within the policy's total time.
  public static let totalTime = Self(rawValue: "totalTime")
  /// The caller gave up.
  public static let cancelled = Self(rawValue: "cancelled")
}

extension RetryStopReason: CustomStringConvertible {
  /// The word itself.
  public var description: String { rawValue }
}
