import ErrorContext
import ProcessSupervision
import ReliabilityTestSupport
import Testing

extension RealTimeProcessTests {
  /// What the module is for: tools that misbehave, each for real.
  @Suite struct Incidents {
    @Test func toolThatStallsAtHundredPercentAndIgnoresTermIsEndedWithItsGroup() async throws {
      let directory = ScratchDirectory()
      var configuration = ProcessConfiguration()
      configuration.limits.stall = .milliseconds(300)
      configuration.grace = .milliseconds(200)
      configuration.workingDirectory = directory.path
      configuration.retryDelay = .seconds(60)
      let error = try await Shell.failure(
        "trap '' TERM; echo 100%; sh -c 'trap \"\" TERM; echo $$ > helper; sleep 600' & "
          + "while :; do sleep 600; done", configuration)
      #expect(error.code == .timedOut)
      #expect(error.failure == .processTimeout)
      #expect(error.category == .timeout)
      #expect(error.retryability == .retryable(after: .seconds(60)))
      #expect(error.report.stopReason == .stalled)
      #expect(error.report.exit == .signal(9))
      #expect(error.report.outputTail == "100%\n")
      let helper = try await Shell.number(in: "helper", of: directory)
      #expect(!Shell.isAlive(helper))
      #expect(!Shell.isAlive(error.report.processID))
      let events = error.report.timeline.map(\.event)
      #expect(
        Set([.start, .firstOutput, .limitHit, .terminate, .kill, .exit]).isSubset(of: events))

      let report = ErrorReport(error)
      #expect(report.process?.signal == 9)
      #expect(report.process?.outputTail == "100%\n")
      #expect(report.process?.duration != nil)
      #expect(report.process?.resources != nil)
      #expect(report.isRetryable)
      #expect(report.retryAfter == .seconds(60))
      #expect(report.timeline.map(\.event).contains(.kill))
      #expect(!report.suggestedActions.isEmpty)
      #expect(!report.userMessage.isEmpty)
    }

