public import ReliabilityIO

/// The lock was not to be had in time.
public struct LockTimeoutError: ClassifiedError, Hashable {
  /// The lock file.
  public let path: String

  /// How long was waited.
  public let waited: Duration

  /// Describes a wait that took too long.
  public init(path: String, waited: Duration) {
    self.path = path
    self.waited = waited
  }

  /// `ErrorCategory.timeout`.
  public var category: ErrorCategory { .timeout }
  /// Retryable: the holder may be done by then.
  public var retryability: Retryability { .retryable() }
}

/// A lock file that can't be used.
public struct LockError: ClassifiedError, Hashable {
  /// The lock file.
  public let path: String

  /// The call that failed.
  public let cause: SystemCallError

  /// Describes a lock file that can't be used.
  public init(path: String, cause: SystemCallError) {
    self.path = path
    self.cause = cause
  }

  /// What the failed call says.
  public var category: ErrorCategory { cause.category }
  /// What the failed call says.
  public var retryability: Retryability { cause.retryability }
}
