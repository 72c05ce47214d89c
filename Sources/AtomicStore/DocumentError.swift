/// A document whose value can't be written or read, whatever the disk says.
///
///     do {
///       try await document.save(reading)
///     } catch let error as DocumentError where error.code == .notFinite {
///       print(error.field ?? "")  // sensors[3].celsius
///     }
public struct DocumentError: ClassifiedError {
  /// What is wrong.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The word itself.
    public let rawValue: String

    /// Makes a code from a word.
    ///
    /// - Parameter rawValue: A word in lower camel case.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// A field holds a number that JSON can't say: not a number, or infinite.
    public static let notFinite = Code(rawValue: "notFinite")
    /// The value can't be written as JSON for another reason.
    public static let notEncodable = Code(rawValue: "notEncodable")
    /// The file holds exactly what was saved, but not the JSON of this type.
    ///
    /// A program with another idea of the type saved it. Neither moved aside nor replaced by an older backup, because nothing is damaged.
    public static let notDecodable = Code(rawValue: "notDecodable")
    /// There is no document to change, and no default was given.
    public static let missing = Code(rawValue: "missing")
    /// The content is damaged, no backup is good, and it could not be moved aside; it was left as it is.
    public static let corrupt = Code(rawValue: "corrupt")
  }

  /// What is wrong.
  public let code: Code

  /// The document.
  public let path: String

  /// The field, such as `sensors[3].celsius`, or `nil` when it is not about one.
  public let field: String?

  /// Says more, in words for a developer.
  public let detail: String?

  /// The error that says more, or `nil`.
  public let cause: (any Error)?

  init(
    _ code: Code, path: String, field: String? = nil, detail: String? = nil,
    cause: (any Error)? = nil
  ) {
    self.code = code
    self.path = path
    self.field = field
    self.detail = detail
    self.cause = cause
  }

  /// Always `ErrorCategory.validation`.
  public var category: ErrorCategory { .validation }

  /// Never: the same value or file fails the same way.
  public var retryability: Retryability { .notRetryable }

  /// One sentence with the path, and the field where there is one.
  public var userMessage: String? {
    let place = field.map { " in \($0)" } ?? ""
    return switch code {
    case .notFinite: "\(path) can't be saved: the number\(place) is not finite."
    case .notEncodable: "\(path) can't be saved: the value\(place) can't be written as JSON."
    case .notDecodable: "\(path) was saved by a program that writes it in another way\(place)."
    case .missing: "\(path) does not exist."
    case .corrupt: "\(path) is damaged, and there is no good backup."
    default: "\(path) can't be used."
    }
  }

  /// What to do about it.
  public var suggestedActions: [String] {
    switch code {
    case .notFinite: ["Give \(field ?? "the field") a finite number, or leave it out."]
    case .notDecodable: ["Use the version of the program that saved it, or a newer one."]
    case .missing: ["Check the path for a typing error."]
    case .corrupt: ["Move the file away by hand, or restore it from a copy elsewhere."]
    default: []
    }
  }
}

extension DocumentError: CustomStringConvertible {
  /// Code, path, field and detail in one line.
  public var description: String {
    var text = "\(code.rawValue): \(path)"
    if let field { text += ", \(field)" }
    if let detail { text += ": \(detail)" }
    return text
  }
}

extension DocumentError {
  /// Says which field could not be written.
  init(encoding error: any Error, path: String) {
    guard case EncodingError.invalidValue(let value, let context)? = error as? EncodingError else {
      self.init(.notEncodable, path: path, detail: "\(error)", cause: error)
      return
    }
    self.init(
      DocumentError.isNotFinite(value) ? .notFinite : .notEncodable, path: path,
      field: DocumentError.field(context.codingPath), detail: context.debugDescription,
      cause: error)
  }

  /// Says which field could not be read.
  init(decoding error: any Error, path: String) {
    let context: DecodingError.Context? =
      switch error as? DecodingError {
      case .typeMismatch(_, let context), .valueNotFound(_, let context),
        .keyNotFound(_, let context), .dataCorrupted(let context):
        context
      default: nil
      }
    self.init(
      .notDecodable, path: path, field: context.flatMap { DocumentError.field($0.codingPath) },
      detail: context?.debugDescription ?? "\(error)", cause: error)
  }

  private static func isNotFinite(_ value: Any) -> Bool {
    switch value {
    case let number as Double: !number.isFinite
    case let number as Float: !number.isFinite
    default: false
    }
  }

  /// A path of keys as a person writes it; `nil` when it is empty.
  private static func field(_ keys: [any CodingKey]) -> String? {
    guard !keys.isEmpty else { return nil }
    var text = ""
    for key in keys {
      if let index = key.intValue {
        text += "[\(index)]"
      } else {
        text += text.isEmpty ? key.stringValue : ".\(key.stringValue)"
      }
    }
    return text
  }
}
