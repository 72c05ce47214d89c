/// One `withErrorContext` the error passed through: what was being done, with what, and where in the source.
///
///     for frame in contextual.frames {
///       print(frame.name, frame.source)  // download Crawler/Fetch.swift:42
///     }
public struct ContextFrame: Hashable, Sendable {
  /// What was being done.
  public var name: String

  /// With what.
  ///
  /// Private values stay private in every description.
  public var values: ContextValues

  /// The source file as module and file name: `Crawler/Fetch.swift`.
  public var fileID: String

  /// The line in that file.
  public var line: UInt

  /// Makes a frame.
  ///
  /// - Parameters:
  ///   - name: What was being done.
  ///   - values: With what.
  ///   - fileID: The source file as `#fileID` gives it.
  ///   - line: The line in that file.
  public init(name: String, values: ContextValues, fileID: String, line: UInt) {
    self.name = name
    self.values = values
    self.fileID = fileID
    self.line = line
  }

  /// File and line: `Crawler/Fetch.swift:42`.
  public var source: String { "\(fileID):\(line)" }
}

extension ContextFrame: CustomStringConvertible {
  /// Name, values and source in one line, without private values and secrets.
  public var description: String {
    let name = ReportText.clean(name, limit: 128)
    return values.entries.isEmpty ? "\(name) (\(source))" : "\(name) [\(values)] (\(source))"
  }
}
