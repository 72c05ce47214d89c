public import ReliabilityCore

/// No resource could be had in time, or a step for one took too long.
///
///     do {
///       try await pool.withResource { try await $0.render(page) }
///     } catch let error as PoolTimeoutError {
///       print("all \(error.maximum) in use for \(error.waited)")
///     }
///
/// A circuit breaker around the call counts it as neither success nor failure: a full pool says nothing about the other
/// side.
public struct PoolTimeoutError: LocalRejection, ErrorWithCauses {
  /// Which time was up.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The word itself.
    public let rawValue: String

    /// Makes a code from a word.
    ///
    /// - Parameter rawValue: A word in lower camel case.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The caller waited in line until its timeout or deadline.
    public static let waited = Code(rawValue: "waited")
    /// Nothing was idle and the caller had no time to wait, so it did not.
    public static let noTimeLeft = Code(rawValue: "noTimeLeft")
    /// Making a resource took longer than ``PoolConfiguration/creationTimeout``.
    public static let creation = Code(rawValue: "creation")
    /// A check, a rollback or a closer took longer than ``PoolConfiguration/upkeepTimeout``.
    public static let upkeep = Code(rawValue: "upkeep")
  }

  /// The pool's name.
  public let pool: String

  /// Which time was up.
  public let code: Code

  /// How long it took.
  public let waited: Duration

  /// How many resources were lent at the end.
  public let lent: Int

  /// How many there may be.
  public let maximum: Int

  /// Why no resource could be made lately, or what the step threw when it was cancelled; `nil` when neither is so.
  public let cause: (any Error)?

  init(
    pool: String, code: Code, waited: Duration, lent: Int, maximum: Int, cause: (any Error)?
  ) {
    self.pool = pool
    self.code = code
    self.waited = waited
    self.lent = lent
    self.maximum = maximum
    self.cause = cause
  }

  /// The cause, when there is one.
  public var causes: [any Error] { cause.map { [$0] } ?? [] }

  /// `ErrorCategory.overload` for those who waited for a resource, `ErrorCategory.timeout` for a step.
  public var category: ErrorCategory {
    code == .waited || code == .noTimeLeft ? .overload : .timeout
  }

  /// Retryable: a resource may be given back any moment.
  public var retryability: Retryability { .retryable() }

  /// One sentence for a person.
  public var userMessage: String? {
    category == .timeout
      ? "A resource of \(pool) took too long to get ready." : "All of \(pool) are in use."
  }

  /// Suggests to try again, or to allow more of them.
  public var suggestedActions: [String] { ["Try again later, or raise the pool's maximum."] }
}

extension PoolTimeoutError: CustomStringConvertible {
  /// The pool, the reason and the figures in one line; the cause is left out, as it may say more than a log should.
  public var description: String {
    "pool \(pool): \(code.rawValue) after \(waited), \(lent) of \(maximum) lent"
  }
}
