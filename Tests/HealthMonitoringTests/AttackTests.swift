import ReliabilityCore
import ReliabilityMetrics
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import HealthMonitoring

@Suite struct AttackTests {
  @Test func observerThatUsesTheMonitorNeitherDeadlocksNorLosesTheOrder() async throws {
    let patient = Patient()
    patient.isWell.value = false
    let monitor = Box<HealthMonitor?>(nil)
    let depth = Tally()
    let lab = Lab([patient.check()]) { _ in
      #expect(depth.next() == 0, "one event at a time")
      _ = monitor.value?.report()
      monitor.value?.evaluateRules()
      _ = monitor.value?.samples()
      depth.value = 0
    }
    monitor.value = lab.monitor
    _ = try await lab.monitor.checkAll()
    #expect(lab.story == ["statusChanged patient", "alertRaised patient"])
    monitor.value = nil
  }

  @Test func blockedObserverHoldsUpNothingAndCostsNoMemory() async throws {
    let patient = Patient()
    let isBlocked = Box(true)
    let isIn = Box(false)
    let lab = Lab([patient.check()]) { _ in
      isIn.value = true
      while isBlocked.value {}
    }
    patient.isWell.value = false
    let thread = BlockingThread {
      // The observer of the first event blocks this thread, not one of the pool.
      lab.monitor.state.withLock { state in
        lab.monitor.append(HealthEvent(.statusChanged, "first"), &state)
      }
      lab.monitor.tell()
    }
    try await until { isIn.value }
    for round in 0..<1_200 {
      patient.isWell.value = round.isMultiple(of: 2)
      _ = try await lab.monitor.checkAll()
    }
    let dropped = lab.monitor.samples().first { $0.name == "health_events_dropped_total" }
    #expect(dropped!.value >= 200)
    #expect(lab.monitor.state.withLock { $0.events.count } == HealthMonitor.maximumEvents)
    isBlocked.value = false
    await thread.end()
  }

  /// An error whose end uses the monitor: under a lock that would hang for ever.
  private final class Grenade: Error, Sendable {
    let monitor: Box<HealthMonitor?>
    let ended: Tally
    init(_ monitor: Box<HealthMonitor?>, _ ended: Tally) {
      (self.monitor, self.ended) = (monitor, ended)
    }
    deinit {
      _ = monitor.value?.report()
      ended.next()
    }
  }

  @Test func errorOfACheckIsReleasedOutsideTheLock() async throws {
    let monitor = Box<HealthMonitor?>(nil)
    let ended = Tally()
    var configuration = HealthMonitor.Configuration()
    configuration.clock = ManualClock()
    let subject = HealthMonitor(
      [HealthCheck("grenade") { throw Grenade(monitor, ended) }], configuration: configuration)
    monitor.value = subject
    for _ in 0..<10 { _ = try await subject.checkAll() }
    try await until { ended.value >= 9 }
    monitor.value = nil
  }

  @Test func checkThatThrowsACancellationSaysNothing() async throws {
    let lab = Lab([HealthCheck("odd") { throw CancellationError() }])
    for _ in 0..<3 {
      #expect(try await lab.monitor.checkAll().status(for: .readiness) == .unknown)
    }
    #expect(lab.outcomes("odd", "cancelled") == 3)
    #expect(lab.story.isEmpty)
  }

  @Test func checkThatAsksForAllChecksDoesNotHangTheMonitor() async throws {
    let monitor = Box<HealthMonitor?>(nil)
    let lab = Lab([
      HealthCheck("selfish", timeout: .seconds(1)) {
        _ = try await monitor.value!.checkAll()
        return .pass
      }
    ])
    monitor.value = lab.monitor
    let task = Task { try await lab.monitor.checkAll() }
    try await until { lab.monitor.state.withLock { $0.waiters.count } == 2 }
    lab.clock.advance(by: .seconds(1))
    #expect(try await task.value.status(for: .readiness) == .fail)
    try await until { lab.component("selfish").hangingFor == nil }
    monitor.value = nil
  }

  @MainActor @Test func monitorServesTheMainActor() async throws {
    let lab = Lab([Patient().check()])
    #expect(try await lab.monitor.checkAll().status(for: .readiness) == .pass)
    #expect(lab.monitor.document().httpStatus == 200)
  }

  @Test func monitorIsFreedWhenNobodyHoldsItAndItsAlarmsAreGone() async throws {
    let clock = ManualClock()
    weak var freed: HealthMonitor?
    do {
      var configuration = HealthMonitor.Configuration(rules: [AlertRule("r", .above(1)) { 0 }])
      configuration.clock = clock
      let monitor = HealthMonitor([Patient().check()], configuration: configuration)
      freed = monitor
      let task = Task { await monitor.run() }
      try await until { monitor.status(for: .readiness) == .pass && clock.scheduledCount == 2 }
      task.cancel()
      await task.value
      #expect(clock.scheduledCount == 0)
    }
    try await until { freed == nil }
  }

