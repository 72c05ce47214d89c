import ReliabilityTestSupport
import Testing

/// What the mission demands of the whole, each in a process of its own; see ``Checklist`` for all that it demands.
///
/// One after the other, as each of them keeps the machine busy by itself. `RELIABILITY_LONG_TESTS` makes them longer, and
/// `Tests/MissionTests/soak` runs them optimized and for as long as one likes.
@Suite(.realTime, .serialized, .timeLimit(.minutes(15))) struct RealTimeMissionTests {
  @Test func twentyTasksAndTwentyProcessesLoseNoEntryOfOneManifest() async throws {
    try await Lab.run("writers", ["writers": 20, "count": Lab.isLong ? 100 : 3])
  }

  @Test func everyCallOfEverySaveFailsAndNoTemporaryFileStays() async throws {
    try await Lab.run("failed-saves", ["stride": Lab.isLong ? 1 : 5])
  }

  @Test func aFullDiskRefusesClearlyAndLosesNothing() async throws {
    try await Lab.run("full-disk")
  }

  @Test func whatIsStartedAndStoppedAgainAndAgainLeavesNothing() async throws {
    try await Lab.run("cycles", ["count": Lab.isLong ? 2000 : 16])
  }

  @Test func noPrimitiveKeepsMemory() async throws {
    try await Lab.run("memory", ["operations": Lab.isLong ? 100_000 : 4000])
  }

  @Test func twentyFourWorkersAreStableUnderAMixOfFaults() async throws {
    try await Lab.run("mix", ["workers": 24, "milliseconds": Lab.isLong ? 60_000 : 1000])
  }

  @Test func aDayAddsUpLeavesNothingAndIsTheSameAgain() async throws {
    try await Lab.run("day", ["days": Lab.isLong ? 20 : 1, "pause": Lab.isLong ? 5 : 90])
  }

  /// The table must be whole.
  ///
  /// Its times count where the code is optimized and nothing else runs: in the soak.
  @Test func theThresholdsArePrinted() async throws {
    let table = try await Lab.run("thresholds", ["lock-milliseconds": 500])
    for name in [
      "lock wait", "processor time of 20 that wait", "enqueue, in memory", "enqueue, durable",
      "dequeue, in memory", "dequeue, durable", "progress update", "cache hit", "error recovery",
      "health check", "failure detection", "monitoring: processor time", "monitoring: memory",
    ] {
      #expect(table.contains("\n\(name)"), "\(name) is missing")
    }
  }
}
