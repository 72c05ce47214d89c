/// An error that says: the call was turned away here, before it reached the other side.
///
/// An open circuit breaker, an empty rate limit and a full pool throw such errors. They say nothing about the health of
/// what was to be called, so a circuit breaker around them counts them neither as a success nor as a failure. Conform
/// your own gatekeepers' errors:
///
///     struct MaintenanceMode: LocalRejection {
///       var category: ErrorCategory { .overload }
///       var retryability: Retryability { .retryable(after: .seconds(60)) }
///     }
public protocol LocalRejection: ClassifiedError {}

/// An error around another one that adds a story and changes nothing about what it is.
///
/// Whoever judges errors looks at the one inside.
package protocol TransparentError: Error {
  /// The error inside.
  var underlying: any Error { get }
}

extension Error {
  /// The error that is to be judged: this one, or what is inside when it only adds a story.
  package var withoutStory: any Error {
    var error: any Error = self
    while let wrapper = error as? any TransparentError { error = wrapper.underlying }
    return error
  }
}
