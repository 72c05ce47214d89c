public import ReliabilityCore

/// Runs child processes under supervision: watches their progress and resources, ends them, and says what came of them.
///
///     let supervisor = ProcessSupervisor(name: "downloads", rules: [
///       .text("HTTP Error 404", is: .networkError, retryability: .notRetryable)
///     ])
///     let report = try await supervisor.run("yt-dlp", [url])
///     print(report.duration, report.usage.peakMemoryBytes)
///
/// It holds defaults, rules and figures; the processes do not depend on its life.
public final class ProcessSupervisor: Sendable {
  /// What its metrics are labelled with; from a small, known set of names.
  public let name: String
  /// How processes are run when a call says nothing else.
  public let configuration: ProcessConfiguration
  /// How tools fail, first answer first; see ``ProcessRule``.
  public let rules: [ProcessRule]

  let observer: (@Sendable (ProcessEvent) -> Void)?
  let clock: NanosecondClock
  let figures: SupervisorFigures

  /// The one behind `withProcess` and `runProcess`.
  public static let shared = ProcessSupervisor()

  /// Makes a supervisor.
  ///
  /// - Parameters:
  ///   - name: What its metrics are labelled with.
  ///   - configuration: How processes are run when a call says nothing else. Traps when it is not valid.
  ///   - rules: How tools fail.
  ///   - clock: The clock of limits and samples.
  ///   - observer: Told about what happens to each process, in order for each, outside locks, on the cooperative pool. May use
  ///     the supervisor. `run` and `withProcess` return after it was told of the end.
  public init(
    name: String = "default", configuration: ProcessConfiguration = ProcessConfiguration(),
    rules: [ProcessRule] = [], clock: any TimeSource = ContinuousClock(),
    observer: (@Sendable (ProcessEvent) -> Void)? = nil
  ) {
    requireValid(configuration.validate)
    self.name = name
    self.configuration = configuration
    self.rules = rules
    self.observer = observer
    self.clock = NanosecondClock(clock)
    figures = SupervisorFigures(name: name)
  }
}
