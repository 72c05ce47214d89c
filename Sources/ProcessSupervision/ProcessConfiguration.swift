public import ReliabilityCore

/// How a child process is started, watched and ended.
///
///     var configuration = ProcessConfiguration()
///     configuration.limits.total = .seconds(1800)
///     configuration.limits.memory = .sampled(bytes: 4096 << 20)
///     configuration.watchedFile = "video.part"
///     let report = try await runProcess("yt-dlp", [url], configuration: configuration)
///
/// A bad value traps with field and rule when the process is started; ``validate()`` is for values from outside the code.
public struct ProcessConfiguration: Sendable {
  /// What the child finds in its environment; the caller's own by default.
  public var environment = Environment.inherited

  /// The child's working directory; `nil`, the default, for the caller's.
  ///
  /// A relative path of a program is looked up from there.
  public var workingDirectory: String?

  /// How long the child may run and how much it may use; nothing is limited by default.
  public var limits = ProcessLimits()

  /// A file whose growth counts as progress, such as the one that a download is written to.
  ///
  /// Looked at before the child is started, with every sample, and before the child is called stalled. It need not exist; what it
  /// had before the start is no progress.
  public var watchedFile: String?

  /// The watched file as this process finds it.
  var watchedPath: String? {
    guard let watchedFile, !watchedFile.hasPrefix("/"), let workingDirectory else {
      return watchedFile
    }
    return "\(workingDirectory)/\(watchedFile)"
  }

  /// Whether a child that succeeds and leaves ``watchedFile`` missing or empty has failed; `false` by default.
  public var failsOnEmptyFile = false

  /// The exit codes that mean success; zero alone by default.
  public var acceptedExitCodes: Set<Int32> = [0]

  /// The longest time between two samples of the resources; 5 seconds by default, 1 millisecond at least.
  ///
  /// Near the memory limit samples follow faster, down to ``fastestSampling``, but never so fast that they take more than
  /// a hundredth of one processor's time.
  public var samplingInterval = Duration.seconds(5)

  /// The shortest time between two samples; 50 milliseconds by default, 1 millisecond at least.
  public var fastestSampling = Duration.milliseconds(50)

  /// How long the child has from SIGTERM to SIGKILL; 10 seconds by default, zero or more.
  ///
  /// One that goes on growing beyond its memory limit is killed at once.
  public var grace = Duration.seconds(10)

  /// How long output is awaited, after the child's end, from processes outside its group that hold its pipes; 1 second by
  /// default, zero or more.
  public var drainTime = Duration.seconds(1)

  /// What becomes of processes of the child's group that outlive it; they are ended by default.
  public var leftovers = Leftovers.end

  /// Whether the kernel kills the child when this program dies without ending it; `true` by default.
  ///
  /// Linux only (PR_SET_PDEATHSIG). The child's own children are not included.
  public var endsWithParent = true

  /// How many characters of the end of each of the two outputs are kept; 2,000 by default, 0 to 1,000,000.
  public var tailCharacters = 2000

  /// How many bytes from the beginning of the standard output are kept in ``ProcessReport/output``; 0 by default.
  public var capturedBytes = 0

  /// How many bytes of output may wait for whoever reads ``SupervisedProcess/lines``; 1 MiB by default, 4,096 at least.
  ///
  /// While somebody reads, the child is held up when so much waits, and nothing is lost. While nobody does, the oldest output
  /// is dropped.
  public var lineBufferBytes = 1 << 20

  /// How long a line may be before it is cut in two, in bytes; 65,536 by default, 16 at least.
  public var longestLine = 65_536

  /// When the observer is told that a limit is near.
  public var alerts = Alerts()

  /// How long to wait at least before another try, for ``ProcessError/retryability``; `nil`, the default, leaves it to the
  /// caller's backoff.
  public var retryDelay: Duration?

  /// Makes a configuration without limits.
  public init() {}

  /// What a child finds in its environment.
  public enum Environment: Hashable, Sendable {
    /// The caller's variables.
    case inherited
    /// The caller's variables with these set, or removed where the value is `nil`.
    case updating([String: String?])
    /// These variables and no others.
    case exactly([String: String])
  }

  /// What becomes of processes of the child's group that outlive it.
  public enum Leftovers: Hashable, Sendable {
    /// They get SIGTERM, the grace time, and SIGKILL.
    case end
    /// They run on.
    ///
    /// The child's pipes are closed after ``ProcessConfiguration/drainTime``, so that they get SIGPIPE when they write.
    case leave
  }

  /// When the observer is told that a limit is near.
  public struct Alerts: Hashable, Sendable {
    /// The part of the memory limit, or of the machine's memory where there is no limit, above which memory is reported;
    /// 0.8 by default, above 0.
    public var memory = 0.8
    /// The processor time per elapsed time, in percent of one core, above which two samples in a row are reported; 90 by
    /// default, above 0.
    public var cpuPercent = 90.0
    /// The part of the total limit after which the time is reported; 0.8 by default, above 0.
    public var time = 0.8
    /// Growing memory is reported when it would reach the limit within this time; 60 seconds by default, zero or more.
    public var trendHorizon = Duration.seconds(60)

    /// Makes the thresholds of the defaults.
    public init() {}
  }

  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public func validate() throws(ConfigurationError) {
    try limits.validate()
    if failsOnEmptyFile {
      try check(watchedFile != nil, "watchedFile", "must be set when failsOnEmptyFile is")
    }
    try check(!acceptedExitCodes.isEmpty, "acceptedExitCodes", "must not be empty")
    try check(
      samplingInterval >= .milliseconds(1), "samplingInterval", "must be at least 1 millisecond")
    try check(
      fastestSampling >= .milliseconds(1), "fastestSampling", "must be at least 1 millisecond")
    try check(grace >= .zero, "grace", "must not be negative")
    try check(drainTime >= .zero, "drainTime", "must not be negative")
    try check(
      (0...1_000_000).contains(tailCharacters), "tailCharacters", "must be between 0 and 1000000")
    try check(capturedBytes >= 0, "capturedBytes", "must not be negative")
    try check(lineBufferBytes >= 4096, "lineBufferBytes", "must be at least 4096")
    try check(longestLine >= 16, "longestLine", "must be at least 16")
    // NaN fails every comparison.
    try check(alerts.memory > 0, "alerts.memory", "must be above 0")
    try check(alerts.cpuPercent > 0, "alerts.cpuPercent", "must be above 0")
    try check(alerts.time > 0, "alerts.time", "must be above 0")
    try check(alerts.trendHorizon >= .zero, "alerts.trendHorizon", "must not be negative")
    if let retryDelay { try check(retryDelay >= .zero, "retryDelay", "must not be negative") }
  }
}
