public import ReliabilityCore

extension RetryPolicy {
  /// What is different for the errors of one category.
  ///
  ///     policy.rules[.database] = .init(maxAttempts: 10, backoff: .constant(.milliseconds(50)))
  ///     policy.rules[.unknown] = .upTo(attempts: 2)
  ///     policy.rules[.fileSystem] = .never
  public struct CategoryRule: Hashable, Sendable {
    /// How many attempts of one call may fail with this category; `nil` for no limit but the policy's.
    ///
    /// The policy's own limit, over all categories, stays in force.
    public var maxAttempts: Int?

    /// How long to wait after such a failure; `nil` for the policy's backoff.
    ///
    /// It grows with the failures of this category alone.
    public var backoff: Backoff?

    /// Makes a rule.
    ///
    /// - Parameters:
    ///   - maxAttempts: How many attempts of one call may fail with this category, 1 at least.
    ///   - backoff: How long to wait after such a failure.
    public init(maxAttempts: Int? = nil, backoff: Backoff? = nil) {
      self.maxAttempts = maxAttempts
      self.backoff = backoff
    }

    /// Not to be retried, whatever the error itself says.
    public static let never = CategoryRule(maxAttempts: 1)

    /// To be retried until so many attempts failed with this category.
    public static func upTo(attempts: Int) -> CategoryRule {
      CategoryRule(maxAttempts: attempts)
    }

    func validate(as field: String) throws(ConfigurationError) {
      if let maxAttempts {
        try check(maxAttempts >= 1, "\(field).maxAttempts", "must be at least 1")
      }
      try backoff?.validate(as: "\(field).backoff")
    }
  }
}