  @Test func hugeAndTinyLimitsNeverTrap() async throws {
    let patient = Patient()
    var forever = patient.check(
      "forever", interval: .seconds(Int64.max), timeout: .seconds(Int64.max))
    forever.missedIntervals = .max
    forever.alertAfter = .seconds(Int64.max)
    forever.clearAfter = .seconds(Int64.max)
    let lab = Lab(
      [forever, patient.check("short", interval: .milliseconds(1), timeout: .nanoseconds(1))],
      rules: [AlertRule("huge", .above(1e308), for: .seconds(Int64.max)) { .infinity }],
      alertInterval: .seconds(Int64.max))
    try await lab.running {
      try await until { lab.status("forever") == .pass }
      lab.clock.advance(by: .seconds(3_000_000_000))
      #expect(lab.status("forever") == .pass)
      lab.monitor.evaluateRules()
    }
  }

  @Test func textIsBoundedAndNumbersThatJSONLacksAreNull() async throws {
    let lab = Lab([
      HealthCheck("long") { .warn(String(repeating: "x", count: 1 << 20)) },
      HealthCheck("nan") { .pass(observing: .nan, unit: "ms") },
      HealthCheck("odd \"name\"\n") { .pass(observing: .infinity) },
    ])
    let report = try await lab.monitor.checkAll()
    #expect(report.components[0].output?.count == HealthReading.maximumText + 1)
    for format in HealthFormat.allCases {
      let document = report.rendered(as: format)
      #expect(document.bytes.count < 10_000)
      #expect(document.text.contains(#""observedValue":null"#))
    }
  }

  @Test func configurationsOfOutsidersAreRefusedByName() {
    func field(_ checks: [HealthCheck], _ rules: [AlertRule] = []) -> String? {
      do {
        try HealthMonitor.validate(checks, .init(rules: rules))
        return nil
      } catch {
        return error.field
      }
    }
    let fine = Patient().check("a")
    #expect(field([fine, Patient().check("b")]) == nil)
    #expect(field([fine, fine]) == "checks[1].name")
    #expect(field([fine], [AlertRule("a", .above(1)) { nil }]) == "rules[0].name")
    #expect(field([Patient().check("")]) == "checks[0].name")
    #expect(field([Patient().check("a", interval: .zero)]) == "checks[0].interval")
    #expect(field([Patient().check("a", timeout: .seconds(-1))]) == "checks[0].timeout")
    var impatient = fine
    impatient.missedIntervals = 0
    #expect(field([impatient]) == "checks[0].missedIntervals")
  }

  @Test("Conservation: every run that began ends in exactly one way")
  func everyRunEndsInOneWay() async throws {
    let seed: UInt64 = 99
    var generator = SeededGenerator(seed: seed)
    let clock = ManualClock()
    let started = Tally()
    let checks = (0..<6).map { index in
      HealthCheck("c\(index)", interval: .seconds(3), timeout: .seconds(2)) {
        switch started.next() % 5 {
        case 0: throw Down()
        case 1: try await clock.wait(for: .seconds(1))
        case 2: try await clock.wait(for: .seconds(4))
        case 3: throw CancellationError()
        default: break
        }
        return .pass
      }
    }
    var configuration = HealthMonitor.Configuration(alertInterval: .seconds(1))
    configuration.clock = clock
    let told = Log<String>()
    configuration.observer = { told.append("\($0)") }
    let monitor = HealthMonitor(checks, configuration: configuration)
    var runs: [Task<Void, Never>] = []
    for _ in 0..<400 {
      switch Int.random(in: 0..<8, using: &generator) {
      case 0: runs.append(Task { await monitor.run() })
      case 1:
        if let task = runs.popLast() {
          task.cancel()
        }
      case 2:
        let task = Task { try await monitor.checkAll() }
        if Bool.random(using: &generator) { task.cancel() }
        runs.append(Task { _ = try? await task.value })
      default: clock.advance(by: .milliseconds(Int64.random(in: 0..<1500, using: &generator)))
      }
      _ = monitor.document()
      await Task.yield()
    }
    for task in runs { task.cancel() }
    try await until {
      clock.advance(by: .seconds(1))
      let machine = monitor.state.withLock { $0.machine }
      return machine.runners == 0 && machine.components.allSatisfy { $0.run == nil }
    }
    for task in runs { await task.value }
    try await until { monitor.state.withLock { $0.runs.isEmpty && $0.waiters.isEmpty } }
    let total = monitor.state.withLock { state in
      state.machine.components.reduce(0) { $0 + $1.counts.total }
    }
    // A run that was cancelled before its task began never entered its body.
    #expect(total >= started.value, "seed \(seed)")
    #expect(started.value > 50, "seed \(seed)")
  }
}
