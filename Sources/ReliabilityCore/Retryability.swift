/// Whether trying again can help.
public enum Retryability: Hashable, Sendable {
  /// Trying again may help.
  ///
  /// - Parameter after: How long the other side asked to be left alone, or `nil` when it said nothing and the
  ///   caller's own backoff decides. Never negative.
  case retryable(after: Duration? = nil)

  /// Trying again without a change cannot help.
  case notRetryable

  /// Whether trying again may help.
  @inlinable public var isRetryable: Bool {
    if case .retryable = self { true } else { false }
  }

  /// How long to wait at least before trying again, when the error says so.
  @inlinable public var retryAfter: Duration? {
    if case .retryable(let after) = self { after } else { nil }
  }
}
