/// What a classifier found out about an error.
///
///     let answer = ErrorClassifier.default.classify(error)
///     if answer.category == .network, answer.retryability.isRetryable {
///       scheduleAnotherTry(after: answer.retryability.retryAfter)
///     }
public struct Classification: Hashable, Sendable {
  /// What kind of trouble the error is.
  public var category: ErrorCategory

  /// Whether trying again can help, and when.
  public var retryability: Retryability

  /// One sentence for a person, when the rule that matched has one.
  ///
  /// A `ClassifiedError` is not asked for its sentence here: a retry has no use for it. Reports do.
  public var userMessage: String?

  /// What that person can do about it, most useful first, when the rule that matched knows.
  public var suggestedActions: [String]

  /// Makes an answer.
  ///
  /// - Parameters:
  ///   - category: What kind of trouble the error is.
  ///   - retryability: Whether trying again can help.
  ///   - userMessage: One sentence for a person, `nil` to derive it from the category.
  ///   - suggestedActions: What that person can do, empty to derive it from the category.
  public init(
    _ category: ErrorCategory, _ retryability: Retryability, userMessage: String? = nil,
    suggestedActions: [String] = []
  ) {
    self.category = category
    self.retryability = retryability
    self.userMessage = userMessage
    self.suggestedActions = suggestedActions
  }

  /// Nothing is known: the category is `unknown`, and another try may help.
  ///
  /// An error nobody has classified counts as transient, as in every retry library: the number of attempts bounds the
  /// harm of a wrong guess, while giving up at once would make `retry` useless until every error is classified.
  public static let unknown = Classification(.unknown, .retryable())

  /// The caller gave up: neither success nor failure, and never tried again.
  public static let cancelled = Classification(.cancelled, .notRetryable)
}