    @Test func reportOfAWrappedErrorCarriesTheProcess() async throws {
      let error = await failure {
        try await withErrorContext("download") { try await Shell.run("echo no >&2; exit 3") }
      }
      let report = ErrorReport(try #require(error))
      #expect(report.process?.exitCode == 3)
      #expect(report.process?.errorTail == "no\n")
      #expect(report.timeline.map(\.event).contains(.exit))
    }

    @Test func grandchildThatHoldsThePipeIsEndedWithTheGroup() async throws {
      let directory = ScratchDirectory()
      var configuration = ProcessConfiguration()
      configuration.workingDirectory = directory.path
      let report = try await Shell.run("sleep 600 & echo $! > pid; echo done", configuration)
      #expect(report.exit == .code(0))
      #expect(report.outputTail == "done\n")
      let grandchild = try await Shell.number(in: "pid", of: directory)
      try await until { !Shell.isAlive(grandchild) }
    }

    @Test func grandchildThatIgnoresTermIsKilledAfterTheGrace() async throws {
      let directory = ScratchDirectory()
      var configuration = ProcessConfiguration()
      configuration.grace = .milliseconds(100)
      configuration.workingDirectory = directory.path
      let report = try await Shell.run(
        "sh -c 'trap \"\" TERM; echo $$ > pid; while :; do sleep 600; done' & "
          + "while [ ! -s pid ]; do sleep 0.01; done", configuration)
      #expect(report.exit == .code(0))
      #expect(report.timeline.map(\.event).contains(.kill))
      let grandchild = try await Shell.number(in: "pid", of: directory)
      try await until { !Shell.isAlive(grandchild) }
    }

    @Test func grandchildMayBeLeftAndDoesNotHoldUpTheEnd() async throws {
      let directory = ScratchDirectory()
      var configuration = ProcessConfiguration()
      configuration.leftovers = .leave
      configuration.drainTime = .milliseconds(50)
      configuration.workingDirectory = directory.path
      let report = try await Shell.run("sleep 600 & echo $! > pid", configuration)
      #expect(report.hadLeftovers)
      #expect(report.outputWasCutOff)
      let grandchild = try await Shell.number(in: "pid", of: directory)
      #expect(Shell.isAlive(grandchild))
      _ = try await Shell.run("kill -9 \(grandchild)")
    }

    @Test func grandchildInASessionOfItsOwnThatHoldsThePipeDoesNotHoldUpTheEnd() async throws {
      var configuration = ProcessConfiguration()
      configuration.drainTime = .milliseconds(50)
      let report = try await Shell.run("setsid sleep 5 & sleep 0.05", configuration)
      #expect(report.exit == .code(0))
      #expect(report.outputWasCutOff)
    }

    @Test func descendantInASessionOfItsOwnIsEndedWithTheTree() async throws {
      let directory = ScratchDirectory()
      var configuration = ProcessConfiguration()
      configuration.limits.total = .milliseconds(500)
      configuration.workingDirectory = directory.path
      let error = try await Shell.failure(
        "setsid sh -c 'echo $$ > pid; sleep 600' & wait; sleep 600", configuration)
      #expect(error.report.stopReason == .totalLimit)
      let escaped = try await Shell.number(in: "pid", of: directory)
      try await until { !Shell.isAlive(escaped) }
    }

    @Test func floodOnTheErrorOutputIsDrainedInFlatMemory() async throws {
      let bytes = (Shell.isLong ? 1000 : 64) * 1_000_000
      let before = Self.residentBytes
      let report = try await Shell.run("head -c \(bytes) /dev/zero >&2; echo ok")
      #expect(report.errorBytes == Int64(bytes))
      #expect(report.errorTail.count == 2000)
      #expect(report.outputTail == "ok\n")
      #expect(Self.residentBytes - before < 32 << 20)
    }

    @Test func floodBeyondTheOutputLimitIsEnded() async throws {
      var configuration = ProcessConfiguration()
      configuration.limits.output = 1_000_000
      let error = try await Shell.failure("exec yes", configuration)
      #expect(error.code == .outputLimit)
      #expect(error.report.stopReason == .outputLimit)
    }

    @Test func toolThatAllocatesWithoutEndIsEndedNearItsLimit() async throws {
      var configuration = ProcessConfiguration()
      configuration.limits.memory = .sampled(bytes: 48 << 20)
      configuration.fastestSampling = .milliseconds(5)
      // Holds what it reads until a line ends, which none does.
      let error = try await Shell.failure(
        "(while head -c 200000 /dev/zero; do sleep 0.01; done) | tail", configuration)
      #expect(error.code == .memoryLimit)
      #expect(error.failure == .memoryExhaustion)
      #expect(error.category == .memoryExhaustion)
      #expect(error.report.peakMemoryBytes >= 48 << 20)
      #expect(error.report.lastSample?.memoryMegabytes ?? 0 > 0)
      #expect(error.report.timeline.map(\.event).contains(.sample))
    }

    @Test func addressSpaceBeyondTheLimitIsRefusedByTheKernel() async throws {
      var configuration = ProcessConfiguration()
      configuration.limits.memory = .addressSpace(bytes: 64 << 20)
      // Alone in its tree: what is mapped by one process is more than what the samples of it find resident.
      let error = try await Shell.failure("exec tail /dev/zero", configuration)
      #expect(error.code == .exitCode)
      #expect(error.failure == .memoryExhaustion)
      #expect(error.report.errorTail.contains("memory"))
    }

    @Test func successWithAnEmptyFileIsAFailureWhereAsked() async throws {
      let directory = ScratchDirectory()
      var configuration = ProcessConfiguration()
      configuration.workingDirectory = directory.path
      configuration.watchedFile = "video"
      #expect(try await Shell.run(": > video", configuration).exit == .code(0))
      configuration.failsOnEmptyFile = true
      let empty = try await Shell.failure(": > video", configuration)
      #expect(empty.code == .emptyFile)
      #expect(empty.failure == .fileSystemError)
      let missing = try await Shell.failure("rm video", configuration)
      #expect(missing.report.watchedFileSize == nil)
      let full = try await Shell.run("echo content > video", configuration)
      #expect(full.watchedFileSize == 8)
    }

    @Test func deathByASignalIsToldWithItsNumber() async throws {
      let error = try await Shell.failure("kill -SEGV $$")
      #expect(error.code == .signal)
      #expect(error.report.exit == .signal(11))
      #expect(error.failure == .unknown)
      #expect(error.category == .process)
    }

    @Test func growthOfTheWatchedFileIsProgress() async throws {
      let directory = ScratchDirectory()
      var configuration = ProcessConfiguration()
      configuration.workingDirectory = directory.path
      configuration.watchedFile = "video"
      configuration.limits.stall = .milliseconds(700)
      configuration.limits.startup = .seconds(60)
      let report = try await Shell.run(
        "for i in 1 2 3 4 5 6 7 8; do echo $i >> video; sleep 0.2; done", configuration)
      #expect(report.exit == .code(0))
      #expect(report.watchedFileSize ?? 0 > 0)
      let error = try await Shell.failure("echo x > video; sleep 600", configuration)
      #expect(error.report.stopReason == .stalled)
    }

    @Test func toolWithoutFirstOutputMeetsTheStartupLimit() async throws {
      var configuration = ProcessConfiguration()
      configuration.limits.startup = .milliseconds(100)
      let error = try await Shell.failure("sleep 600", configuration)
      #expect(error.report.stopReason == .startupLimit)
      #expect(error.failure == .processTimeout)
    }

    @Test func stoppedProcessIsEndedToo() async throws {
      var configuration = ProcessConfiguration()
      configuration.limits.total = .milliseconds(200)
      configuration.grace = .seconds(120)
      let error = try await Shell.failure("kill -STOP $$; sleep 600", configuration)
      #expect(error.report.exit == .signal(15))
    }

    private static var residentBytes: Int64 {
      ProcessFacts.resident
    }
  }
}
