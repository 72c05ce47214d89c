/// A `Range` header of one byte range (RFC 9110, section 14).
///
///     let range = HTTPRange("bytes=100-")
///     print(range?.resolve(length: 1000) as Any)  // .satisfiable(100..<1000)
public enum HTTPRange: Hashable, Sendable {
  /// From a position to another one inclusive, or to the end.
  case from(Int, through: Int?)
  /// So many bytes at the end.
  case suffix(Int)

  /// Parses the header's value.
  ///
  /// - Returns: `nil` for anything that is not a single range of bytes. Such a header is to be ignored.
  public init?(_ value: String) {
    guard value.hasPrefix("bytes=") else { return nil }
    let parts = value.dropFirst(6).split(
      separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else { return nil }
    switch (parts[0].isEmpty, parts[1].isEmpty) {
    case (true, true): return nil
    case (true, false):
      guard let count = Self.number(parts[1]) else { return nil }
      self = .suffix(count)
    case (false, true):
      guard let first = Self.number(parts[0]) else { return nil }
      self = .from(first, through: nil)
    case (false, false):
      guard let first = Self.number(parts[0]), let last = Self.number(parts[1]), first <= last
      else { return nil }
      self = .from(first, through: last)
    }
  }

  private static func number(_ text: Substring) -> Int? {
    guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")) ~= $0 }) else {
      return nil
    }
    return Int(text)
  }

  /// What a range means for a body of a known length.
  public enum Resolution: Hashable, Sendable {
    /// These positions, never empty.
    case satisfiable(Range<Int>)
    /// Nothing in the body; the answer is 416.
    case unsatisfiable
  }

  /// Applies the range to a body.
  ///
  /// - Parameter length: The body's length in bytes.
  public func resolve(length: Int) -> Resolution {
    switch self {
    case .from(let first, let last):
      guard first < length else { return .unsatisfiable }
      return .satisfiable(first..<min(last ?? .max, length - 1) + 1)
    case .suffix(let count):
      guard count > 0, length > 0 else { return .unsatisfiable }
      return .satisfiable(max(0, length - count)..<length)
    }
  }
}
