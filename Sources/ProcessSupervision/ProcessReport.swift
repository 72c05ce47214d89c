internal import CReliability
public import ErrorContext
public import ReliabilityCore

/// How a child process ended.
///
///     if case .signal(let number) = report.exit { print("killed by signal \(number)") }
public enum ProcessExit: Hashable, Sendable {
  /// It exited by itself with this code, 0 to 255.
  case code(Int32)
  /// A signal ended it.
  case signal(Int32)
  /// Nobody knows: somebody else awaited it (a program that ignores SIGCHLD, or waits for any child), or it could not be killed.
  case unknown
}

/// Why a child process was ended before its time.
///
/// The set is open.
///
///     if report.stopReason == .stalled { print("no progress") }
public struct ProcessStopReason: RawRepresentable, Hashable, Sendable {
  /// The word for the reason, as it appears in reports and metrics.
  public let rawValue: String

  /// Makes a reason from a word.
  public init(rawValue: String) { self.rawValue = rawValue }

  /// ``ProcessLimits/total`` passed.
  public static let totalLimit = Self(rawValue: "total")
  /// ``ProcessLimits/stall`` passed.
  public static let stalled = Self(rawValue: "stall")
  /// ``ProcessLimits/startup`` passed.
  public static let startupLimit = Self(rawValue: "startup")
  /// `Deadline.current` passed.
  public static let deadline = Self(rawValue: "deadline")
  /// ``ProcessLimits/memory`` was reached.
  public static let memoryLimit = Self(rawValue: "memory")
  /// ``ProcessLimits/output`` was reached.
  public static let outputLimit = Self(rawValue: "output")
  /// The caller's task was cancelled.
  public static let cancelled = Self(rawValue: "cancelled")
  /// The body of `withProcess` ended before the child did.
  public static let bodyEnded = Self(rawValue: "body_ended")
  /// ``SupervisedProcess/terminate()`` was called.
  public static let requested = Self(rawValue: "requested")
}

/// What a child process and the descendants it awaited used, as the kernel counted it.
///
///     print(report.usage.userTime + report.usage.systemTime)
public struct ProcessUsage: Hashable, Sendable {
  /// Processor time in the program.
  public var userTime: Duration = .zero
  /// Processor time in the kernel.
  public var systemTime: Duration = .zero
  /// The largest resident memory of any one process, in bytes; zero when that is not known.
  ///
  /// The kernel counts the caller's own memory as the child's until it executes the program (so does every `time` command), so that
  /// only what is larger than that is the child's.
  public var peakMemoryBytes: Int64 = 0
  /// Blocks of 512 bytes read from storage.
  public var blocksRead: Int64 = 0
  /// Blocks of 512 bytes written to storage.
  public var blocksWritten: Int64 = 0

  /// Nothing used.
  public init() {}
}

