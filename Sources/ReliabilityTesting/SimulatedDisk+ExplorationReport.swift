/// How `SimulatedDisk.explore` goes about it.
///
///     var options = ExplorationOptions()
///     options.seed = 7
///     options.disk.sectorSize = 4096
///     let report = try await SimulatedDisk.explore(options: options, run: save, check: isWhole)
///     print(report)
public struct ExplorationOptions: Hashable, Sendable {
  /// Decides the random names the run chooses and the states that are drawn: the same seed explores the same.
  public var seed: UInt64 = 1

  /// The disk the run is made on.
  public var disk = SimulatedDisk.Configuration()

  /// The most pending operations at a crash point whose states are all looked at; with more, states are drawn.
  public var exhaustiveOperations = 8

  /// The most combinations at a crash point that are all looked at; with more, states are drawn.
  ///
  /// A few large writes have more combinations than can be looked at: each sector of each write counts.
  public var exhaustiveStates = 50_000

  /// How many states are drawn at a crash point that has too many: first those that differ in one thing from all
  /// kept or all lost, then others by chance.
  public var samples = 10_000

  /// The most states after a second crash that are looked at for each state after the first one.
  public var secondCrashStates = 32

  /// Makes the options that suit a run of some hundred calls.
  public init() {}

  /// Checks values that come from outside.
  ///
  /// - Throws: `ConfigurationError` with field and rule.
  public func validate() throws(ConfigurationError) {
    try disk.validate()
    try check(exhaustiveOperations >= 0, "exhaustiveOperations", "must not be negative")
    try check(exhaustiveStates > 0, "exhaustiveStates", "must be greater than zero")
    try check(samples > 0, "samples", "must be greater than zero")
    try check(secondCrashStates >= 0, "secondCrashStates", "must not be negative")
  }

  /// A second crash is explored for thousands of first ones: a few of its states each time.
  var forSecondCrash: ExplorationOptions {
    var options = self
    options.exhaustiveStates = min(exhaustiveStates, 4 * secondCrashStates)
    options.samples = max(1, min(samples, secondCrashStates / 2))
    return options
  }
}

/// What an exploration looked at.
public struct ExplorationReport: Hashable, Sendable, CustomStringConvertible {
  /// The seed of run and draws.
  public let seed: UInt64
  /// How many runs were recorded and crashed: the run itself, and every recovery.
  public let runs: Int
  /// At how many points the run was crashed.
  public let crashPoints: Int
  /// How many states these crashes may leave, as far as they were enumerated or drawn; equal ones counted each time.
  public let states: Int
  /// How many different states were checked, after first and second crashes.
  public let distinctStates: Int
  /// At how many crash points states were drawn because there are too many.
  public let sampledCrashPoints: Int
  /// At how many points recoveries were crashed.
  public let secondCrashPoints: Int
  /// How many states after a second crash were checked; a part of ``distinctStates``.
  public let secondCrashStates: Int
  /// How many states failed the check.
  public let violations: Int

  /// Whether every legal state of every crash point of the run was looked at.
  public var isExhaustive: Bool { sampledCrashPoints == 0 && violations == 0 }

  /// One line for people.
  public var description: String {
    let way =
      sampledCrashPoints == 0 ? "exhaustive" : "\(sampledCrashPoints) crash points sampled"
    let second =
      runs > 1
      ? ", \(secondCrashStates) of them after a second crash in \(runs - 1) recoveries" : ""
    return "\(crashPoints) crash points, \(states) states, \(distinctStates) distinct\(second); "
      + "\(way), seed \(seed); \(violations) violations"
  }
}
