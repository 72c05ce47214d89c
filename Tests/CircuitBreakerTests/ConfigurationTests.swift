import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import CircuitBreaker

@Suite(.offThePool) struct ConfigurationTests {
  typealias Configuration = CircuitBreaker.Configuration

  private static func changed(
    _ change: (inout Configuration) -> Void
  ) -> Configuration {
    var configuration = Configuration.recommended
    change(&configuration)
    return configuration
  }

  @Test("The default is 5 failures in a row and 60 seconds; both presets are valid")
  func presets() throws {
    try Configuration.default.validate()
    try Configuration.recommended.validate()
    let lab = Lab(.default)
    for _ in 0..<4 { try lab.breaker.admit().fail(Down()) }
    #expect(lab.breaker.state == .closed)
    try lab.breaker.admit().fail(Down())
    #expect(lab.breaker.remainingOpenTime == .seconds(60))
  }

  @Test("The recommended preset opens at half of ten calls in thirty seconds")
  func recommended() throws {
    let lab = Lab(.recommended)
    for index in 0..<9 {
      try lab.breaker.admit().settle(index % 2 == 0 ? .failure : .success)
      lab.clock.advance(by: .seconds(1))
    }
    #expect(lab.breaker.state == .closed)
    try lab.breaker.admit().succeed()
    #expect(lab.breaker.state == .open, "also when a success completes the volume")
    #expect(lab.events.all[0].cause == .failureRate)
  }

  @Test(
    "P50: bad values are refused with field and rule",
    arguments: [
      (changed { ($0.consecutiveFailures, $0.failureRate) = (nil, nil) }, "consecutiveFailures"),
      (changed { $0.consecutiveFailures = 0 }, "consecutiveFailures"),
      (changed { $0.failureRate = .nan }, "failureRate"),
      (changed { $0.failureRate = 0 }, "failureRate"),
      (changed { $0.failureRate = 1.01 }, "failureRate"),
      (changed { $0.slowCalls = .init(longerThan: .zero, rate: 1) }, "slowCalls.duration"),
      (
        changed { $0.slowCalls = .init(longerThan: .seconds(1), rate: .infinity) }, "slowCalls.rate"
      ),
      (changed { $0.minimumVolume = 0 }, "minimumVolume"),
      (changed { $0.window = .count(9) }, "minimumVolume"),
      (changed { $0.window = .count(0) }, "window"),
      (changed { $0.window = .time(.zero) }, "window"),
      (changed { $0.window = .time(.seconds(1), buckets: 0) }, "window"),
      (changed { $0.openTime.cap = .zero }, "openTime.cap"),
      (changed { $0.openTime = .none }, "openTime"),
      (changed { $0.longestServerHint = .seconds(-1) }, "longestServerHint"),
      (changed { $0.halfOpenPermits = 0 }, "halfOpenPermits"),
      (changed { $0.halfOpenSuccesses = 0 }, "halfOpenSuccesses"),
      (changed { $0.probeLease = .zero }, "probeLease"),
    ] as [(Configuration, String)])
  func refused(configuration: Configuration, field: String) {
    do {
      try configuration.validate()
      Issue.record("\(field) was accepted")
    } catch {
      #expect(error.field == field)
      #expect(!error.rule.isEmpty)
    }
  }

  @Test("Huge durations and counts neither trap nor overflow")
  func hugeValues() throws {
    var configuration = Configuration(
      consecutiveFailures: .max, failureRate: 1,
      slowCalls: .init(longerThan: .seconds(Int64.max), rate: 1),
      window: .time(.seconds(86_400), buckets: 1000), minimumVolume: .max,
      openTime: .constant(.seconds(Int64.max), jitter: .none), halfOpenSuccesses: .max,
      probeLease: .seconds(Int64.max))
    configuration.longestServerHint = .seconds(Int64.max)
    let lab = Lab(configuration)
    for _ in 0..<10 { try lab.breaker.admit().settle(.throttled(after: .seconds(Int64.max))) }
    lab.breaker.open(for: .seconds(Int64.max))
    lab.clock.advance(by: .seconds(1_000_000_000))
    #expect(lab.breaker.state == .open)
    lab.breaker.open()
    lab.breaker.restore(lab.breaker.snapshot())
    let later = lab.clock.now.advanced(by: .seconds(400 * 365 * 86_400))
    #expect(lab.breaker.state(at: later) == .open)
  }
}
