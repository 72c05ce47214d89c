extension ErrorClassifier {
  private static let shared = Lock(ErrorClassifier())

  /// The process's classifier: the built-in rules and whatever has been installed so far.
  ///
  /// A library asks it anew for each error, so that a rule installed later counts from then on.
  public static var `default`: ErrorClassifier { shared.withLock { $0 } }

  /// Teaches ``default`` about more errors.
  ///
  /// Meant for the start of a program. Safe to call from any thread and more than once: a rule takes the place of the one
  /// with its name or for its type. A library should not install rules for errors it doesn't own.
  ///
  /// - Parameter rules: Asked before the ones installed earlier.
  public static func install(_ rules: [Rule]) {
    shared.withLock { $0 = $0.adding(rules) }
  }
}
