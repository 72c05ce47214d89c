internal import ErrorContext
internal import ReliabilityCore
internal import ReliabilityIO

extension ProcessSupervisor {
  /// Runs a program while the body uses it, and ends it with the body.
  ///
  ///     let title = try await supervisor.withProcess("yt-dlp", ["--print", "title", url]) { process in
  ///       for try await line in process.lines where line.source == .output { return line.text }
  ///       return ""
  ///     }
  ///
  /// The program runs in a session of its own, with `/dev/null` as its input, default signal handling and no other descriptor
  /// of the caller's. Its outputs are read from the first byte on, whether or not somebody wants them. When the body returns or throws
  /// first, the program is ended; this returns when nothing is left of it.
  ///
  /// | the program | the body | result |
  /// |---|---|---|
  /// | succeeds | returns, throws | the value, its error |
  /// | fails before the body ends | returns, throws | ``ProcessError``, with the body's error in it |
  /// | runs on, is ended | returns, throws | the value, its error |
  ///
  /// A cancellation of the caller ends the program and is a cancellation. `Deadline.current` is a limit of time; when it has passed
  /// nothing is started.
  ///
  /// - Parameters:
  ///   - command: A path, when it has a slash, else a name that is looked up in the PATH of the child's environment.
  ///   - arguments: What follows the name of the program.
  ///   - configuration: `nil` takes the supervisor's own. Traps when it is not valid.
  ///   - body: Uses the process, on the caller's isolation.
  /// - Returns: What the body returns.
  /// - Throws: ``ProcessError`` when the program fails or cannot be started, what the body throws, `CancellationError`.
  public nonisolated(nonsending) func withProcess<Value>(
    _ command: String, _ arguments: [String] = [], configuration: ProcessConfiguration? = nil,
    _ body: nonisolated(nonsending) (SupervisedProcess) async throws -> Value
  ) async throws -> Value {
    let configuration = configuration ?? self.configuration
    requireValid(configuration.validate)
    try Task.checkCancellation()
    let judge = FailureJudge(configuration, rules: rules)
    let child = try await launch(
      ProcessLauncher(
        command: command, arguments: arguments, configuration: configuration, clock: clock))

    return try await withTaskCancellationHandler {
      let outcome: Result<Value, any Error>
      do {
        outcome = .success(try await body(SupervisedProcess(child: child)))
      } catch {
        outcome = .failure(error)
      }
      child.stop(.bodyEnded)
      let report = await child.ending.wait()
      await child.relay?.flush()

      if report.stopReason == .cancelled {
        _ = try outcome.get()
        throw CancellationError()
      }
      if let verdict = judge.verdict(on: report) {
        figures.failed(verdict.failure)
        throw ProcessError(verdict, report, bodyError: outcome.failure)
      }
      return try outcome.get()
    } onCancel: {
      child.stop(.cancelled)
    }
  }

  /// Runs a program to its end.
  ///
  ///     let report = try await supervisor.run("ffmpeg", ["-i", input, output])
  ///
  /// As ``withProcess(_:_:configuration:_:)`` with a body that only waits.
  ///
  /// - Parameters:
  ///   - command: A path, when it has a slash, else a name that is looked up in the PATH of the child's environment.
  ///   - arguments: What follows the name of the program.
  ///   - configuration: `nil` takes the supervisor's own. Traps when it is not valid.
  /// - Returns: Everything known of the program, which has succeeded.
  /// - Throws: ``ProcessError`` when it fails or cannot be started, `CancellationError` when the task is cancelled.
  @discardableResult public nonisolated(nonsending) func run(
    _ command: String, _ arguments: [String] = [], configuration: ProcessConfiguration? = nil
  ) async throws -> ProcessReport {
    try await withProcess(command, arguments, configuration: configuration) { process in
      try await process.waitUntilExit()
    }
  }

  private nonisolated(nonsending) func launch(
    _ launcher: ProcessLauncher
  ) async throws -> ChildProcess {
    let deadline = Deadline.current.map { NanosecondClock.nanoseconds(of: $0.instant) } ?? .max
    guard deadline > clock.now else {
      figures.failed(.processTimeout)
      throw ProcessError(notStarted: launcher, nil)
    }
    let rules = SupervisionRules(launcher.configuration, deadline: deadline)
    let relay = observer.map(EventRelay.init)
    let figures = figures
    do throws(SystemCallError) {
      let loop = try ProcessLoop.shared()
      return try await DiskExecutor.shared.run { () throws(SystemCallError) in
        let child = ChildProcess(
          try launcher.launch(), launcher, loop: loop, rules: rules, figures: figures,
          relay: relay)
        figures.started()
        child.adopt()
        return child
      }
    } catch {
      let failure = ProcessError(notStarted: launcher, error)
      figures.failed(failure.failure)
      throw failure
    }
  }
}

