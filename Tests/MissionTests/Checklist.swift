/// The mission's own checklists, line by line, with the tests that prove each.
///
/// A line names files below `Tests` and functions in them; `ChecklistTests` sees to it that each is there. Start here to find out
/// what is proven, and where.
enum Checklist {
  struct Line: Sendable, CustomStringConvertible {
    /// What the mission demands.
    var demand: String
    /// Tests that prove it: a file, and functions in it.
    var proofs: [(file: String, tests: [String])]

    var description: String { demand }
  }

  private static func line(_ demand: String, _ proofs: (String, [String])...) -> Line {
    Line(demand: demand, proofs: proofs.map { (file: $0.0, tests: $0.1) })
  }

  private static let here = "MissionTests/RealTimeMissionTests.swift"

  // MARK: Files

  static let files = [
    line(
      "20 concurrent manifest writers",
      (here, ["twentyTasksAndTwentyProcessesLoseNoEntryOfOneManifest"]),
      ("BackoffLockTests/LockTests.swift", ["twoTasksAndTwoProcessesNeverOverlap"])),
    line(
      "no temporary file after a failed save",
      (here, ["everyCallOfEverySaveFailsAndNoTemporaryFileStays"]),
      (
        "AtomicStoreTests/DocumentFaultTests.swift",
        ["aFailureAtAnyCallOfAnUpdateLeavesTheOldOrTheNewValueAndNothingElse"]
      )),
    line(
      "out of disk",
      (here, ["aFullDiskRefusesClearlyAndLosesNothing"]),
      (
        "DurableJobsTests/FileStoreTests.swift",
        ["aFullDiskChangesNothingAndWorkGoesOnWhenThereIsSpace"]
      ),
      (
        "ExamplesTests/RealTimeProgramTests.swift",
        ["aFullDiskFailsTheFilesThatDoNotFitAndLeavesNothing"]
      )),
  ]

  // MARK: The search phase

  static let search = [
    line(
      "voice, language or metadata fails: nothing in the outputs, a full report",
      ("CrawlerTests/RealTimeCrawlTests.swift", ["aStepThatFailsLeavesNoTraceAndAFullReport"])),
    line(
      "the sound fails: fetched again, or nothing in the outputs",
      (
        "CrawlerTests/RealTimeCrawlTests.swift",
        [
          "aSoundThatFailsAtFirstIsFetchedAgain", "aHostileSiteGetsNothingIn",
          "aSoundThatCanNeverBeFetchedLeavesNoTraceAndAFullReport",
        ]
      )),
    line(
      "the commit fails at any call: no orphan, and the crawl goes on",
      (
        "CrawlerTests/LedgerTests.swift",
        ["aCallThatFailsLeavesNoOrphans", "everyCrashLeavesOutputsThatAgree"]
      )),
    line(
      "killed at any moment: nothing is lost or there twice",
      ("CrawlerTests/RealTimeCrawlerProgramTests.swift", ["aKilledCrawlerGoesOn"])),
  ]

  // MARK: Downloads

  static let downloads = [
    line(
      "concurrent download failures",
      (
        "ExamplesTests/RealTimeDownloadTests.swift",
        [
          "everyFaultIsOvercomeAndEveryByteVerified",
          "withOneAttemptTheFaultyFilesFailAndTheOthersDoNot",
          "cancellingLeavesWhatIsCompleteAndNothingElse",
        ]
      ))
  ]

  // MARK: Pool, cache and jobs

  static let parts = [
    line(
      "pool: a start that fails closes what was opened, in order",
      ("ResourcePoolingTests/ClosingTests.swift", ["startFailure", "startAndCloseFailure"])),
    line(
      "pool: closed on success, error, timeout and cancel",
      (
        "ResourcePoolingTests/ClosingTests.swift",
        ["closedOnSuccess", "closedOnError", "closedOnTimeout", "closedOnCancellation"]
      )),
    line(
      "pool: error while lent, stale, unhealthy",
      (
        "ResourcePoolingTests/UpkeepTests.swift",
        [
          "aResourceWithTooManyFailedUsesInARowIsClosed", "idleResourcesBeyondTheMinimumEnd",
          "anUnhealthyResourceIsNotLentButClosedAndReplaced",
        ]
      )),
    line(
      "session: rollback and close always, and neither replaces the first error",
      (
        "ResourcePoolingTests/UpkeepTests.swift", ["rollback", "failingRollback", "failingClose"]
      )),
    line(
      "leak under concurrency",
      ("ResourcePoolingTests/ConcurrencyTests.swift", ["storm", "cancellationAtEveryPoint"])),
    line(
      "cache against breaker: invalid after every transition",
      ("ResilientCachingTests/PolicyTests.swift", ["breakerEras"])),
    line(
      "job: timeout, fallback, dead letter",
      (
        "DurableJobsTests/QueueTests.swift",
        ["fallbackRunsWhenTheBodyTakesTooLong", "failedFallbackIsTheCauseOfTheTimeout"]
      ),
      (
        "DurableJobsTests/DeadLetterTests.swift",
        ["deadJobKeepsItsWholeStoryAndRedriveAllEndsThoughItDiesAgain"]
      )),
    line(
      "job: every outcome has its state in every queue",
      ("DurableJobsTests/QueueTests.swift", ["everyJobRunsOnceAndIsCompleted"]),
      ("DurableJobsTests/StormTests.swift", ["nothingIsLostAndNothingIsCountedTwice"])),
    line(
      "no empty error message",
      ("ErrorContextTests/ErrorReportPropertyTests.swift", ["neverEmpty"])),
  ]

  // MARK: Time

  static let time = [
    line(
      "200 rapid start and stop cycles",
      (here, ["whatIsStartedAndStoppedAgainAndAgainLeavesNothing"]),
      ("ResourcePoolingTests/ClosingTests.swift", ["rapidStartAndStop"])),
    line("memory over 100,000 operations", (here, ["noPrimitiveKeepsMemory"])),
    line("20 and more workers are stable", (here, ["twentyFourWorkersAreStableUnderAMixOfFaults"])),
    line("24 hours", (here, ["aDayAddsUpLeavesNothingAndIsTheSameAgain"])),
    line("the figures, printed beside their limits", (here, ["theThresholdsArePrinted"])),
  ]

  static let all = files + search + downloads + parts + time
}
