import ReliabilityCore
import ReliabilityMetrics
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import HealthMonitoring

@Suite struct AlertStateMachineTests {
  @Test func zeroDurationsRaiseAndClearAtOnce() {
    var alert = AlertStateMachine(minimumDuration: .zero, clearDuration: .zero)
    #expect(alert.observe(.trouble, at: 0) == .raised)
    #expect(alert.observe(.trouble, at: 1) == nil)
    #expect(alert.observe(.none, at: 2) == nil)
    #expect(alert.observe(.well, at: 3) == .cleared)
    #expect(alert.observe(.well, at: 4) == nil)
    #expect(alert.raisedCount == 1)
  }

  @Test func missingEvidenceInterruptsBothDurations() {
    var alert = AlertStateMachine(
      minimumDuration: .nanoseconds(10), clearDuration: .nanoseconds(10))
    #expect(alert.observe(.trouble, at: 0) == nil)
    #expect(alert.observe(.none, at: 5) == nil)
    #expect(alert.observe(.trouble, at: 10) == nil)
    #expect(alert.observe(.trouble, at: 19) == nil)
    #expect(alert.observe(.trouble, at: 20) == .raised)
    #expect(alert.observe(.well, at: 30) == nil)
    #expect(alert.observe(.none, at: 35) == nil)
    #expect(alert.isRaised)
    #expect(alert.observe(.well, at: 40) == nil)
    #expect(alert.observe(.well, at: 50) == .cleared)
  }

  @Test("Random evidence agrees with a search for streaks", arguments: 0..<5)
  func agreesWithStreaks(run: Int) {
    let seed = UInt64(0xA1E7 + run)
    var generator = SeededGenerator(seed: seed)
    let minimum = Int64(run * 3)
    let clear = Int64((4 - run) * 4)
    var alert = AlertStateMachine(
      minimumDuration: .nanoseconds(minimum), clearDuration: .nanoseconds(clear))
    var history: [(evidence: AlertStateMachine.Evidence, at: Int64)] = []
    var isRaised = false
    var now: Int64 = 0
    for step in 0..<20_000 {
      now += Int64.random(in: 0..<6, using: &generator)
      let evidence: AlertStateMachine.Evidence = [.trouble, .trouble, .well, .well, .none]
        .randomElement(using: &generator)!
      history.append((evidence, now))
      // How long the last evidence has held without another kind in between.
      let streak = now - (history.reversed().prefix { $0.evidence == evidence }.last?.at ?? now)
      let expected: AlertStateMachine.Transition? =
        switch evidence {
        case .trouble where !isRaised && streak >= minimum: .raised
        case .well where isRaised && streak >= clear: .cleared
        default: nil
        }
      if let expected {
        isRaised = expected == .raised
        history = []
        // A streak begins anew in the new state; the transition itself is behind it.
      }
      #expect(alert.observe(evidence, at: now) == expected, "seed \(seed), step \(step)")
      #expect(alert.isRaised == isRaised, "seed \(seed), step \(step)")
    }
    #expect(alert.raisedCount > 20, "seed \(seed)")
  }

  @Test func hugeTimesNeverTrap() {
    var alert = AlertStateMachine(minimumDuration: .seconds(Int64.max), clearDuration: .zero)
    #expect(alert.observe(.trouble, at: .min) == nil)
    #expect(alert.observe(.trouble, at: .max) == .raised)
  }
}

@Suite struct GrowthWindowTests {
  @Test func growthIsCountedFromTheFirstValueAndFallsOutOfTheWindow() {
    var window = GrowthWindow(.nanoseconds(600))
    #expect(window.grow(to: 1_000, at: 0) == 0)
    #expect(window.grow(to: 1_003, at: 100) == 3)
    #expect(window.grow(to: 1_003, at: 500) == 3)
    #expect(window.grow(to: 1_003, at: 705) == 0)
  }

  @Test func counterThatStartsAgainCountsFromZero() {
    var window = GrowthWindow(.seconds(1))
    _ = window.grow(to: 50, at: 0)
    #expect(window.grow(to: 2, at: 1) == 2)
    #expect(window.grow(to: -5, at: 2) == 2)
  }

