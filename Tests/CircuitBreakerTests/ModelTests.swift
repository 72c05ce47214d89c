import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import CircuitBreaker

@Suite(.offThePool) struct ModelTests {
  static let operations = 25_000

  @Test(
    "Ten breakers and the reference agree after each of 25,000 random operations", arguments: 0..<10
  )
  func agreesWithReference(run: Int) throws {
    let seed = UInt64(truncatingIfNeeded: 0x5EED + run * 7919)
    var experiment = Experiment(seed: seed, run: run)
    for step in 0..<Self.operations {
      let operation = experiment.step()
      try #require(
        experiment.difference == nil,
        "seed \(seed), step \(step), \(operation): \(experiment.difference ?? "")")
    }
    experiment.finish()
    #expect(experiment.outstanding == 0)
    #expect(experiment.admitted == experiment.breaker.ended, "permits in = out, seed \(seed)")
    #expect(experiment.statesMet.count == 6, "seed \(seed): \(experiment.statesMet)")
  }
}

/// A breaker and the reference, to which the same things happen.
private struct Experiment {
  let clock = ManualClock(now: ContinuousClock.Instant(sinceOrigin: .zero))
  let breaker: CircuitBreaker
  var reference: ReferenceBreaker
  var admitted = 0
  var statesMet: Set<CircuitBreaker.State> = []
  private var generator: SeededGenerator
  private var tickets: [(number: Int, era: Int, held: Held)] = []
  private var nextTicket = 0
  private var wall: Int64 = 1_000_000_000_000_000_000
  private var saved: (CircuitBreaker.Snapshot, ReferenceBreaker)?
  private var unexpected: String?

  var outstanding: Int { tickets.count }

  init(seed: UInt64, run: Int) {
    generator = SeededGenerator(seed: seed)
    var configuration = CircuitBreaker.Configuration(
      consecutiveFailures: run % 3 == 0 ? nil : 3 + run % 4,
      failureRate: run % 3 == 1 ? nil : [0.3, 0.5, 1][run / 3 % 3],
      slowCalls: run % 2 == 0 ? nil : .init(longerThan: .milliseconds(300), rate: 0.5),
      window: run < 5 ? .count([1, 2, 10, 64, 65][run]) : .time(.seconds(2), buckets: run - 4),
      minimumVolume: run < 2 ? 1 + run : 5 - run % 4,
      openTime: .exponential(base: .milliseconds(500), cap: .seconds(4), jitter: .none),
      halfOpenPermits: 1 + run % 3, halfOpenSuccesses: 1 + run % 2,
      probeLease: .milliseconds(run % 4 == 3 ? 200 : 900))
    configuration.longestServerHint = .seconds(3)
    configuration.clock = clock
    breaker = CircuitBreaker(configuration: configuration)
    reference = ReferenceBreaker(rules: BreakerRules(configuration))
  }

  private var now: Int64 { clock.now.sinceOrigin.nanoseconds }
  private var moment: PersistedMoment {
    PersistedMoment(wall: wall, bootID: "boot", sinceBoot: now)
  }

  /// Does something, and says what.
  mutating func step() -> String {
    statesMet.insert(breaker.state)
    switch Int.random(in: 0..<1000, using: &generator) {
    case 0..<420: return admit()
    case 420..<600: return end(.success)
    case 600..<720: return end(.failure)
    case 720..<750:
      let hint = [nil, 0, 700, 5000].randomElement(using: &generator)!
      return end(.throttled(after: hint.map { Duration.milliseconds($0) }))
    case 750..<770: return end(.ignored)
    case 770..<790: return end(.cancelled)
    case 790..<820: return drop()
    case 820..<960:
      let longest = Bool.random(using: &generator) ? 20 : 700
      clock.advance(by: .milliseconds(Int.random(in: 0...longest, using: &generator)))
      return "advance"
    case 960..<975:
      wall += Bool.random(using: &generator) ? 3_600_000_000_000 : -3_600_000_000_000
      return "jump"
    case 975..<983: return force()
    case 983..<989:
      breaker.reset()
      reference.go(.closed)
      return "reset"
    case 989..<995:
      var future = reference
      future.pass(to: now)
      saved = (breaker.snapshot(at: moment), future)
      return "snapshot"
    default: return restore()
    }
  }

