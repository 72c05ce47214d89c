/// A configuration value that came from outside the code (a flag, a file, the environment) and breaks a rule.
///
/// A bad value written in code is a programmer's error and traps with the same text.
public struct ConfigurationError: ClassifiedError, Hashable {
  /// The field that holds the bad value, in the spelling of the configuration type.
  public let field: String

  /// The rule it breaks, as a phrase that follows the field's name: "must be greater than zero".
  public let rule: String

  /// Makes an error for a field and the rule its value breaks.
  ///
  /// - Parameters:
  ///   - field: The field's name, such as `"maxDelay"`.
  ///   - rule: The rule as a phrase that follows the name, such as `"must not be negative"`.
  public init(field: String, rule: String) {
    self.field = field
    self.rule = rule
  }

  /// Always ``ErrorCategory/validation``.
  public var category: ErrorCategory { .validation }

  /// Never: the same value breaks the same rule.
  public var retryability: Retryability { .notRetryable }

  /// Names the field and the rule.
  public var userMessage: String? { description }

  /// Suggests to correct the field.
  public var suggestedActions: [String] { ["Correct the value of \(field)."] }
}

extension ConfigurationError: CustomStringConvertible {
  /// The field and the rule in one sentence.
  public var description: String { "\(field) \(rule)" }
}

/// Throws unless a configuration value keeps its rule; the building block of every `validate()`.
///
/// - Parameters:
///   - condition: Whether the rule is kept.
///   - field: The field's name.
///   - rule: The rule as a phrase that follows the name.
@inlinable package func check(
  _ condition: Bool, _ field: @autoclosure () -> String, _ rule: @autoclosure () -> String
) throws(ConfigurationError) {
  if !condition { throw ConfigurationError(field: field(), rule: rule()) }
}

/// Traps with field and rule when a configuration written in code is invalid.
///
/// - Parameter validate: Throws what is wrong with the configuration.
package func requireValid(_ validate: () throws(ConfigurationError) -> Void) {
  do {
    try validate()
  } catch {
    preconditionFailure("\(error)")
  }
}
