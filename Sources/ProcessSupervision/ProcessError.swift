public import ErrorContext
public import ReliabilityCore
public import ReliabilityIO

/// A child process failed, or could not be started.
///
///     do {
///       try await runProcess("yt-dlp", [url], configuration: configuration)
///     } catch let error as ProcessError {
///       print(error.failure, error.report.exit, error.report.errorTail)
///       print(ErrorReport(error).text())
///     }
///
/// An `ErrorReport` made of it, wherever that happens, carries the exit code, the ends of both outputs, the resources at the failure,
/// the duration and the timeline.
public struct ProcessError: ClassifiedError, ErrorWithCauses, ErrorWithReportDetails {
  /// How the failure showed.
  ///
  /// The set is open.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The word for it.
    public let rawValue: String

    /// Makes a code from a word.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// It could not be started; ``ProcessError/launchFailure`` says why.
    public static let launchFailed = Self(rawValue: "launch_failed")
    /// A limit of time passed; `ProcessReport.stopReason` says which.
    public static let timedOut = Self(rawValue: "timed_out")
    /// The memory limit was reached.
    public static let memoryLimit = Self(rawValue: "memory_limit")
    /// The output limit was reached.
    public static let outputLimit = Self(rawValue: "output_limit")
    /// It exited with a code that is not accepted.
    public static let exitCode = Self(rawValue: "exit_code")
    /// A signal that was not the supervisor's ended it.
    public static let signal = Self(rawValue: "signal")
    /// It succeeded, but the watched file is missing or empty.
    public static let emptyFile = Self(rawValue: "empty_file")
    /// How it ended is not known.
    public static let exitUnknown = Self(rawValue: "exit_unknown")
  }

  /// How the failure showed.
  public let code: Code
  /// What kind of failure it is.
  public let failure: ProcessFailure
  /// Whether trying again can help.
  public let retryability: Retryability
  /// Everything known of the process.
  public let report: ProcessReport
  /// The call that failed when the process could not be started.
  public let launchFailure: SystemCallError?
  /// What the body of `withProcess` threw after the process had failed.
  public let bodyError: (any Error)?

  /// The kind's category.
  public var category: ErrorCategory {
    failure == .unknown ? launchFailure?.category ?? failure.category : failure.category
  }

  /// The failed call or the body's error.
  public var causes: [any Error] { [launchFailure, bodyError].compactMap { $0 } }

  /// The section of an `ErrorReport`.
  public var processDetails: ErrorReport.ProcessDetails? { report.details }

  /// What happened on the way.
  public var timeline: [ErrorReport.TimelineEntry] { report.timeline }

  /// One sentence that names the program and what it ran into.
  public var userMessage: String? {
    switch (code, failure) {
    case (.launchFailed, _): "\(name) could not be started: \(launchReason)."
    case (_, .processTimeout):
      report.stopReason == .stalled
        ? "\(name) made no progress and was stopped." : "\(name) took too long and was stopped."
    case (_, .memoryExhaustion): "\(name) needed more memory than it may use."
    case (.outputLimit, _): "\(name) wrote more output than it may."
    case (.emptyFile, _): "\(name) finished without writing anything."
    case (_, .networkError): "\(name) could not reach the network or the server."
    case (_, .fileSystemError): "\(name) could not read or write a file."
    default: "\(name) failed."
    }
  }

  /// What to do about it, by kind.
  public var suggestedActions: [String] {
    if code == .launchFailed {
      return ["Check that \(name) is installed, executable and found in PATH."]
    }
    switch failure {
    case .processTimeout:
      return ["Try again later, or allow more time.", "Check the network.", "Try a lower quality."]
    case .memoryExhaustion:
      return ["Try a lower quality.", "Allow more memory, or run less at once."]
    case .networkError: return ["Check the network and try again."]
    case .fileSystemError:
      return ["Check free space and permissions of the output directory."]
    default: return ["Read the end of the program's error output in the report.", "Try again."]
    }
  }

  private var name: String {
    report.command.split(separator: "/").last.map(String.init) ?? "The program"
  }

  private var launchReason: String {
    launchFailure.map { $0.number.message } ?? "no time is left"
  }
}

extension ProcessError: CustomStringConvertible {
  /// The program, how the failure showed, what kind it is, and the last line of the error output.
  public var description: String {
    var text = "\(name): "
    switch code {
    case .launchFailed: text += launchFailure.map { "could not be started: \($0)" } ?? launchReason
    case .timedOut:
      text += "\(report.stopReason?.rawValue ?? "total") limit passed after \(seconds)"
    case .memoryLimit: text += "memory limit reached after \(seconds)"
    case .outputLimit: text += "output limit reached after \(seconds)"
    case .emptyFile: text += "exited with 0 but the watched file is missing or empty"
    default:
      switch report.exit {
      case .code(let code): text += "exited with \(code)"
      case .signal(let number): text += "ended by signal \(number)"
      case .unknown: text += "ended, nobody knows how"
      }
    }
    if failure != .unknown { text += " (\(failure))" }
    let last = report.errorTail.split { $0.isNewline }.last { !$0.allSatisfy(\.isWhitespace) }
    if let last { text += ": \(last.prefix(300))" }
    return text
  }

  private var seconds: String {
    let tenths = report.duration.nanoseconds / 100_000_000
    return "\(tenths / 10).\(tenths % 10) s"
  }
}
