/// How a document's value is written as JSON.
///
///     var configuration = AtomicDocument<Settings>.Configuration()
///     configuration.format.layout = .compact
///
/// Text is UTF-8; letters of every script, emoji and `/` are written as they are. Numbers that JSON can't say (not a
/// number, infinite) are refused with the field's name. Any JSON that decodes is read, however it is laid out.
public struct DocumentFormat: Hashable, Sendable {
  /// Where the line breaks go.
  public enum Layout: Hashable, Sendable {
    /// One member a line, indented by two spaces, and a line feed at the end: for files that people read and compare.
    case pretty
    /// Everything on one line, without spaces.
    case compact
  }

  /// How a `Date` is written and read.
  public enum DateFormat: Hashable, Sendable {
    /// Seconds since 2001 as a number, as Foundation does by itself: nothing is lost, and nobody can read it.
    case secondsSince2001
    /// Seconds since 1970 as a number.
    case secondsSince1970
    /// RFC 3339 text to the second; fractions are lost.
    case iso8601
  }

  /// Where the line breaks go.
  public var layout: Layout

  /// Whether the members of objects are sorted by name, so that two versions of a file differ only where they do.
  ///
  /// Without, their order is a different one in each run of the program.
  public var sortsKeys: Bool

  /// How dates are written.
  public var dates: DateFormat

  /// Makes a format.
  ///
  /// - Parameters:
  ///   - layout: Where the line breaks go.
  ///   - sortsKeys: Whether members are sorted by name.
  ///   - dates: How dates are written.
  public init(
    layout: Layout = .pretty, sortsKeys: Bool = true, dates: DateFormat = .secondsSince2001
  ) {
    self.layout = layout
    self.sortsKeys = sortsKeys
    self.dates = dates
  }
}
