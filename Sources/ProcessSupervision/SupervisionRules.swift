internal import ReliabilityCore

/// What the state machine goes by: a configuration in nanoseconds; `Int64.max` stands for no limit.
struct SupervisionRules {
  var total = Int64.max
  var stall = Int64.max
  var startup = Int64.max
  /// The caller's deadline as an instant.
  var deadline = Int64.max
  var memory: Int64?
  var output = Int64.max
  var watchesFile = false
  var needsFile = false
  var acceptedExitCodes: Set<Int32> = [0]
  var sampling: Int64 = 5_000_000_000
  var fastestSampling: Int64 = 50_000_000
  var grace: Int64 = 10_000_000_000
  var drain: Int64 = 1_000_000_000
  var endsLeftovers = true
  var machineMemory: Int64 = 1 << 33
  var alerts = ProcessConfiguration.Alerts()

  /// How fast a process is assumed to take memory between two samples, in bytes per second.
  static let burst = 256.0 * 1_048_576
  /// A sample may take this part of the time until the next one.
  static let costDivisor: Int64 = 100
  /// How long a look at the watched file may take before it counts as not grown: its file system may hang.
  static let fileWait: Int64 = 2_000_000_000
  /// How long the end of a killed process is awaited: one inside a call of a hung file system does not end.
  static let killWait: Int64 = 10_000_000_000
  /// From which multiple of the memory limit on a process that was asked to end is killed without more grace.
  static let memoryOverrun = 1.1

  init() {}

  init(_ configuration: ProcessConfiguration, deadline: Int64) {
    let limits = configuration.limits
    func positive(_ duration: Duration) -> Int64 { max(1, duration.nanoseconds) }
    total = limits.total.map(positive) ?? .max
    stall = limits.stall.map(positive) ?? .max
    startup = limits.startup.map(positive) ?? .max
    self.deadline = deadline
    memory = limits.memory?.bytes
    output = limits.output ?? .max
    watchesFile = configuration.watchedFile != nil
    needsFile = configuration.failsOnEmptyFile
    acceptedExitCodes = configuration.acceptedExitCodes
    sampling = positive(configuration.samplingInterval)
    fastestSampling = min(sampling, positive(configuration.fastestSampling))
    grace = configuration.grace.nanoseconds
    drain = configuration.drainTime.nanoseconds
    endsLeftovers = configuration.leftovers == .end
    machineMemory = Machine.memoryBytes
    alerts = configuration.alerts
  }
}

extension Int64 {
  /// The sum, `Int64.max` when it is beyond.
  func plus(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