/// Runs a program while the body uses it, and ends it with the body.
///
///     try await withProcess("yt-dlp", [url]) { process in
///       for try await line in process.lines { print(line) }
///     }
///
/// As ``ProcessSupervisor/withProcess(_:_:configuration:_:)`` of ``ProcessSupervisor/shared``.
///
/// - Parameters:
///   - command: A path, when it has a slash, else a name that is looked up in the PATH of the child's environment.
///   - arguments: What follows the name of the program.
///   - configuration: How it is run. Traps when it is not valid.
///   - body: Uses the process, on the caller's isolation.
/// - Returns: What the body returns.
/// - Throws: ``ProcessError`` when the program fails or cannot be started, what the body throws, `CancellationError`.
public nonisolated(nonsending) func withProcess<Value>(
  _ command: String, _ arguments: [String] = [],
  configuration: ProcessConfiguration = ProcessConfiguration(),
  _ body: nonisolated(nonsending) (SupervisedProcess) async throws -> Value
) async throws -> Value {
  try await ProcessSupervisor.shared.withProcess(
    command, arguments, configuration: configuration, body)
}

/// Runs a program to its end.
///
///     let report = try await runProcess("ffmpeg", ["-i", input, output])
///
/// As ``ProcessSupervisor/run(_:_:configuration:)`` of ``ProcessSupervisor/shared``.
///
/// - Parameters:
///   - command: A path, when it has a slash, else a name that is looked up in the PATH of the child's environment.
///   - arguments: What follows the name of the program.
///   - configuration: How it is run. Traps when it is not valid.
/// - Returns: Everything known of the program, which has succeeded.
/// - Throws: ``ProcessError`` when it fails or cannot be started, `CancellationError` when the task is cancelled.
@discardableResult public nonisolated(nonsending) func runProcess(
  _ command: String, _ arguments: [String] = [],
  configuration: ProcessConfiguration = ProcessConfiguration()
) async throws -> ProcessReport {
  try await ProcessSupervisor.shared.run(command, arguments, configuration: configuration)
}

extension Result {
  fileprivate var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}

extension ProcessError {
  init(_ verdict: FailureJudge.Verdict, _ report: ProcessReport, bodyError: (any Error)?) {
    self.init(
      code: verdict.code, failure: verdict.failure, retryability: verdict.retryability,
      report: report, launchFailure: nil,
      bodyError: bodyError is CancellationError ? nil : bodyError)
  }

  /// The program could not be started, or, without a failed call, no time was left to.
  init(notStarted launcher: ProcessLauncher, _ call: SystemCallError?) {
    let failure: ProcessFailure =
      switch call?.category {
      case nil: .processTimeout
      case .memoryExhaustion?: .memoryExhaustion
      case .fileSystem? where call?.call != "clone": .fileSystemError
      default: .unknown
      }
    self.init(
      code: call == nil ? .timedOut : .launchFailed, failure: failure,
      retryability: call?.call == "clone" ? .retryable() : call?.retryability ?? .retryable(),
      report: ProcessReport(notStarted: launcher, call == nil ? .deadline : nil),
      launchFailure: call, bodyError: nil)
  }
}

extension ProcessReport {
  init(notStarted launcher: ProcessLauncher, _ reason: ProcessStopReason?) {
    let now = WallTime.now
    self.init(
      command: launcher.command, arguments: launcher.arguments, processID: 0, exit: .unknown,
      stopReason: reason, startedAt: now, duration: .zero, outputTail: "", errorTail: "",
      output: [], outputBytes: 0, errorBytes: 0, usage: ProcessUsage(), peakMemoryBytes: 0,
      memoryLimitBytes: launcher.configuration.limits.memory?.bytes, samples: [],
      timeline: [ErrorReport.TimelineEntry(.start, at: now, detail: "not started")],
      timelineDropped: 0, watchedFileSize: nil, hadLeftovers: false, outputWasCutOff: false)
  }
}