  private mutating func admit() -> String {
    nextTicket += 1
    let expected = reference.admit(nextTicket, at: now)
    do {
      tickets.append((nextTicket, reference.era, Held(try breaker.admit())))
      admitted += 1
      if !expected { unexpected = "admitted" }
    } catch {
      if expected { unexpected = "rejected" }
      let rejection = error as? CircuitOpenError
      if rejection?.state != breaker.state { unexpected = "the rejection's state" }
      if rejection?.remainingOpenTime != breaker.remainingOpenTime {
        unexpected = "the rejection's remaining time"
      }
    }
    // Callers end some day; and so the list stays short.
    if tickets.count > 12 { return "admit, " + drop() }
    return "admit"
  }

  private mutating func draw() -> (number: Int, era: Int, held: Held)? {
    tickets.isEmpty ? nil : tickets.remove(at: .random(in: tickets.indices, using: &generator))
  }

  private mutating func end(_ verdict: CircuitBreaker.Verdict) -> String {
    guard let (number, era, held) = draw() else { return "nothing" }
    reference.end(number, era: era, verdict, at: now)
    let ticket = held.take()
    if verdict == .success {
      ticket.succeed()
    } else {
      ticket.settle(verdict)
    }
    return "\(verdict)"
  }

  private mutating func drop() -> String {
    guard let (number, era, held) = draw() else { return "nothing" }
    reference.end(number, era: era, .ignored, at: now)
    held.drop()
    return "drop"
  }

  private mutating func force() -> String {
    switch Int.random(in: 0..<4, using: &generator) {
    case 0:
      breaker.forceOpen()
      if reference.state != .forcedOpen { reference.go(.forcedOpen) }
      return "forceOpen"
    case 1:
      breaker.disable()
      if reference.state != .disabled { reference.go(.disabled) }
      return "disable"
    case 2:
      breaker.observeOnly()
      if reference.state != .metricsOnly { reference.go(.metricsOnly) }
      return "observeOnly"
    default:
      breaker.open(for: .seconds(1))
      reference.openings = max(1, reference.openings)
      reference.open(for: 1_000_000_000, at: now)
      return "open"
    }
  }

  private mutating func restore() -> String {
    guard let (snapshot, then) = saved else { return "nothing" }
    breaker.restore(snapshot, at: moment)
    let era = reference.era
    reference = then
    (reference.era, reference.flights, reference.successes) = (era + 1, [:], 0)
    reference.openUntil = max(then.openUntil, now)
    if then.state != .open { (reference.openTime, reference.openUntil) = (0, 0) }
    return "restore"
  }

  mutating func finish() {
    while !tickets.isEmpty { _ = drop() }
  }

  /// What differs, if anything.
  var difference: String? {
    if let unexpected { return unexpected }
    var expected = reference
    expected.pass(to: now)
    let actual = breaker.explain()
    let window = expected.window(at: now)
    let isClosed = expected.state == .closed || expected.state == .metricsOnly
    let pairs: [(String, String, String)] = [
      ("state", "\(actual.state)", "\(expected.state)"),
      ("era", "\(actual.era)", "\(expected.era)"),
      (
        "remaining", "\(actual.remainingOpenTime?.nanoseconds ?? -1)",
        "\(expected.state == .open ? max(0, expected.openUntil - now) : -1)"
      ),
      ("calls", isClosed ? "\(actual.calls)" : "", isClosed ? "\(window.count)" : ""),
      (
        "failures", isClosed ? "\(actual.failures)" : "",
        isClosed ? "\(window.count { $0.failed })" : ""
      ),
      (
        "slow", isClosed ? "\(actual.slowCalls) \(actual.slowCallsInFlight)" : "",
        isClosed ? "\(window.count { $0.slow }) \(expected.overdue(at: now))" : ""
      ),
      (
        "in a row", isClosed ? "\(actual.consecutiveFailures)" : "",
        isClosed ? "\(expected.inARow)" : ""
      ),
      (
        "probes", "\(actual.probesInFlight) \(actual.probeSuccesses)",
        expected.state == .halfOpen
          ? "\(expected.flights.count) \(expected.successes)" : "0 \(expected.successes)"
      ),
    ]
    return pairs.first { $0.1 != $0.2 }.map { "\($0.0) is \($0.1), not \($0.2)" }
  }
}
