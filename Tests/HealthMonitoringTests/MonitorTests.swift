import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import HealthMonitoring

@Suite struct MonitorTests {
  @Test func answersComeFromTheLastResultsWithTheirAge() async throws {
    let patient = Patient()
    let lab = Lab([patient.check()])
    #expect(lab.status("patient") == .unknown)
    #expect(lab.monitor.status(for: .readiness) == .unknown)
    let report = try await lab.monitor.checkAll()
    #expect(report.status(for: .readiness) == .pass)
    patient.isWell.value = false
    lab.clock.advance(by: .seconds(7))
    #expect(lab.status("patient") == .pass, "nobody has asked again")
    #expect(lab.component("patient").age == .seconds(7))
    #expect(patient.asked.value == 1)
    #expect(try await lab.monitor.checkAll().status(for: .readiness) == .fail)
    #expect(lab.component("patient").output == "ill")
    #expect(lab.component("patient").age == .zero)
    #expect(lab.clock.scheduledCount == 0)
  }

  @Test func everyCheckKeepsItsOwnSchedule() async throws {
    let quick = Patient()
    let slow = Patient()
    let lab = Lab([
      quick.check("quick", interval: .seconds(10)), slow.check("slow", interval: .seconds(30)),
    ])
    try await lab.running {
      for beat in 0..<7 {
        try await until {
          quick.asked.value == beat + 1 && slow.asked.value == beat / 3 + 1
            && lab.outcomes("quick", "pass") == beat + 1
            && lab.outcomes("slow", "pass") == beat / 3 + 1
        }
        lab.clock.advance(by: .seconds(10))
      }
    }
  }

  @Test func hungCheckTimesOutAloneAndDelaysNoOther() async throws {
    let gate = Gate()
    let patient = Patient()
    let starts = Tally()
    let hung = HealthCheck("hung", interval: .seconds(10), timeout: .seconds(2)) {
      starts.next()
      await gate.pass()
      return .pass
    }
    let lab = Lab([hung, patient.check()])
    try await lab.running {
      try await until { gate.waiting == 1 && lab.outcomes("patient", "pass") == 1 }
      #expect(lab.status("hung") == .unknown)
      lab.clock.advance(by: .seconds(2))
      #expect(lab.status("hung") == .fail, "known as soon as its time is over")
      #expect(lab.component("hung").output == "no answer within 2.0 seconds")
      #expect(lab.component("hung").hangingFor == .seconds(2))
      for round in 2...20 {
        lab.clock.advance(by: .seconds(round == 2 ? 8 : 10))
        try await until { lab.outcomes("patient", "pass") == round }
      }
      #expect(starts.value == 1, "not run again while it hangs")
      #expect(lab.component("hung").hangingFor == .seconds(190))
      #expect(lab.outcomes("hung", "timed_out") == 1)
      #expect(lab.monitor.alerts.map(\.name) == ["hung"])
      gate.open()
      try await until { lab.component("hung").hangingFor == nil }
      #expect(lab.status("hung") == .fail, "the late answer counts for nothing")
      lab.clock.advance(by: .seconds(10))
      try await until { starts.value == 2 && lab.status("hung") == .pass }
    }
    #expect(lab.count(.timedOut, "hung") == 1)
    #expect(lab.count(.endedLate, "hung") == 1)
  }

  @Test func checkThatHeedsItsCancellationIsAskedAgain() async throws {
    let lab = Lab([])
    let clock = lab.clock
    let starts = Tally()
    let slow = HealthCheck("slow", interval: .seconds(10), timeout: .seconds(2)) {
      starts.next()
      try await clock.wait(for: .seconds(60))
      return .pass
    }
    var configuration = HealthMonitor.Configuration()
    configuration.clock = clock
    let monitor = HealthMonitor([slow], configuration: configuration)
    let task = Task { await monitor.run() }
    for round in 1...4 {
      try await until { starts.value == round }
      await clock.scheduled(atLeast: 3)
      clock.advance(by: .seconds(2))
      try await until { monitor.report().components[0].hangingFor == nil }
      #expect(monitor.status(for: .readiness) == .fail)
      clock.advance(by: .seconds(8))
    }
    task.cancel()
    await task.value
    #expect(clock.scheduledCount == 0)
  }

