/// What kind of trouble an error is.
///
/// A category is a low-cardinality word: it is a metric label, the key of per-category retry rules and the
/// `category` member of an error report. The set is open: an application adds its own with
/// ``init(rawValue:)``, but keeps them few and never puts an identifier in one.
///
///     extension ErrorCategory {
///       static let payment = ErrorCategory(rawValue: "payment")
///     }
///     let category: ErrorCategory = .network
///     print(category)  // network
public struct ErrorCategory: RawRepresentable, Hashable, Sendable, Codable {
  /// The word itself, as it appears in reports and metrics.
  public let rawValue: String

  /// Makes a category from a word.
  ///
  /// - Parameter rawValue: A short word in lower camel case. An empty string becomes ``unknown``'s word, so
  ///   that no report ever carries an empty category.
  public init(rawValue: String) {
    self.rawValue = rawValue.isEmpty ? "unknown" : rawValue
  }

  /// The input is wrong; the same input will be wrong next time.
  public static let validation = ErrorCategory(rawValue: "validation")
  /// The peer could not be reached, or the connection broke.
  public static let network = ErrorCategory(rawValue: "network")
  /// A file or directory could not be read or written.
  public static let fileSystem = ErrorCategory(rawValue: "fileSystem")
  /// A database refused or failed.
  public static let database = ErrorCategory(rawValue: "database")
  /// A limit of time passed.
  public static let timeout = ErrorCategory(rawValue: "timeout")
  /// Memory ran out, or a memory limit was hit.
  public static let memoryExhaustion = ErrorCategory(rawValue: "memoryExhaustion")
  /// A child process failed.
  public static let process = ErrorCategory(rawValue: "process")
  /// Something this program depends on is broken or unavailable.
  public static let dependency = ErrorCategory(rawValue: "dependency")
  /// Too much was asked: a limit, a quota or a full queue refused the work.
  public static let overload = ErrorCategory(rawValue: "overload")
  /// The caller gave up.
  ///
  /// Neither a success nor a failure.
  public static let cancelled = ErrorCategory(rawValue: "cancelled")
  /// Nothing is known about the error.
  public static let unknown = ErrorCategory(rawValue: "unknown")
}

extension ErrorCategory: CustomStringConvertible {
  /// The word itself.
  public var description: String { rawValue }
}
