public import ReliabilityCore

/// The pool has nothing to lend and could not make anything.
///
/// Thrown to all who wait as soon as an attempt has failed and nothing else can come to them, and at once to everybody who
/// asks before the pool tries again. `retry` waits as long as it says; classifiers and `error.underlying(as:)` see the cause.
///
///     do {
///       try await pool.withResource { try await $0.render(page) }
///     } catch let error as PoolCreationError {
///       print("\(error.pool) is down: \(error.cause); next attempt in \(error.retryAfter)")
///     }
public struct PoolCreationError: ClassifiedError, ErrorWithCauses {
  /// The pool's name.
  public let pool: String

  /// What the last attempt threw, unchanged.
  public let cause: any Error

  /// How many attempts in a row have failed.
  public let failures: Int

  /// How long until the pool tries again, zero at least.
  public let retryAfter: Duration

  init(pool: String, cause: any Error, failures: Int, retryAfter: Duration) {
    self.pool = pool
    self.cause = cause
    self.failures = failures
    self.retryAfter = retryAfter
  }

  /// The cause, unless it is a cancellation: it was not this caller who was cancelled.
  public var causes: [any Error] { cause is CancellationError ? [] : [cause] }

  /// The cause's category where it has one, else `ErrorCategory.dependency`.
  public var category: ErrorCategory {
    let category = (cause as? any ClassifiedError)?.category ?? .dependency
    return category == .cancelled ? .dependency : category
  }

  /// Not retryable when the cause says so, else retryable after ``retryAfter`` or what the cause asks for, whichever is
  /// longer.
  public var retryability: Retryability {
    guard let cause = cause as? any ClassifiedError, cause.category != .cancelled else {
      return .retryable(after: retryAfter)
    }
    switch cause.retryability {
    case .notRetryable: return .notRetryable
    case .retryable(let wanted): return .retryable(after: max(retryAfter, wanted ?? .zero))
    }
  }

  /// One sentence for a person.
  public var userMessage: String? { "No resource of \(pool) could be made." }

  /// What to do about it.
  public var suggestedActions: [String] { ["Try again later."] }
}

extension PoolCreationError: CustomStringConvertible {
  /// The pool and the figures in one line; the cause is left out, as it may say more than a log should.
  public var description: String {
    "pool \(pool): creation failed \(failures) times, next attempt in \(retryAfter)"
  }
}