  @Test("The window's error is a sixtieth of its length") func errorIsBounded() {
    var generator = SeededGenerator(seed: 4)
    var window = GrowthWindow(.nanoseconds(6_000))
    var now: Int64 = 0
    for _ in 0..<20_000 {
      now += Int64.random(in: 0..<50, using: &generator)
      // The counter is the clock: what it grew is how long the window was.
      let grown = Int64(window.grow(to: Double(now), at: now))
      let exact = min(now, 6_000)
      #expect(grown >= exact - 50 && grown <= exact + 150, "\(grown) of \(exact)")
    }
  }
}

@Suite struct AlertRuleTests {
  @Test func hysteresisAndMinimumDurationHoldOnTheManualClock() async throws {
    let value = Box<Double?>(0)
    let lab = Lab(
      [],
      rules: [AlertRule("backlog", .above(100), clearsAt: 80, for: .seconds(60)) { value.value }])
    func pass(_ seconds: Int, at present: Double?) {
      value.value = present
      for _ in 0..<(seconds / 10) {
        lab.monitor.evaluateRules()
        lab.clock.advance(by: .seconds(10))
      }
      lab.monitor.evaluateRules()
    }
    pass(120, at: 100)
    #expect(lab.story.isEmpty, "at the threshold is not above it")
    pass(50, at: 150)
    pass(0, at: 90)
    pass(50, at: 150)
    #expect(lab.story.isEmpty, "a minute was never full")
    pass(10, at: 150)
    #expect(lab.story == ["alertRaised backlog"])
    #expect(lab.events.all[0].description == "alertRaised backlog: 150.0 is above 100.0")
    pass(600, at: 90)
    pass(600, at: nil)
    pass(600, at: .nan)
    #expect(lab.story == ["alertRaised backlog"], "between the thresholds nothing changes")
    #expect(lab.monitor.alerts.map(\.name) == ["backlog"])
    pass(50, at: 10)
    #expect(lab.monitor.alerts.count == 1)
    pass(10, at: 10)
    #expect(lab.story == ["alertRaised backlog", "alertCleared backlog"])
    #expect(lab.monitor.alerts.isEmpty)
  }

  @Test func scheduleEvaluatesRulesAtTheirInterval() async throws {
    let reads = Tally()
    let lab = Lab(
      [],
      rules: [
        AlertRule("r", .above(1)) {
          reads.next()
          return 0
        }
      ])
    try await lab.running {
      for round in 1...5 {
        try await until { reads.value == round && lab.clock.scheduledCount == 1 }
        lab.clock.advance(by: .seconds(5))
      }
    }
    #expect(lab.clock.scheduledCount == 0)
  }

  @Test func recommendedRulesHaveTheNumbersOfTheirTable() throws {
    let bad: [AlertFigure: Double] = [
      .successRatio: 0.949, .queuedJobs: 101, .poolUsedRatio: 0.81, .deadLetters: 11,
      .openBreakers: 1, .poolResourceErrors: 6, .lockTimeouts: 1, .saveFailureRatio: 0.001,
      .orphanedFiles: 1, .memoryRatio: 0.81, .cpuRatio: 0.91, .timeRatio: 0.81,
    ]
    let good: [AlertFigure: Double] = [
      .successRatio: 0.95, .queuedJobs: 100, .poolUsedRatio: 0.8, .deadLetters: 10,
      .openBreakers: 0, .poolResourceErrors: 5, .lockTimeouts: 0, .saveFailureRatio: 0.00099,
      .orphanedFiles: 0, .memoryRatio: 0.8, .cpuRatio: 0.9, .timeRatio: 0.8,
    ]
    let rules = AlertRule.recommended { bad[$0] }
    #expect(rules.count == AlertFigure.allCases.count)
    for figure in AlertFigure.allCases {
      let rule = try #require(rules.first { $0.name == figure.rawValue })
      try rule.validate()
      #expect(rule.threshold.isBroken(by: bad[figure]!), "\(figure)")
      #expect(!rule.threshold.isBroken(by: good[figure]!), "\(figure)")
    }
    #expect(rules.filter { $0.growthOver == .seconds(86_400) }.count == 2)
  }

