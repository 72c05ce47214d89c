extension ErrorReport {
  /// An error that led to the reported one.
  public struct Cause: Hashable, Sendable {
    /// The error's type with its module.
    public let type: String
    /// Its message, redacted, 1,024 bytes at most.
    public let message: String
    /// What kind of trouble it is.
    public let category: ErrorCategory

    init(type: String, message: String, category: ErrorCategory) {
      self.type = ReportText.printable(type, limit: 256)
      self.message = ReportText.printable(message, limit: 1024)
      self.category = ReportText.category(category)
    }
  }

  /// One context the error passed through, with its values as text.
  public struct Frame: Hashable, Sendable {
    /// What was being done.
    public let name: String
    /// File and line: `Crawler/Fetch.swift:42`.
    public let source: String
    /// Keys and shown values in the order written, 16 at most; a private value is `<private>`.
    public let values: [Value]

    /// One key with its value as a report shows it.
    public struct Value: Hashable, Sendable {
      /// The key.
      public let key: String
      /// The text, `<private>` for a private value.
      public let text: String
    }

    init(_ frame: ContextFrame, redaction: Redaction) {
      name = ReportText.clean(frame.name, limit: 128, redaction: redaction)
      source = ReportText.printable(frame.source, limit: 256)
      values = frame.values.entries.prefix(16).map { entry in
        // Bounded before it is searched for secrets: a value may be a whole document.
        let value = ContextValue(
          entry.value.unredacted.prefix(utf8: 1024), isPublic: entry.value.isPublic)
        let key = ReportText.printable(entry.key, limit: 64)
        return Value(
          key: key, text: ReportText.printable(redaction.shown(value, name: entry.key), limit: 256))
      }
    }
  }

  /// One moment on the way to the error.
  public struct TimelineEntry: Hashable, Sendable {
    /// When it was.
    public let at: WallTime
    /// What happened, as one word.
    public let event: Event
    /// More about it, redacted, 256 bytes at most.
    public let detail: String?

    /// What can happen.
    ///
    /// The set is open.
    public struct Event: RawRepresentable, Hashable, Sendable, ExpressibleByStringLiteral {
      /// The word itself.
      public let rawValue: String

      /// Makes an event from a word, 32 bytes at most.
      public init(rawValue: String) {
        self.rawValue = rawValue.isEmpty ? "event" : ReportText.printable(rawValue, limit: 32)
      }

      /// Makes an event from a word.
      public init(stringLiteral value: String) { self.init(rawValue: value) }

      /// The work or the child process began.
      public static let start: Event = "start"
      /// The first byte of output or of a body came.
      public static let firstOutput: Event = "first_output"
      /// A mark of progress.
      public static let progress: Event = "progress"
      /// A sample of the resources in use.
      public static let sample: Event = "sample"
      /// A limit of time or memory was reached.
      public static let limitHit: Event = "limit_hit"
      /// The child was asked to end.
      public static let terminate: Event = "TERM"
      /// The child was ended by force.
      public static let kill: Event = "KILL"
      /// The child ended.
      public static let exit: Event = "exit"
      /// An attempt failed.
      public static let attemptFailed: Event = "attempt_failed"
      /// The program left a remark.
      public static let breadcrumb: Event = "breadcrumb"
    }

    /// Makes an entry.
    ///
    /// - Parameters:
    ///   - event: What happened.
    ///   - at: When it was.
    ///   - detail: More about it; redacted and limited to 256 bytes here.
    public init(_ event: Event, at: WallTime, detail: String? = nil) {
      self.at = at
      self.event = event
      self.detail = detail.map { ReportText.clean($0, limit: 256) }
    }
  }

  /// What is known of a child process that failed.
  ///
  /// Appears as `technical_details`.
  public struct ProcessDetails: Hashable, Sendable {
    /// The command line, redacted; 64 arguments of 256 bytes at most.
    public let arguments: [String]
    /// The exit code, `nil` when the child did not exit by itself.
    public let exitCode: Int?
    /// The number of the signal that ended the child.
    public let signal: Int?
    /// The end of its standard output, redacted: the last 2,000 characters (8,000 bytes) at most.
    public let outputTail: String?
    /// The end of its standard error, redacted: the last 2,000 characters (8,000 bytes) at most.
    public let errorTail: String?
    /// The last sample of the resources it used.
    public let resources: ResourceSample?
    /// How long it ran.
    public let duration: Duration?

    /// Makes the section; clips and redacts everything.
    ///
    /// - Parameters:
    ///   - arguments: The command line with the program first.
    ///   - exitCode: The exit code, `nil` when the child did not exit by itself.
    ///   - signal: The number of the signal that ended the child.
    ///   - output: Its standard output or the end of it.
    ///   - errorOutput: Its standard error or the end of it.
    ///   - resources: The last sample of the resources it used.
    ///   - duration: How long it ran.
    public init(
      arguments: [String] = [], exitCode: Int? = nil, signal: Int? = nil, output: String? = nil,
      errorOutput: String? = nil, resources: ResourceSample? = nil, duration: Duration? = nil
    ) {
      self.arguments = Redaction.standard
        .redact(arguments: arguments.prefix(64).map { $0.prefix(utf8: 1024) })
        .map { ReportText.printable($0, limit: 256) }
      self.exitCode = exitCode
      self.signal = signal
      self.outputTail = output.map(ReportText.tail)
      self.errorTail = errorOutput.map(ReportText.tail)
      self.resources = resources
      self.duration = duration?.inReport
    }
  }

  /// What is known of a download that failed.
  public struct DownloadDetails: Hashable, Sendable {
    /// What was being downloaded, in words.
    public let title: String
    /// From where; user info, query and fragment hidden.
    public let url: String
    /// The attempts with the method of each, the first 5 and the last 5.
    public let attempts: [AttemptRecord]
    /// The last error's type and message.
    public let lastError: String?
    /// The temporary file that was being written.
    public let temporaryPath: String?
    /// What was done to recover: "kept 3 MB to resume from", "removed the temporary file".
    public let recoveryTaken: String?
    /// A quality that would need less memory and time, such as "480p".
    ///
    /// The report of a memory or timeout error
    /// suggests it first.
    public let recommendedQuality: String?

    /// Makes the section; clips and redacts everything.
    ///
    /// - Parameters:
    ///   - title: What was being downloaded, in words.
    ///   - url: From where.
    ///   - attempts: The attempts with the method of each; the first 5 and the last 5 are kept.
    ///   - lastError: The last error's type and message; `nil` takes it from the last attempt.
    ///   - temporaryPath: The temporary file that was being written.
    ///   - recoveryTaken: What was done to recover.
    ///   - recommendedQuality: A quality that would need less memory and time.
    public init(
      title: String, url: String, attempts: [AttemptRecord] = [], lastError: String? = nil,
      temporaryPath: String? = nil, recoveryTaken: String? = nil, recommendedQuality: String? = nil
    ) {
      self.title = ReportText.clean(title, limit: 256)
      self.url = ReportText.clean(url, limit: 1024)
      var trail = BoundedTrail<AttemptRecord>(first: 5, last: 5)
      for attempt in attempts { trail.append(attempt) }
      self.attempts = trail.elements
      self.lastError =
        lastError.map { ReportText.clean($0, limit: 512) } ?? self.attempts.last?.error
      self.temporaryPath = temporaryPath.map { ReportText.clean($0, limit: 1024) }
      self.recoveryTaken = recoveryTaken.map { ReportText.clean($0, limit: 256) }
      self.recommendedQuality = recommendedQuality.map { ReportText.clean($0, limit: 32) }
    }
  }
}

/// What a process used at one moment.
///
///     let sample = ResourceSample(at: .now, cpuPercent: 45.2, memoryMegabytes: 2048.5)
public struct ResourceSample: Hashable, Sendable {
  /// When the sample was taken.
  public var at: WallTime
  /// Processor time per elapsed time, in percent of one core; above 100 with several.
  public var cpuPercent: Double?
  /// Resident memory in megabytes (1,048,576 bytes).
  public var memoryMegabytes: Double?
  /// Resident memory in percent of the machine's.
  public var memoryPercent: Double?
  /// Bytes read from disks since the start.
  public var diskBytesRead: Int64?
  /// Bytes written to disks since the start.
  public var diskBytesWritten: Int64?

  /// Makes a sample; what could not be measured is `nil`.
  public init(
    at: WallTime, cpuPercent: Double? = nil, memoryMegabytes: Double? = nil,
    memoryPercent: Double? = nil, diskBytesRead: Int64? = nil, diskBytesWritten: Int64? = nil
  ) {
    self.at = at
    self.cpuPercent = cpuPercent
    self.memoryMegabytes = memoryMegabytes
    self.memoryPercent = memoryPercent
    self.diskBytesRead = diskBytesRead
    self.diskBytesWritten = diskBytesWritten
  }
}