  @Test func checkAllJoinsARunInProgressAndDoesNotWaitForAHungOne() async throws {
    let gate = Gate()
    let starts = Tally()
    let lab = Lab([
      HealthCheck("slow", timeout: .seconds(2)) {
        starts.next()
        await gate.pass()
        return .pass
      }
    ])
    async let first = lab.monitor.checkAll()
    try await until { gate.waiting == 1 }
    async let second = lab.monitor.checkAll()
    try await until { lab.monitor.state.withLock { $0.waiters.count } == 2 }
    lab.clock.advance(by: .seconds(2))
    #expect(try await first.status(for: .readiness) == .fail)
    #expect(try await second.status(for: .readiness) == .fail)
    let third = try await lab.monitor.checkAll()
    #expect(third.components[0].hangingFor == .seconds(2))
    #expect(starts.value == 1)
    gate.open()
    try await until { lab.component("slow").hangingFor == nil }
    #expect(try await lab.monitor.checkAll().status(for: .readiness) == .pass)
  }

  @Test func cancelledCheckAllLeavesTheChecksAlone() async throws {
    let gate = Gate()
    let lab = Lab([
      HealthCheck("slow") {
        await gate.pass()
        return Task.isCancelled ? .fail("cancelled") : .pass
      }
    ])
    let task = Task { try await lab.monitor.checkAll() }
    try await until { gate.waiting == 1 }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(lab.monitor.state.withLock { $0.waiters.isEmpty })
    gate.open()
    try await until { lab.status("slow") == .pass }
    let cancelled = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      return try await lab.monitor.checkAll()
    }
    await #expect(throws: CancellationError.self) { try await cancelled.value }
  }

  @Test func endOfRunCancelsItsChecksWhichThenCountForNothing() async throws {
    let patient = Patient()
    let isReady = Box(true)
    let lab = Lab([])
    let clock = lab.clock
    let check = HealthCheck("slow", interval: .seconds(10), timeout: .seconds(5)) {
      if isReady.value { return .pass }
      try await clock.wait(for: .seconds(100))
      return .pass
    }
    var configuration = HealthMonitor.Configuration()
    configuration.clock = clock
    let monitor = HealthMonitor([check, patient.check()], configuration: configuration)
    var task = Task { await monitor.run() }
    try await until { monitor.status(for: .readiness) == .pass }
    isReady.value = false
    clock.advance(by: .seconds(10))
    await clock.scheduled(atLeast: 3)
    task.cancel()
    await task.value
    #expect(clock.scheduledCount == 0, "nothing is left behind")
    #expect(monitor.report().components[0].status == .pass, "a cancellation is no answer")
    isReady.value = true
    clock.advance(by: .seconds(40))
    #expect(monitor.report().components[0].status == .stale)
    task = Task { await monitor.run() }
    try await until { monitor.status(for: .readiness) == .pass }
    task.cancel()
    await task.value
  }

  @Test func runThatIsCancelledBeforehandStartsNothing() async {
    let patient = Patient()
    let lab = Lab([patient.check()])
    await Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      await lab.monitor.run()
    }.value
    #expect(patient.asked.value == 0)
  }

  @Test func twoRunsAreOneScheduleThatGoesOnUntilTheLastEnds() async throws {
    let patient = Patient()
    let lab = Lab([patient.check()])
    let first = Task { await lab.monitor.run() }
    try await until { lab.outcomes("patient", "pass") == 1 }
    let second = Task { await lab.monitor.run() }
    try await until { lab.monitor.state.withLock { $0.machine.runners } == 2 }
    first.cancel()
    await first.value
    lab.clock.advance(by: .seconds(10))
    try await until { lab.outcomes("patient", "pass") == 2 }
    second.cancel()
    await second.value
    lab.clock.advance(by: .seconds(100))
    #expect(patient.asked.value == 2)
    #expect(lab.clock.scheduledCount == 0)
  }

  @Test func staleAnswerSaysSoAndIsNoReasonToTakeTheServiceAway() async throws {
    let lab = Lab([Patient().check()])
    _ = try await lab.monitor.checkAll()
    lab.clock.advance(by: .seconds(32))
    #expect(lab.status("patient") == .pass)
    lab.clock.advance(by: .seconds(1))
    let component = lab.component("patient")
    #expect(component.status == .stale)
    #expect(component.age == .seconds(33))
    #expect(component.output == "the last answer is 33 s old")
    #expect(lab.monitor.status(for: .readiness) == .stale)
    #expect(lab.monitor.document(for: .readiness).httpStatus == 200)
  }

  @Test func livenessAsksNoDependency() async throws {
    let database = Patient()
    let process = Patient()
    let extra = Patient()
    let lab = Lab([
      database.check("database"), process.check("process", scope: .process),
      extra.check("extra", scope: .optional),
    ])
    #expect(lab.monitor.status(for: .liveness) == .pass, "nothing is known yet")
    #expect(lab.monitor.status(for: .readiness) == .unknown)
    database.isWell.value = false
    extra.isWell.value = false
    _ = try await lab.monitor.checkAll()
    #expect(lab.monitor.status(for: .liveness) == .pass)
    #expect(lab.monitor.document(for: .liveness).httpStatus == 200)
    #expect(!lab.monitor.document(for: .liveness).text.contains("database"))
    #expect(lab.monitor.document(for: .readiness).httpStatus == 503)
    database.isWell.value = true
    _ = try await lab.monitor.checkAll()
    #expect(lab.monitor.status(for: .readiness) == .warn, "an optional one is a warning at most")
    process.isWell.value = false
    _ = try await lab.monitor.checkAll()
    #expect(lab.monitor.status(for: .liveness) == .fail)
  }

  @Test func flappingComponentRaisesOneAlert() async throws {
    let patient = Patient()
    let lab = Lab([patient.check()])
    for round in 0..<50 {
      patient.isWell.value = round.isMultiple(of: 2)
      _ = try await lab.monitor.checkAll()
      lab.clock.advance(by: .seconds(10))
    }
    #expect(lab.count(.statusChanged, "patient") == 50)
    #expect(lab.count(.alertRaised, "patient") == 1)
    #expect(lab.count(.alertCleared, "patient") == 0)
    patient.isWell.value = true
    for _ in 0..<4 {
      #expect(lab.count(.alertCleared, "patient") == 0)
      _ = try await lab.monitor.checkAll()
      lab.clock.advance(by: .seconds(10))
    }
    #expect(lab.count(.alertCleared, "patient") == 1)
    #expect(lab.count(.alertRaised, "patient") == 1)
  }

  @Test func componentThatMustFailForAWhileRaisesItsAlertNoEarlier() async throws {
    let patient = Patient()
    var check = patient.check()
    check.alertAfter = .seconds(30)
    let lab = Lab([check])
    patient.isWell.value = false
    for _ in 0..<3 {
      _ = try await lab.monitor.checkAll()
      lab.clock.advance(by: .seconds(10))
      #expect(lab.monitor.alerts.isEmpty)
    }
    _ = try await lab.monitor.checkAll()
    #expect(lab.monitor.alerts.map(\.description) == ["patient: fail (ill)"])
  }

  @Test func deadlineInsideACheckIsItsOwnTimeoutNotTheCallers() async throws {
    let seen = Box<Deadline?>(nil)
    let lab = Lab([
      HealthCheck("deadline", timeout: .seconds(2)) {
        seen.value = Deadline.current
        return .pass
      }
    ])
    let outer = DeadlineScope(until: lab.clock.now + .milliseconds(1))
    try await Deadline.$scope.withValue(outer) { _ = try await lab.monitor.checkAll() }
    let deadline = try #require(seen.value)
    #expect(deadline.remaining(at: lab.clock.now) == .seconds(2))
  }
}