/// Everything known of a child process that has ended.
///
///     let report = try await runProcess("ffprobe", ["-v", "error", path])
///     print(report.exit, report.duration, report.errorTail)
///     for entry in report.timeline { print(entry.at, entry.event.rawValue) }
///
/// A value of bounded size.
public struct ProcessReport: Hashable, Sendable {
  /// The program as it was given.
  public internal(set) var command: String
  /// Its arguments.
  public internal(set) var arguments: [String]
  /// The number the process had; 0 when it never started.
  public internal(set) var processID: Int32
  /// How it ended.
  public internal(set) var exit: ProcessExit
  /// Why it was ended before its time, `nil` when it ended by itself.
  public internal(set) var stopReason: ProcessStopReason?
  /// When it was started.
  public internal(set) var startedAt: WallTime
  /// From the start until the child had ended, with a nanosecond's resolution.
  public internal(set) var duration: Duration
  /// The end of its standard output; at most as many characters as configured.
  ///
  /// Bytes that are no UTF-8 are replaced.
  public internal(set) var outputTail: String
  /// The end of its standard error; at most as many characters as configured.
  public internal(set) var errorTail: String
  /// The beginning of its standard output; at most ``ProcessConfiguration/capturedBytes``.
  public internal(set) var output: [UInt8]
  /// How many bytes it wrote to its standard output.
  public internal(set) var outputBytes: Int64
  /// How many bytes it wrote to its standard error.
  public internal(set) var errorBytes: Int64
  /// What it used, by the kernel's count.
  public internal(set) var usage: ProcessUsage
  /// The largest memory of the child and its descendants together that was seen, in bytes.
  ///
  /// At least the ``ProcessUsage/peakMemoryBytes``, which also knows of processes that lived between two samples. Zero when a
  /// process ended before the first sample and used less than the caller.
  public internal(set) var peakMemoryBytes: Int64
  /// The memory limit in force, in bytes.
  public internal(set) var memoryLimitBytes: Int64?
  /// The last samples of the resources, 32 at most, oldest first.
  public internal(set) var samples: [ResourceSample]
  /// What happened, oldest first; 64 entries at most.
  public internal(set) var timeline: [ErrorReport.TimelineEntry]
  /// How many entries of the timeline were left out.
  public internal(set) var timelineDropped: Int
  /// The size of the watched file when it was last looked at, `nil` when it is missing or none is watched.
  public internal(set) var watchedFileSize: Int64?
  /// Whether processes of the child's group outlived it and, where they are ended, their first SIGTERM.
  public internal(set) var hadLeftovers: Bool
  /// Whether a process outside the group still held a pipe when it was closed, so that the end of the output may be missing.
  public internal(set) var outputWasCutOff: Bool

  /// The last sample of the resources.
  public var lastSample: ResourceSample? { samples.last }

  /// The exit code, `nil` when it did not exit by itself.
  public var exitCode: Int32? { if case .code(let code) = exit { code } else { nil } }

  /// The number of the signal that ended it, `nil` when none did.
  public var signal: Int32? { if case .signal(let number) = exit { number } else { nil } }

  /// The section of an `ErrorReport`.
  public var details: ErrorReport.ProcessDetails {
    ErrorReport.ProcessDetails(
      arguments: [command] + arguments, exitCode: exitCode.map(Int.init),
      signal: signal.map(Int.init), output: outputTail, errorOutput: errorTail,
      resources: lastSample ?? finalSample, duration: duration)
  }

  /// For a child that ended before its first sample: what the kernel counted.
  private var finalSample: ResourceSample? {
    guard processID != 0 else { return nil }
    let seconds = duration.seconds
    let busy = usage.userTime.saturatingAdd(usage.systemTime).seconds
    return ResourceSample(
      at: startedAt.advanced(by: duration), cpuPercent: seconds > 0 ? busy / seconds * 100 : 0,
      memoryMegabytes: Double(peakMemoryBytes) / 1_048_576,
      memoryPercent: Machine.percent(ofMemory: peakMemoryBytes),
      diskBytesRead: usage.blocksRead.multipliedReportingOverflow(by: 512).partialValue,
      diskBytesWritten: usage.blocksWritten.multipliedReportingOverflow(by: 512).partialValue)
  }
}

extension WallTime {
  /// The moment so much later, limited to those that can be shown.
  func advanced(by duration: Duration) -> WallTime {
    let (sum, overflow) = nanosecondsSince1970.addingReportingOverflow(duration.nanoseconds)
    return WallTime(nanosecondsSince1970: overflow ? .max : sum)
  }
}

extension ProcessExit {
  /// For the timeline.
  var words: String {
    switch self {
    case .code(let code): "code \(code)"
    case .signal(let number): "signal \(number)"
    case .unknown: "unknown"
    }
  }
}

extension ProcessUsage {
  init(_ result: creliability_exit, inheritedPeak: Int64) {
    userTime = .nanoseconds(result.user_nanoseconds)
    systemTime = .nanoseconds(result.system_nanoseconds)
    peakMemoryBytes =
      result.peak_resident_bytes > inheritedPeak ? result.peak_resident_bytes : 0
    blocksRead = result.blocks_read
    blocksWritten = result.blocks_written
  }
}
