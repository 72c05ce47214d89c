/// An error that knows things a report has a section of its own for.
///
/// Every ``ErrorReport`` of it carries them, wherever it is made: also when the error was wrapped, retried or kept as a dead letter,
/// or is a cause of another one. Of several causes the first one counts.
///
///     struct EncoderFailed: Error, ErrorWithReportDetails {
///       var exitCode: Int
///       var processDetails: ErrorReport.ProcessDetails? { .init(exitCode: exitCode) }
///     }
public protocol ErrorWithReportDetails: Error {
  /// What is known of the child process that failed.
  var processDetails: ErrorReport.ProcessDetails? { get }
  /// What happened on the way, oldest first.
  var timeline: [ErrorReport.TimelineEntry] { get }
}

extension ErrorWithReportDetails {
  /// By default no child process is known of.
  public var processDetails: ErrorReport.ProcessDetails? { nil }
  /// By default nothing is known of the way.
  public var timeline: [ErrorReport.TimelineEntry] { [] }
}
