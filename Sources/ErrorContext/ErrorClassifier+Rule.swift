extension ErrorClassifier {
  /// One piece of knowledge about errors that don't classify themselves.
  ///
  /// Prefer the form for one type: it costs one dictionary look-up however many rules there are. A rule for any error
  /// is asked about every error that nothing before it knows.
  ///
  ///     let rules: [ErrorClassifier.Rule] = [
  ///       .init(ParserError.self) { _ in Classification(.validation, .notRetryable) },
  ///       .init("driver") { ($0 as? any DriverFailure)?.classification },
  ///     ]
  public struct Rule: Sendable {
    /// What the rule is called; a rule for any error replaces one of the same name.
    public let name: String

    let type: ObjectIdentifier?
    let classify: @Sendable (any Error) -> Classification?
    var causes: (@Sendable (any Error) -> [any Error])?
    var message: (@Sendable (any Error) -> String?)?

    /// Makes a rule for errors of exactly one type.
    ///
    /// - Parameters:
    ///   - type: The concrete type. Subclasses of a class are other types: use the form for any error for them.
    ///   - classify: Answers, or returns `nil` to leave the error to later rules. Must not block.
    public init<Failure: Error>(
      _ type: Failure.Type, classify: @escaping @Sendable (Failure) -> Classification?
    ) {
      self.name = String(reflecting: type)
      self.type = ObjectIdentifier(type)
      self.classify = { error in (error as? Failure).flatMap(classify) }
    }

    /// Makes a rule for any error.
    ///
    /// - Parameters:
    ///   - name: What the rule is called; adding another of that name replaces this one.
    ///   - classify: Answers, or returns `nil` to leave the error to later rules. Must not block.
    public init(_ name: String, classify: @escaping @Sendable (any Error) -> Classification?) {
      self.name = name
      self.type = nil
      self.classify = classify
    }

    /// This rule, which also finds the errors that led to the ones it knows.
    ///
    /// - Parameter find: The causes, most telling first; empty when there are none or the rule doesn't know the error.
    public func findingCauses(_ find: @escaping @Sendable (any Error) -> [any Error]) -> Rule {
      var rule = self
      rule.causes = find
      return rule
    }

    /// This rule, which also words the errors it knows better than their own description does.
    ///
    /// - Parameter message: A technical sentence for the report, `nil` when the rule doesn't know the error.
    public func describing(_ message: @escaping @Sendable (any Error) -> String?) -> Rule {
      var rule = self
      rule.message = message
      return rule
    }
  }
}
