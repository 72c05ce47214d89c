/// An error that knows what it is: its category, whether to try again, and what to tell a person.
///
/// Every error this package throws conforms, so that `retry`, a circuit breaker and an error report do the right
/// thing without configuration. Conform your own errors to give them the same voice:
///
///     struct QuotaExceeded: ClassifiedError {
///       var category: ErrorCategory { .overload }
///       var retryability: Retryability { .retryable(after: .seconds(60)) }
///     }
public protocol ClassifiedError: Error {
  /// What kind of trouble this is.
  var category: ErrorCategory { get }

  /// Whether trying again can help, and when.
  var retryability: Retryability { get }

  /// One sentence for the person who uses the program, or `nil` to let the report derive one from the category.
  var userMessage: String? { get }

  /// What that person can do about it, most useful first. Empty when there is nothing to do.
  var suggestedActions: [String] { get }
}

extension ClassifiedError {
  /// By default there is no message of the error's own.
  public var userMessage: String? { nil }

  /// By default there is nothing to suggest.
  public var suggestedActions: [String] { [] }
}
