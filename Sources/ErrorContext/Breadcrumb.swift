/// A remark the program left on its way to the error.
///
///     breadcrumb("connected to \(host)")
public struct Breadcrumb: Hashable, Sendable {
  /// When the remark was made, on the wall clock.
  public let at: WallTime

  /// The remark, secrets taken out, 256 bytes at most.
  public let message: String

  /// Makes a remark.
  ///
  /// - Parameters:
  ///   - message: The remark. Redacted and limited to 256 bytes here.
  ///   - at: When it was made.
  public init(_ message: String, at: WallTime = .now) {
    self.at = at
    self.message = ReportText.clean(message, limit: 256)
  }
}

/// Leaves a remark for the report of an error that may come.
///
/// It belongs to the innermost `withErrorContext` and is lost when all contexts around it end well. Each context keeps
/// its first 8 and its last 24. Outside any context the message is not even built.
///
/// - Parameter message: What just happened, in a few words. It is shown in reports after redaction: keep identifiers of
///   persons out of it.
public func breadcrumb(_ message: @autoclosure () -> String) {
  guard let scope = ContextScope.current.get() else { return }
  scope.add(Breadcrumb(message()))
}
