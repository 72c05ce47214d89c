import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import TimeoutManager

@Suite struct AdaptiveTimeoutTests {
  let clock = ManualClock()

  struct Broken: Error, Equatable {}

  /// Ten seconds, at most a hundred, five without progress, three until the first.
  var limits: AdaptiveTimeout {
    AdaptiveTimeout(
      base: .seconds(10), maximum: .seconds(100), stall: .seconds(5), network: .seconds(3))
  }

  /// Runs work that a test advances, and gives its outcome.
  private func outcome(
    of timeout: AdaptiveTimeout, kind: String? = nil, attempt: Int = 1,
    _ drive: (ProgressMonitor) async throws -> Void
  ) async throws -> Result<Int, any Error> {
    let monitor = Shared<ProgressMonitor?>(nil)
    let finish = Gate()
    let task = Task {
      try await withAdaptiveTimeout(timeout, kind: kind, attempt: attempt, clock: clock) {
        progress in
        monitor.value = progress
        try await withTaskCancellationHandler {
          await finish.wait()
          try Task.checkCancellation()
        } onCancel: {
          finish.open()
        }
        return 42
      }
    }
    try await until { monitor.value != nil }
    try await drive(monitor.value!)
    finish.open()
    return await task.result
  }

  @Test func workThatEndsInTimeGivesItsValueAndLeavesNoAlarm() async throws {
    let value = try await withAdaptiveTimeout(limits, clock: clock) { progress in
      progress.report(bytes: 10, of: 10)
      return 42
    }
    #expect(value == 42)
    #expect(clock.scheduledCount == 0)
  }

