import ReliabilityCore
import Testing

/// Every curve under a cap of 30 seconds, by name.
let cappedCurves: [(name: String, curve: Backoff.Curve)] = [
  ("constant", .constant(.seconds(30))),
  ("linear", .linear(base: .seconds(1), step: .seconds(1))),
  ("exponential", .exponential(base: .seconds(1), factor: 2)),
  ("steep exponential", .exponential(base: .milliseconds(250), factor: 10)),
  ("fibonacci", .fibonacci(base: .seconds(1))),
  ("list", .list([.seconds(1), .seconds(5), .seconds(30)])),
]
let realJitters: [Jitter] = [
  .full, .equal, .decorrelated, .proportional(0.1), .proportional(0.5), .proportional(1),
]
let cap = Duration.seconds(30)
let hostileAttempts =
  [Int.min, -1, 0, 1, 2] + Array(62...68) + [92, 93, 94, 1_000, .max - 1, .max]

@Suite struct BackoffTests {
  @Test("P1: at any attempt every jitter of every curve leaves the cap and has variance")
  func jitterSurvivesTheCap() {
    for (name, curve) in cappedCurves {
      for jitter in realJitters {
        let backoff = Backoff(curve: curve, cap: cap, jitter: jitter)
        for attempt in [1, 2, 3, 5, 6, 8, 10, 12, 50] + hostileAttempts {
          var generator = SeededGenerator(seed: 7)
          let draws = (0..<500).map { _ in
            backoff.delay(afterAttempt: attempt, using: &generator)
          }
          let context: Comment = "\(name), \(jitter), attempt \(attempt), seed 7"
          #expect(draws.count { $0 == cap } <= 1, context)
          #expect(Set(draws).count > 490, context)
          #expect(draws.allSatisfy { $0 >= .zero && $0 <= cap }, context)
        }
      }
    }
  }

  @Test("P1: decorrelated delays of a long outage do not pile up at the cap")
  func decorrelatedDoesNotDegenerate() {
    var delays = Backoff.exponential(cap: cap, jitter: .decorrelated).delays(using: .seeded(3))
    let outage = (0..<10_000).map { _ in delays.next()! }
    #expect(outage.count { $0 == cap } < 3, "seed 3")
    #expect(outage.allSatisfy { $0 >= .seconds(1) && $0 <= cap }, "seed 3")
    // They still use the whole range, and are not stuck at its lower end.
    #expect(outage.count { $0 > .seconds(15) } > 1_000, "seed 3")
  }

  @Test("P1: decorrelated has a range even where the base is the cap")
  func decorrelatedWithBaseAtCap() {
    var delays = Backoff.exponential(base: cap, cap: cap, jitter: .decorrelated)
      .delays(using: .seeded(4))
    let draws = (0..<1_000).map { _ in delays.next()! }
    #expect(Set(draws).count > 990, "seed 4")
    #expect(draws.allSatisfy { $0 >= .seconds(10) && $0 <= cap }, "seed 4")
  }

  @Test(
    "P2: hostile attempt numbers never trap and never exceed the cap, for every curve and jitter")
  func hostileAttemptsSaturate() {
    let limits: [Duration?] = [cap, .nanoseconds(1), .seconds(Int64.max), nil]
    for (name, curve) in cappedCurves {
      for jitter in realJitters + [.none] {
        for limit in limits {
          var backoff = Backoff(curve: curve, cap: cap, jitter: jitter)
          backoff.cap = limit
          var generator = SeededGenerator(seed: 11)
          for attempt in hostileAttempts {
            let delay = backoff.delay(afterAttempt: attempt, using: &generator)
            let context: Comment =
              "\(name), \(jitter), cap \(String(describing: limit)), \(attempt)"
            #expect(delay >= .zero && delay <= limit ?? .nanoseconds(Int64.max), context)
            let chained = backoff.delay(
              afterAttempt: attempt, following: .seconds(Int64.max), using: &generator)
            #expect(chained >= .zero && chained <= limit ?? .nanoseconds(Int64.max), context)
          }
        }
      }
    }
  }

  @Test("P2: without jitter no curve ever shrinks, restarts or reaches zero (SmallRye's overflow)")
  func delaysNeverShrink() {
    for (name, curve) in cappedCurves {
      let backoff = Backoff(curve: curve, cap: .seconds(60), jitter: .none)
      var before = Duration.nanoseconds(1)
      for attempt in 1...200 {
        let delay = backoff.delayWithoutJitter(afterAttempt: attempt)
        #expect(delay >= before, "\(name), attempt \(attempt)")
        before = delay
      }
      #expect(backoff.delayWithoutJitter(afterAttempt: .max) >= before, "\(name)")
    }
  }