  @Test func lockTimeoutsOfADayAreForgottenAfterIt() {
    let total = Box(7.0)
    let rules = AlertRule.recommended { $0 == .lockTimeouts ? total.value : nil }
    let lab = Lab([], rules: rules)
    func hour(_ count: Int = 1) {
      for _ in 0..<count {
        lab.monitor.evaluateRules()
        lab.clock.advance(by: .seconds(3600))
      }
    }
    hour(3)
    #expect(lab.story.isEmpty, "what was before the start is not news")
    total.value = 8
    hour()
    #expect(lab.story == ["alertRaised lock_timeouts"])
    hour(22)
    #expect(lab.story.count == 1)
    hour(3)
    #expect(lab.story == ["alertRaised lock_timeouts", "alertCleared lock_timeouts"])
  }

  @Test func figuresAreFoundInARegistryWhateverItsPrefix() {
    struct Source: MetricsSource {
      func samples() -> [MetricSample] {
        func gauge(_ name: String, _ label: (String, String), _ value: Double) -> MetricSample {
          MetricSample(name: name, kind: .gauge, labels: [label], value: value)
        }
        func counter(_ name: String, _ label: (String, String), _ value: Double) -> MetricSample {
          MetricSample(name: name, kind: .counter, labels: [label], value: value)
        }
        return [
          counter("jobs_total", ("outcome", "succeeded"), 90),
          counter("jobs_total", ("outcome", "failed"), 6),
          counter("jobs_total", ("outcome", "dead_lettered"), 4),
          counter("jobs_total", ("outcome", "cancelled"), 50),
          gauge("jobs_in_state", ("state", "pending"), 120),
          gauge("jobs_in_state", ("state", "running"), 3),
          gauge("jobs_in_state", ("state", "completed"), 9),
          gauge("jobs_in_state", ("state", "dead"), 1),
          gauge("dead_letter_jobs", ("queue", "a"), 4),
          gauge("pool_used_ratio", ("pool", "a"), 0.5),
          gauge("pool_used_ratio", ("pool", "b"), 0.9),
          gauge("breaker_state", ("state", "open"), 1),
          gauge("breaker_state", ("state", "closed"), 5),
          gauge("breakers", ("state", "open"), 2),
          gauge("breakers", ("state", "forcedOpen"), 1),
          gauge("breakers", ("state", "closed"), 7),
          gauge("pool_resource_errors_max", ("pool", "a"), 7),
          counter("lock_timeouts_total", ("lock", "a"), 2),
          counter("file_saves_total", ("status", "durable"), 999),
          counter("file_saves_total", ("status", "failed"), 1),
          counter("orphans_removed_total", ("kind", "a"), 3),
        ]
      }
    }
    let expected: [AlertFigure: Double] = [
      .successRatio: 0.9, .queuedJobs: 120, .deadLetters: 4, .poolUsedRatio: 0.9,
      .openBreakers: 4, .poolResourceErrors: 7, .lockTimeouts: 2, .saveFailureRatio: 0.001,
      .orphanedFiles: 3,
    ]
    for prefix in ["", "app"] {
      let registry = MetricsRegistry(prefix: prefix)
      #expect(AlertFigure.allCases.allSatisfy { $0.value(in: registry.snapshot()) == nil })
      registry.register(Source())
      let snapshot = registry.snapshot()
      for figure in AlertFigure.allCases {
        #expect(figure.value(in: snapshot) == expected[figure], "\(prefix) \(figure)")
      }
      let lab = Lab([], rules: AlertRule.recommended(in: registry))
      lab.monitor.evaluateRules()
      #expect(
        Set(lab.monitor.alerts.map(\.name)) == [
          "open_breakers", "pool_resource_errors", "save_failure_ratio",
        ])
    }
  }

  @Test func badRulesAreRefusedByName() {
    func rule(_ rules: AlertRule) -> String? {
      do {
        try HealthMonitor.validate([], .init(rules: [rules]))
        return nil
      } catch {
        return error.field
      }
    }
    #expect(rule(AlertRule("", .above(1)) { nil }) == "rules[0].name")
    #expect(rule(AlertRule("r", .above(.nan)) { nil }) == "rules[0].threshold")
    #expect(rule(AlertRule("r", .above(1), clearsAt: 2) { nil }) == "rules[0].clearsAt")
    #expect(rule(AlertRule("r", .below(1), clearsAt: 0.5) { nil }) == "rules[0].clearsAt")
    #expect(
      rule(AlertRule("r", .above(1), for: .seconds(-1)) { nil }) == "rules[0].minimumDuration")
    #expect(rule(AlertRule("r", .below(1), clearsAt: 1) { nil }) == nil)
  }
}