  @Test func workThatThrowsInTimeThrowsItsErrorUnchanged() async {
    await #expect(throws: Broken()) {
      try await withAdaptiveTimeout(limits, clock: clock) { _ in throw Broken() }
    }
    #expect(clock.scheduledCount == 0)
  }

  @Test func progressMovesTheLimitBeyondTheBase() async throws {
    let result = try await outcome(of: limits) { progress in
      for second in 1...40 {
        clock.advance(by: .seconds(1))
        progress.report(bytes: Int64(second) * 100, of: 4_000)
      }
      #expect(progress.decision.elapsed == .seconds(40))
      #expect(progress.decision.passed == nil)
    }
    #expect(result.value == 42)
    #expect(clock.scheduledCount == 0)
  }

  @Test func workWithoutATotalEndsAtTheBase() async throws {
    let result = try await outcome(of: limits) { progress in
      for _ in 1...10 {
        clock.advance(by: .seconds(1))
        progress.advance(bytes: 100)
      }
    }
    let error = try #require(result.failure as? TimeoutError)
    #expect(error.kind == .total)
    #expect(error.limit == .seconds(10))
    #expect(error.elapsed == .seconds(10))
  }

  @Test func stallEndsTheWorkWithItsKindAndLimit() async throws {
    let result = try await outcome(of: limits) { progress in
      clock.advance(by: .seconds(2))
      progress.report(bytes: 1, of: 1_000_000)
      clock.advance(by: .seconds(4))
      progress.report(bytes: 2, of: 1_000_000)
      clock.advance(by: .seconds(5) - .nanoseconds(1))
      #expect(progress.decision.passed == nil)
      clock.advance(by: .nanoseconds(1))
      #expect(progress.decision.passed == .stall)
      #expect(progress.decision.reason == .stalled)
    }
    let error = try #require(result.failure as? TimeoutError)
    #expect(error.kind == .stall)
    #expect(error.limit == .seconds(5))
    #expect(error.elapsed == .seconds(11))
  }

  @Test func connectionWithoutAByteEndsAtTheNetworkLimit() async throws {
    let result = try await outcome(of: limits) { progress in
      progress.report(bytes: 0, of: 1_000)
      progress.heartbeat()
      clock.advance(by: .seconds(3))
    }
    let error = try #require(result.failure as? TimeoutError)
    #expect(error.kind == .network)
    #expect(error.limit == .seconds(3))
  }

  @Test func maximumHoldsWhateverTheEstimateSays() async throws {
    let result = try await outcome(of: limits) { progress in
      for second in 1...100 {
        clock.advance(by: .seconds(1))
        progress.report(bytes: Int64(second), of: .max)
      }
    }
    let error = try #require(result.failure as? TimeoutError)
    #expect(error.kind == .total)
    #expect(error.limit == .seconds(100))
    #expect(error.elapsed == .seconds(100))
  }

  @Test func limitThatComesNearerIsKeptToTheNanosecond() async throws {
    var timeout = limits
    timeout.stall = nil
    timeout.network = nil
    let result = try await outcome(of: timeout) { progress in
      clock.advance(by: .seconds(5))
      progress.report(bytes: 1, of: 1_000)
      #expect(progress.decision.limit == .seconds(100))
      clock.advance(by: .seconds(5))
      progress.report(bytes: 900, of: 1_000)
      let limit = progress.decision.limit
      #expect(limit < .seconds(30) && limit > .seconds(10))
      clock.advance(by: limit - .seconds(10) - .nanoseconds(1))
      #expect(progress.decision.passed == nil)
      clock.advance(by: .nanoseconds(1))
      #expect(progress.decision.passed == .total)
    }
    #expect((result.failure as? TimeoutError)?.kind == .total)
  }

  @Test func outerDeadlineEndsAllLimits() async throws {
    let outer = Task {
      try await withTimeout(.seconds(4), clock: clock) {
        try await withAdaptiveTimeout(limits, clock: clock) { progress in
          #expect(progress.decision.maximum == .seconds(4))
          progress.report(bytes: 1, of: nil)
          try await clock.wait(for: .seconds(60))
        }
      }
    }
    await clock.scheduled(atLeast: 4)
    clock.advance(by: .seconds(4))
    #expect(await outer.result.failure is TimeoutError)
    #expect(clock.scheduledCount == 0)
    await #expect(throws: TimeoutError.self) {
      try await withTimeout(until: Deadline(clock.now + .seconds(1)), clock: clock) {
        clock.advance(by: .seconds(1))
        try await withAdaptiveTimeout(limits, clock: clock) { _ in
          _ = Issue.record("no time was left")
        }
      }
    }
  }

  @Test func cancellationOfTheCallerStaysACancellationAndTeachesNothing() async throws {
    var timeout = limits
    let learned = LearnedTimeouts()
    timeout.learned = learned
    let task = Task { [timeout] in
      try await withAdaptiveTimeout(timeout, kind: "video", clock: clock) { _ in
        try await clock.wait(for: .seconds(60))
      }
    }
    await clock.scheduled(atLeast: 3)
    task.cancel()
    #expect(await task.result.failure is CancellationError)
    #expect(clock.scheduledCount == 0)
    #expect(learned.kindCount == 0)
  }

  @Test func durationsOfFirstAttemptsThatSucceedTeachAndNoOthers() async throws {
    var timeout = limits
    let learned = LearnedTimeouts()
    timeout.learned = learned
    timeout.minimum = .seconds(2)
    func take(_ seconds: Int, attempt: Int = 1) async throws -> Result<Int, any Error> {
      try await outcome(of: timeout, kind: "video", attempt: attempt) { progress in
        for _ in 0..<seconds {
          clock.advance(by: .seconds(1))
          progress.advance(bytes: 1)
        }
      }
    }
    _ = try await take(4, attempt: 2)
    #expect(learned.limit(for: "video") == nil, "Karn: a repeated attempt teaches nothing")
    _ = try await outcome(of: timeout, kind: "video") { _ in clock.advance(by: .seconds(3)) }
    #expect(learned.limit(for: "video") == nil, "a stall teaches nothing")
    #expect(try await take(4).value == 42)
    let limit = try #require(learned.limit(for: "video"))
    #expect((limit.seconds - 16).magnitude < 1e-6)
    let late = try await take(16)
    #expect((late.failure as? TimeoutError)?.kind == .total)
    #expect((try #require(learned.limit(for: "video")).seconds - 32).magnitude < 1e-6)
    #expect(try await take(20).value == 42, "the next one has twice the time")
  }

  @Test func learnedLimitStaysBetweenMinimumAndMaximum() async throws {
    var timeout = limits
    let learned = LearnedTimeouts()
    timeout.learned = learned
    timeout.minimum = .seconds(6)
    learned.record(.milliseconds(1), for: "quick")
    learned.record(.seconds(1e6), for: "slow")
    #expect(ProgressMonitor(timeout, kind: "quick", clock: clock).decision.limit == .seconds(6))
    #expect(ProgressMonitor(timeout, kind: "quick", clock: clock).decision.reason == .learned)
    #expect(ProgressMonitor(timeout, kind: "slow", clock: clock).decision.limit == .seconds(100))
    #expect(ProgressMonitor(timeout, kind: "new", clock: clock).decision.reason == .base)
  }

  @Test func pressureIsAskedBeforeTheWorkIsEnded() async throws {
    var timeout = limits
    timeout.network = nil
    let asked = Tally()
    timeout.pressure = {
      asked.next()
      return 1
    }
    let result = try await outcome(of: timeout) { progress in
      clock.advance(by: .seconds(5))
      try await until { asked.value == 1 && clock.scheduledCount == 2 }
      #expect(progress.decision.passed == nil, "stretched to ten")
      clock.advance(by: .seconds(5))
      try await until { progress.decision.passed == .stall }
    }
    #expect((result.failure as? TimeoutError)?.limit == .seconds(10))
  }

  @Test func observerHearsOfMovesAndOfTheEnd() async throws {
    var timeout = limits
    let told = Log<TimeoutDecision>()
    let monitor = Shared<ProgressMonitor?>(nil)
    timeout.observer = { decision in
      // Re-entrant use must neither deadlock nor recurse.
      _ = monitor.value?.decision
      monitor.value?.report(bytes: 1)
      told.append(decision)
    }
    _ = try await outcome(of: timeout) { progress in
      monitor.value = progress
      for second in 1...20 {
        clock.advance(by: .seconds(1))
        progress.report(bytes: Int64(second) * 10, of: 1_000)
      }
      monitor.value = nil
      clock.advance(by: .seconds(5))
      try await until { told.all.last?.passed != nil }
    }
    #expect(told.count >= 2)
    #expect(told.all.contains { $0.reason == .maximum || $0.reason == .estimate })
  }

  @Test func decisionExplainsItself() throws {
    var timeout = limits
    timeout.stall = nil
    let progress = ProgressMonitor(timeout, clock: clock)
    #expect(
      progress.decision.description
        == "10.0 s allowed (base): last progress 0.0 s ago; base 10.0 s, at most 100.0 s")
    for second in 1...4 {
      clock.advance(by: .seconds(1))
      progress.report(bytes: Int64(second) * 1_000_000, of: 20_000_000)
    }
    let decision = progress.decision
    #expect(decision.reason == .estimate)
    #expect(decision.limit == .seconds(28))
    #expect(decision.nextLimit == .seconds(28))
    #expect(decision.estimatedRemaining == .seconds(16))
    #expect(decision.completed == 4_000_000)
    #expect(decision.slowSpeed == 1_000_000)
    #expect(
      decision.description
        == "28.0 s allowed (estimate): 16.0 s left at 1.0 MB/s (lately 1.0), x 1.5; "
        + "last progress 0.0 s ago; base 10.0 s, at most 100.0 s")
    clock.advance(by: .seconds(24))
    #expect(progress.decision.description.hasPrefix("total limit passed after 28.0 s"))
    #expect(clock.scheduledCount == 0, "a monitor of one's own ends nothing")
  }

  @Test func downloadsPresetHasTheNumbersOfTheGuide() throws {
    let preset = AdaptiveTimeout.downloads
    #expect(preset.base == .seconds(1800))
    #expect(preset.maximum == .seconds(3600))
    #expect(preset.stall == .seconds(300))
    #expect(preset.margin == 1.5)
    #expect(preset.isAdaptive)
  }

  @Test func badLimitsOfOutsidersAreRefusedByName() {
    func field(_ change: (inout AdaptiveTimeout) -> Void) -> String? {
      var timeout = limits
      change(&timeout)
      do {
        try timeout.validate()
        return nil
      } catch {
        return error.field
      }
    }
    #expect(field { $0.base = .zero } == "base")
    #expect(field { $0.maximum = .seconds(9) } == "maximum")
    #expect(field { $0.stall = .zero } == "stall")
    #expect(field { $0.network = .seconds(-1) } == "network")
    #expect(field { $0.minimum = .seconds(11) } == "minimum")
    #expect(field { $0.margin = .nan } == "margin")
    #expect(field { $0.margin = 0.9 } == "margin")
    #expect(field { $0.minimumSpeed = .infinity } == "minimumSpeed")
    #expect(field { $0.speedTimeConstants.slow = .seconds(1) } == "speedTimeConstants")
    #expect(field { _ in } == nil)
  }
}