  @Test("Settings that validate() refuses still give a delay between zero and the cap")
  func refusedSettingsAreHarmless() {
    let curves: [Backoff.Curve] = [
      .constant(.seconds(-1)), .linear(base: .seconds(-1), step: .seconds(-5)),
      .exponential(base: .seconds(1), factor: .nan),
      .exponential(base: .seconds(1), factor: .infinity),
      .exponential(base: .seconds(1), factor: -.infinity),
      .exponential(base: .seconds(-9), factor: 2),
      .exponential(base: .seconds(Int64.max), factor: 1e300),
      .fibonacci(base: .seconds(-1)), .fibonacci(base: .seconds(Int64.max)), .list([]),
    ]
    let jitters = realJitters + [.none, .proportional(.nan), .proportional(-3), .proportional(9)]
    for curve in curves {
      for jitter in jitters {
        var backoff = Backoff.default
        backoff.curve = curve
        backoff.jitter = jitter
        var generator = SeededGenerator(seed: 5)
        for limit: Duration? in [.seconds(30), .zero, .seconds(-4), nil] {
          backoff.cap = limit
          for attempt in hostileAttempts {
            let delay = backoff.delay(afterAttempt: attempt, using: &generator)
            #expect(delay >= .zero && delay <= max(.zero, limit ?? .nanoseconds(Int64.max)))
          }
        }
      }
    }
  }

  @Test("Curves give their series")
  func series() {
    func first(_ count: Int, _ backoff: Backoff) -> [Duration] {
      (1...count).map { backoff.delayWithoutJitter(afterAttempt: $0) }
    }
    #expect(
      first(3, .constant(.milliseconds(1500))) == Array(repeating: .milliseconds(1500), count: 3))
    #expect(
      first(4, .linear(base: .seconds(1), step: .milliseconds(500), cap: .seconds(2)))
        == [.seconds(1), .milliseconds(1500), .seconds(2), .seconds(2)])
    #expect(first(3, .linear(base: .seconds(2))) == [.seconds(2), .seconds(4), .seconds(6)])
    #expect(first(6, .default) == [1, 2, 4, 8, 16, 30].map { .seconds($0) })
    #expect(
      first(4, .exponential(base: .milliseconds(100), factor: 1.5, cap: .seconds(9)))
        == [.milliseconds(100), .milliseconds(150), .milliseconds(225), .microseconds(337_500)])
    #expect(first(9, .fibonacci()) == [1, 1, 2, 3, 5, 8, 13, 21, 30].map { .seconds($0) })
    #expect(
      first(4, .list([.zero, .seconds(1), .seconds(5)]))
        == [.zero, .seconds(1), .seconds(5), .seconds(5)])
    #expect(first(2, .none) == [.zero, .zero])
  }

  @Test("An iterator gives what the plan gives, without end")
  func iterator() {
    let delays = Backoff.list([.seconds(1), .seconds(2)]).delays()
    #expect(Array(delays.prefix(4)) == [.seconds(1), .seconds(2), .seconds(2), .seconds(2)])
    let jittered = Backoff.default.delays(using: .seeded(9)).prefix(5)
    #expect(Array(jittered) == Array(Backoff.default.delays(using: .seeded(9)).prefix(5)))
  }
}

@Suite struct BackoffValidationTests {
  /// The field `validate()` complains about.
  func refusedField(_ change: (inout Backoff) -> Void) -> String? {
    var backoff = Backoff.default
    change(&backoff)
    do {
      try backoff.validate()
      return nil
    } catch {
      return error.field
    }
  }

