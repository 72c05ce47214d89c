internal import ErrorContext
internal import ReliabilityCore

/// Something that happened to an attempt of a hedged call, for a policy's observer.
///
///     policy.observer = { event in
///       print(event)  // attempt 2 started (delay)
///     }
///
/// Every attempt that started ends exactly once: it won, lost, failed or was cancelled.
public struct HedgeEvent: Sendable {
  /// What happened.
  public enum Kind: Hashable, Sendable {
    /// The attempt started.
    case started(HedgeCause)
    /// The attempt was the first to succeed; its result is the call's.
    case won
    /// The attempt was cut off, or came too late, because another one decided the call.
    case lost
    /// The attempt failed.
    case failed
    /// The caller gave up, or the attempt ended with a cancellation.
    case cancelled
    /// No further attempt will start in this call; what runs goes on.
    case stopped(HedgeStopReason)
  }

  /// What happened.
  public let kind: Kind
  /// Which attempt, from 1; for ``Kind/stopped(_:)`` the last one that started.
  public let attempt: Int
  /// The error of the attempt, when it failed or ended with a cancellation of its own.
  public let error: (any Error)?
  /// How long the attempt took, or had taken when the call was decided; `nil` when it just started.
  public let elapsed: Duration?
}

extension HedgeEvent: CustomStringConvertible {
  /// One line for a log, without the secrets of the error's message.
  public var description: String {
    let cause = error.map { ": \($0.messageForLog)" } ?? ""
    return switch kind {
    case .started(let why): "attempt \(attempt) started (\(why))"
    case .won: "attempt \(attempt) won"
    case .lost: "attempt \(attempt) lost"
    case .failed: "attempt \(attempt) failed\(cause)"
    case .cancelled: "attempt \(attempt) was cancelled"
    case .stopped(let reason): "no attempt after \(attempt) (\(reason))"
    }
  }
}

/// Why an attempt started.
public enum HedgeCause: String, Hashable, Sendable, CustomStringConvertible {
  /// It is the first one.
  case first
  /// Those before it took longer than the delay.
  case delay
  /// One before it failed in a way that another may not.
  case failure

  /// The cause as a word.
  public var description: String { rawValue }
}

/// Why no further attempt starts in a hedged call, before the policy's number of attempts is reached.
public struct HedgeStopReason: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The reason as a word: low cardinality, fit for a metric label.
  public let rawValue: String

  /// Makes a reason from a word.
  public init(rawValue: String) { self.rawValue = rawValue }

  /// The budget was empty.
  public static let budgetExhausted = Self(rawValue: "budgetExhausted")
  /// Another attempt could not start before the task's deadline.
  public static let deadline = Self(rawValue: "deadline")
  /// The other side asked to be left alone for a while (`Retry-After`).
  public static let pushback = Self(rawValue: "pushback")
  /// An attempt was turned away here (`LocalRejection`): by an open breaker, an empty rate limit, a full pool.
  public static let rejected = Self(rawValue: "rejected")

  /// The word itself.
  public var description: String { rawValue }
}
