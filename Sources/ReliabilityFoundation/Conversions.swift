public import ErrorContext
public import Foundation
public import ReliabilityCore

extension WallTime {
  /// The moment of a date, to the microsecond or so that a `Date` holds, limited to the years 1678 to 2262.
  ///
  /// - Parameter date: Any date; one that is not a number gives 1970.
  public init(_ date: Date) {
    let seconds = date.timeIntervalSince1970
    guard !seconds.isNaN else {
      self.init(nanosecondsSince1970: 0)
      return
    }
    let whole = seconds.rounded(.down)
    // 2^63 nanoseconds are 9,223,372,036.85 seconds.
    guard whole.magnitude < 9_223_372_036 else {
      self.init(nanosecondsSince1970: whole < 0 ? .min : .max)
      return
    }
    self.init(
      nanosecondsSince1970: Int64(whole) * 1_000_000_000
        + Int64(((seconds - whole) * 1e9).rounded(.down)))
  }
}

extension Date {
  /// The date of a moment, to the microsecond or so that a `Date` holds.
  public init(_ time: WallTime) {
    self.init(timeIntervalSince1970: Double(time.nanosecondsSince1970) / 1e9)
  }
}

extension URL: ContextValueConvertible {
  /// Private unless marked.
  ///
  /// A report shows a public one without user info, query and fragment.
  public var contextValue: ContextValue { ContextValue(absoluteString, isPublic: false) }
}

extension UUID: ContextValueConvertible {
  /// Private unless marked.
  public var contextValue: ContextValue { ContextValue(uuidString, isPublic: false) }
}

extension Date: ContextValueConvertible {
  /// Private unless marked.
  public var contextValue: ContextValue { WallTime(self).contextValue }
}

extension ErrorReport {
  /// The report as a problem document in `Data`; see ``ErrorContext/ErrorReport/json(pretty:limit:)``.
  ///
  /// - Parameters:
  ///   - isPretty: One member a line; else everything on one line.
  ///   - limit: The most bytes.
  public func jsonData(pretty isPretty: Bool = false, limit: Int = defaultJSONLimit) -> Data {
    Data(json(pretty: isPretty, limit: limit))
  }

  /// Reads a report that ``jsonData(pretty:limit:)`` or another program wrote.
  ///
  /// - Throws: `DecodingError` when it is not the JSON of a report.
  public init(jsonData: Data) throws {
    self = try JSONDecoder().decode(ErrorReport.self, from: jsonData)
  }
}