  @Test("P50: NaN, infinite, negative and above-cap settings are refused by field")
  func refusals() {
    #expect(refusedField { $0.curve = .exponential(base: .seconds(1), factor: .nan) } == "factor")
    #expect(
      refusedField { $0.curve = .exponential(base: .seconds(1), factor: .infinity) } == "factor")
    #expect(refusedField { $0.curve = .exponential(base: .seconds(1), factor: 0.5) } == "factor")
    #expect(refusedField { $0.curve = .exponential(base: .zero, factor: 2) } == "base")
    #expect(refusedField { $0.curve = .exponential(base: .seconds(31), factor: 2) } == "base")
    #expect(refusedField { $0.curve = .linear(base: .seconds(-1), step: .zero) } == "base")
    #expect(refusedField { $0.curve = .linear(base: .seconds(1), step: .seconds(-1)) } == "step")
    #expect(refusedField { $0.curve = .fibonacci(base: .seconds(60)) } == "base")
    #expect(refusedField { $0.curve = .constant(.seconds(-1)) } == "delay")
    #expect(refusedField { $0.curve = .list([]) } == "delays")
    #expect(refusedField { $0.curve = .list([.zero, .seconds(-1)]) } == "delays[1]")
    #expect(refusedField { $0.cap = .zero } == "cap")
    #expect(refusedField { $0.cap = .seconds(-1) } == "cap")
    #expect(refusedField { _ in } == nil)
    #expect(refusedField { $0.curve = .constant(.zero) } == nil)
  }

  @Test("P49: a jitter that could make a delay negative is refused")
  func jitterAboveOne() {
    for fraction in [-0.1, 0, 1.01, .nan, .infinity] {
      #expect(refusedField { $0.jitter = .proportional(fraction) } == "jitter", "\(fraction)")
    }
    #expect(refusedField { $0.jitter = .proportional(1) } == nil)
  }

  @Test("A bad value in code traps")
  func badValueInCodeTraps() async {
    await #expect(processExitsWith: .failure) { _ = Backoff.exponential(factor: .nan) }
    await #expect(processExitsWith: .failure) { _ = Backoff.linear(base: .seconds(31)) }
    await #expect(processExitsWith: .failure) {
      _ = Backoff.constant(.seconds(1), jitter: .proportional(2))
    }
  }
}

@Suite struct BackoffVectorTests {
  @Test("The table in the documentation of cenkalti/backoff: 0.5 s, factor 1.5, half more or less")
  func cenkaltiTable() {
    // Milliseconds: interval, lowest, highest; truncated there to three digits.
    let table: [(Double, Double, Double)] = [
      (500, 250, 750), (750, 375, 1_125), (1_125, 562, 1_687), (1_687, 843.5, 2_530),
      (2_530, 1_265, 3_795), (3_795, 1_897, 5_692), (5_692, 2_846, 8_538), (8_538, 4_269, 12_807),
      (12_807, 6_403, 19_210),
    ]
    let backoff = Backoff.exponential(
      base: .milliseconds(500), factor: 1.5, cap: .seconds(60), jitter: .proportional(0.5))
    var generator = SeededGenerator(seed: 21)
    for (index, row) in table.enumerated() {
      let plain = backoff.delayWithoutJitter(afterAttempt: index + 1) / .milliseconds(1)
      #expect(abs(plain - row.0) < row.0 * 0.002)
      let draws = (0..<2_000).map { _ in
        backoff.delay(afterAttempt: index + 1, using: &generator) / .milliseconds(1)
      }
      #expect(abs(draws.min()! - row.1) < row.0 * 0.01, "seed 21")
      #expect(abs(draws.max()! - row.2) < row.0 * 0.01, "seed 21")
      #expect(abs(draws.reduce(0, +) / 2_000 - row.0) < row.0 * 0.03, "seed 21")
    }
  }

  @Test("The formulas of the AWS article, fed with the same random numbers")
  func awsFormulas() {
    let (base, cap) = (100.0, 10_000.0)
    func backoff(_ jitter: Jitter) -> Backoff {
      .exponential(base: .milliseconds(100), cap: .milliseconds(10_000), jitter: jitter)
    }
    for attempt in 1...12 {
      let ceiling = min(cap, base * Double(1 << (attempt - 1)))
      for fraction in [0, 0.25, 0.5, 0.75] {
        var fixed = FixedGenerator(fraction)
        let full = backoff(.full).delay(afterAttempt: attempt, using: &fixed) / .milliseconds(1)
        #expect(abs(full - ceiling * fraction) < 0.001)
        let equal = backoff(.equal).delay(afterAttempt: attempt, using: &fixed) / .milliseconds(1)
        #expect(abs(equal - ceiling / 2 - ceiling / 2 * fraction) < 0.001)
      }
    }
    // sleep = random(base, previous * 3), here with the cap applied to the range and not to the result.
    for fraction in [0, 0.25, 0.5, 0.75] {
      var fixed = FixedGenerator(fraction)
      var expected = base
      var previous: Duration?
      for attempt in 1...20 {
        let high = min(cap, expected * 3)
        expected = base + (high - base) * fraction
        previous = backoff(.decorrelated).delay(
          afterAttempt: attempt, following: previous, using: &fixed)
        #expect(abs(previous! / .milliseconds(1) - expected) < 0.001, "attempt \(attempt)")
      }
    }
  }
}

/// Draws practically the same place of every range.
///
/// It moves on by one bit, because the standard library rejects some
/// numbers to be exactly fair, and would ask a constant generator for ever.
struct FixedGenerator: RandomNumberGenerator {
  var bits: UInt64

  init(_ fraction: Double) { bits = UInt64(fraction * 0x1p64) }

  mutating func next() -> UInt64 {
    bits += 1
    return bits
  }
}
