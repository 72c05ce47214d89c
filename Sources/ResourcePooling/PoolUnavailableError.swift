public import ReliabilityCore

/// The pool turned the caller away at once: it ends, or too many wait already.
///
///     do {
///       try await pool.withResource { try await $0.render(page) }
///     } catch let error as PoolUnavailableError where error.code == .stopped {
///       return  // the program ends
///     }
public struct PoolUnavailableError: LocalRejection, Hashable {
  /// Why it turned the caller away.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The word itself.
    public let rawValue: String

    /// Makes a code from a word.
    ///
    /// - Parameter rawValue: A word in lower camel case.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The pool was stopped, and lends nothing any more.
    public static let stopped = Code(rawValue: "stopped")
    /// As many as may wait do so already.
    public static let queueFull = Code(rawValue: "queueFull")
  }

  /// The pool's name.
  public let pool: String

  /// Why it turned the caller away.
  public let code: Code

  init(pool: String, code: Code) {
    self.pool = pool
    self.code = code
  }

  /// Always `ErrorCategory.overload`.
  public var category: ErrorCategory { .overload }

  /// Retryable unless the pool was stopped.
  public var retryability: Retryability { code == .stopped ? .notRetryable : .retryable() }

  /// One sentence for a person.
  public var userMessage: String? {
    code == .stopped ? "\(pool) has been shut down." : "Too many requests wait for \(pool)."
  }

  /// What to do about it.
  public var suggestedActions: [String] {
    code == .stopped ? [] : ["Try again later."]
  }
}

extension PoolUnavailableError: CustomStringConvertible {
  /// The pool and the reason.
  public var description: String { "pool \(pool): \(code.rawValue)" }
}
