/// A value attached to an error context: text, with a mark that says whether a report may show it.
///
/// Values are private unless marked, so that what nobody thought about never reaches a log. A report and every
/// description show a private value as `<private>`.
///
///     try withErrorContext("download", ["video_id": .public(id), "account": account]) {
///       try fetch(id)
///     }
public struct ContextValue: Hashable, Sendable {
  /// The text itself, also of a private value.
  ///
  /// For a debugger, not for a log.
  public let unredacted: String

  /// Whether a report may show the text.
  public let isPublic: Bool

  /// Makes a value.
  ///
  /// - Parameters:
  ///   - text: The text.
  ///   - isPublic: Whether a report may show it.
  public init(_ text: String, isPublic: Bool) {
    self.unredacted = text
    self.isPublic = isPublic
  }

  /// A value that a report shows, its own secrets (the query of a URL, a token) still taken out.
  public static func `public`(_ value: some ContextValueConvertible) -> ContextValue {
    ContextValue(value.contextValue.unredacted, isPublic: true)
  }

  /// A value that no report shows.
  ///
  /// The same as not marking it.
  public static func `private`(_ value: some ContextValueConvertible) -> ContextValue {
    ContextValue(value.contextValue.unredacted, isPublic: false)
  }
}

extension ContextValue: CustomStringConvertible {
  /// The text, or `<private>`.
  public var description: String {
    isPublic ? Redaction.standard.redact(unredacted) : Redaction.mask
  }
}

extension ContextValue: CustomDebugStringConvertible {
  /// The same as the description: a private value stays private in a debug print.
  public var debugDescription: String { description }
}

extension ContextValue: CustomReflectable {
  /// Hides the text from reflection, which `print` and `dump` of an enclosing value use.
  public var customMirror: Mirror { Mirror(self, children: ["value": description]) }
}

/// A type whose values can be attached to an error context.
///
///     extension VideoID: ContextValueConvertible {
///       var contextValue: ContextValue { .public(rawValue) }
///     }
public protocol ContextValueConvertible: Sendable {
  /// The value as text and mark.
  var contextValue: ContextValue { get }
}

extension ContextValueConvertible where Self == ContextValue {
  /// A value that a report shows: `["video_id": .public(id)]`.
  public static func `public`(_ value: some ContextValueConvertible) -> ContextValue {
    ContextValue(value.contextValue.unredacted, isPublic: true)
  }

  /// A value that no report shows: `["account": .private(account)]`.
  public static func `private`(_ value: some ContextValueConvertible) -> ContextValue {
    ContextValue(value.contextValue.unredacted, isPublic: false)
  }
}

extension ContextValue: ContextValueConvertible {
  /// The value itself.
  public var contextValue: ContextValue { self }
}

extension String: ContextValueConvertible {
  /// Private unless marked.
  public var contextValue: ContextValue { ContextValue(self, isPublic: false) }
}

extension Substring: ContextValueConvertible {
  /// Private unless marked.
  public var contextValue: ContextValue { ContextValue(String(self), isPublic: false) }
}

extension Int: ContextValueConvertible {
  /// Private unless marked.
  public var contextValue: ContextValue { ContextValue(String(self), isPublic: false) }
}

extension Int64: ContextValueConvertible {
  /// Private unless marked.
  public var contextValue: ContextValue { ContextValue(String(self), isPublic: false) }
}

extension UInt64: ContextValueConvertible {
  /// Private unless marked.
  public var contextValue: ContextValue { ContextValue(String(self), isPublic: false) }
}

extension Double: ContextValueConvertible {
  /// Private unless marked.
  public var contextValue: ContextValue { ContextValue(description, isPublic: false) }
}

extension Bool: ContextValueConvertible {
  /// Private unless marked.
  public var contextValue: ContextValue { ContextValue(description, isPublic: false) }
}

extension Duration: ContextValueConvertible {
  /// Private unless marked.
  public var contextValue: ContextValue { ContextValue(description, isPublic: false) }
}

extension WallTime: ContextValueConvertible {
  /// Private unless marked.
  public var contextValue: ContextValue { ContextValue(description, isPublic: false) }
}

extension ErrorCategory: ContextValueConvertible {
  /// Public: a category is never an identifier.
  public var contextValue: ContextValue { ContextValue(rawValue, isPublic: true) }
}

extension Optional: ContextValueConvertible where Wrapped: ContextValueConvertible {
  /// The value's own, or a public `nil`.
  public var contextValue: ContextValue {
    self?.contextValue ?? ContextValue("nil", isPublic: true)
  }
}

/// Keys and values of an error context, written as a dictionary and kept in the order written.
///
///     let values: ContextValues = ["attempt": .public(3), "path": path]
///     print(values)  // attempt=3 path=<private>
public struct ContextValues: Hashable, Sendable {
  /// One key with its value.
  public struct Entry: Hashable, Sendable {
    /// The key, as written in the program.
    public var key: String
    /// The value.
    public var value: ContextValue

    /// Makes an entry.
    public init(key: String, value: ContextValue) {
      self.key = key
      self.value = value
    }
  }

  /// The entries in the order written.
  public var entries: [Entry]

  /// Makes a list of entries.
  public init(_ entries: [Entry] = []) {
    self.entries = entries
  }
}

extension ContextValues: ExpressibleByDictionaryLiteral {
  /// Makes the list from a dictionary literal.
  ///
  /// Keys may repeat.
  public init(dictionaryLiteral elements: (String, any ContextValueConvertible)...) {
    entries = elements.map { Entry(key: $0.0, value: $0.1.contextValue) }
  }
}

extension ContextValues: CustomStringConvertible {
  /// The entries as `key=value`, private values masked.
  public var description: String {
    entries.map { "\($0.key)=\(Redaction.standard.shown($0.value, name: $0.key))" }
      .joined(separator: " ")
  }
}
