import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import RateLimiting

private let millisecond: Int64 = 1_000_000
private let second: Int64 = 1_000_000_000

/// A server that does so many things at once and makes the others wait, and clients who keep as many calls going as they may.
private struct Server {
  var workers: Int
  var workTime: Int64 = 500 * millisecond
  var limit: GradientLimit
  var now: Int64 = 0
  private var inFlight: [(start: Int64, end: Int64)] = []
  private(set) var lowest = Int.max
  private(set) var highest = 0

  init(workers: Int, _ settings: AdaptiveLimit) {
    self.workers = workers
    limit = GradientLimit(settings, now: 0)
  }

  /// Runs for a time with so many callers who want to call all the time.
  mutating func run(for time: Int64, callers: Int = .max) {
    let end = now + time
    // What a probe that happens to be under way allows is not what was found.
    let found = Int(limit.estimate)
    (lowest, highest) = (found, found)
    while now < end {
      while inFlight.count < min(limit.limit, callers) {
        // With more calls than workers everybody takes longer.
        let load = Double(inFlight.count + 1) / Double(workers)
        inFlight.append((now, now + Int64(Double(workTime) * max(1, load))))
      }
      let next = inFlight.indices.min { inFlight[$0].end < inFlight[$1].end }!
      let call = inFlight[next]
      now = max(now, call.end)
      limit.end(.success, start: call.start, inFlight: inFlight.count, now: now)
      inFlight.remove(at: next)
      if limit.probeEnd == nil {
        lowest = min(lowest, limit.limit)
        highest = max(highest, limit.limit)
      }
    }
  }
}

@Suite(.offThePool) struct GradientLimitTests {
  private func settings(_ change: (inout AdaptiveLimit) -> Void = { _ in }) -> AdaptiveLimit {
    var settings = AdaptiveLimit()
    settings.randomness = .seeded(1)
    change(&settings)
    return settings
  }

  /// A window with so many samples of one kind.
  private func feed(
    _ limit: inout GradientLimit, _ outcome: ConcurrencyLimiter.Outcome, time: Int64 = millisecond,
    inFlight: Int, at now: inout Int64, samples: Int = 10
  ) {
    for _ in 0..<samples {
      limit.end(outcome, start: now - time, inFlight: inFlight, now: now)
    }
    now += second
    limit.end(outcome, start: now - time, inFlight: inFlight, now: now)
  }

  @Test("The formula, step by step: headroom while calls are fast, half at most when they are slow")
  func formula() {
    var limit = GradientLimit(settings { $0.probeInterval = nil }, now: 0)
    var now: Int64 = 0
    feed(&limit, .success, inFlight: 20, at: &now)
    // gradient 1: 20 + 4 × 0.2
    #expect(abs(limit.estimate - 20.8) < 1e-9)
    feed(&limit, .success, time: millisecond, inFlight: 20, at: &now)
    #expect(abs(limit.estimate - 21.6) < 1e-9)
    // Ten times as slow: usual = (1 + 1 + 10) / 3 = 4 ms, gradient = 1.5 × 4 / 10 = 0.6.
    feed(&limit, .success, time: 10 * millisecond, inFlight: 21, at: &now)
    let expected = 21.6 * 0.8 + (21.6 * 0.6 + 4 * 0.2) * 0.2
    #expect(abs(limit.estimate - expected) < 1e-9)
    // The gradient never takes away more than half, so the smoothed limit no more than a tenth.
    feed(&limit, .success, time: 1000 * second, inFlight: 21, at: &now)
    #expect(limit.estimate >= expected * 0.9 - 1e-9)
  }

  @Test("P38: the limit moves only when it was really used, whatever calls say")
  func movesOnlyWhenUsed() {
    var limit = GradientLimit(settings(), now: 0)
    var now: Int64 = 0
    for round in 0..<300 {
      feed(&limit, round % 3 == 0 ? .dropped : .success, inFlight: 9, at: &now)
      feed(&limit, .success, time: 50 * millisecond, inFlight: 9, at: &now)
    }
    #expect(limit.limit == 20)
    feed(&limit, .dropped, inFlight: 10, at: &now)
    #expect(limit.estimate == 18)
  }

  @Test("P38: everything fails: the limit falls to its floor of one, not below, and recovers")
  func floorAndRecovery() {
    var limit = GradientLimit(settings { $0.probeInterval = nil }, now: 0)
    var now: Int64 = 0
    for _ in 0..<100 { feed(&limit, .dropped, inFlight: max(1, limit.limit), at: &now) }
    #expect(limit.limit == 1 && limit.estimate == 1)
    for _ in 0..<400 { feed(&limit, .success, inFlight: limit.limit, at: &now) }
    #expect(limit.limit == 200)
  }

  @Test("Slow calls alone, without a drop, also bring the limit down to one")
  func gradientReachesTheFloor() {
    var limit = GradientLimit(settings { $0.probeInterval = nil }, now: 0)
    var now: Int64 = 0
    for _ in 0..<20 { feed(&limit, .success, inFlight: limit.limit, at: &now) }
    var time = millisecond
    for _ in 0..<60 {
      // Slower and slower, faster than the usual time follows.
      time += time / 2
      feed(&limit, .success, time: min(time, 100 * second), inFlight: limit.limit, at: &now)
    }
    #expect(limit.limit == 1)
  }

  @Test(
    "Ignored calls, cancelled ones among them, neither move the limit nor fill a window"
  )
  func ignoredCounts() {
    var limit = GradientLimit(settings(), now: 0)
    var now: Int64 = 0
    for _ in 0..<50 { feed(&limit, .ignored, time: 99 * second, inFlight: 20, at: &now) }
    #expect(limit.estimate == 20 && limit.usualTime == 0)
    feed(&limit, .success, inFlight: 20, at: &now)
    #expect(limit.usualTime == millisecond)
  }

  @Test("A burst of timeouts in one window costs one step, not one for each")
  func oneStepAWindow() {
    var limit = GradientLimit(settings(), now: 0)
    var now: Int64 = 0
    feed(&limit, .dropped, inFlight: 20, at: &now, samples: 500)
    #expect(limit.limit == 18)
  }

  @Test(
    "Finds about what a server can do at once, whatever it began with",
    arguments: [1, 20, 200])
  func findsTheCapacity(initial: Int) {
    var server = Server(workers: 40, settings { $0.initial = initial })
    server.run(for: 600 * second)
    server.run(for: 600 * second)
    // Up to the tolerance of 1.5 calls wait without anybody minding.
    #expect(server.lowest >= 32 && server.highest <= 80, "\(server.lowest)...\(server.highest)")
  }

  @Test(
    "P38: an hour of overload makes no limit drift, as the usual time is probed anew")
  func doesNotDrift() {
    func highest(probing: Bool) -> Int {
      var server = Server(
        workers: 20,
        settings {
          if !probing { $0.probeInterval = nil }
        })
      server.run(for: 3600 * second)
      server.run(for: 300 * second)
      return server.highest
    }
    #expect(highest(probing: true) <= 50)
    #expect(highest(probing: false) >= 150, "without probes it drifts: the test can tell")
  }

  @Test("A server that becomes half as strong gets half as much, and later more again")
  func follows() {
    var server = Server(workers: 60, settings())
    server.run(for: 900 * second)
    let before = server.highest
    server.workers = 15
    server.run(for: 900 * second)
    server.run(for: 120 * second)
    #expect(server.highest < before / 2)
    server.workers = 60
    server.run(for: 900 * second)
    server.run(for: 120 * second)
    #expect(server.lowest >= 45)
  }

  @Test(
    "A probe is a quarter of the limit for ten calls, and ends by itself when none come"
  )
  func probes() {
    var limit = GradientLimit(settings(), now: 0)
    var now: Int64 = 0
    while limit.probeEnd == nil && now < 100 * second {
      feed(&limit, .success, time: 20 * millisecond, inFlight: limit.limit, at: &now)
    }
    #expect(now >= 54 * second && now <= 67 * second)
    let quarter = limit.limit
    #expect(quarter == Int(limit.estimate) / 4)
    for _ in 0..<50 {
      limit.end(.success, start: now - 1, inFlight: 60, now: now + 5)
      limit.end(.ignored, start: now, inFlight: 60, now: now + 5)
    }
    #expect(limit.probeEnd != nil, "those began before it")
    for call in 0..<10 {
      #expect(limit.limit == quarter, "\(call)")
      limit.end(.success, start: now, inFlight: 3, now: now + 5 * millisecond)
    }
    #expect(limit.probeEnd == nil && limit.usualTime == 5 * millisecond)
    #expect(limit.limit > 3 * quarter)
    now += second
    while limit.probeEnd == nil {
      feed(&limit, .success, time: 5 * millisecond, inFlight: limit.limit, at: &now)
    }
    limit.giveUpProbe(now: limit.probeEnd! - 1)
    #expect(limit.probeEnd != nil)
    limit.giveUpProbe(now: limit.probeEnd!)
    #expect(limit.probeEnd == nil && limit.usualTime == 5 * millisecond)
  }

  @Test(
    "Clocks that jump and calls of any length never trap",
    arguments: [1, 2, 3] as [UInt64])
  func extremes(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var limit = GradientLimit(
      settings {
        $0.window = .milliseconds(1)
        $0.windowSamples = 1
        $0.probeInterval = .milliseconds(10)
      }, now: 0)
    let times: [Int64] = [0, 1, -1, millisecond, second, -second, 1 << 60, -(1 << 60)]
    for _ in 0..<50_000 {
      let now = times.randomElement(using: &random)!
      limit.end(
        ConcurrencyLimiter.Outcome.allCases.randomElement(using: &random)!,
        start: times.randomElement(using: &random)!, inFlight: .random(in: 1...300, using: &random),
        now: now)
      if !(1...200).contains(limit.limit) { Issue.record("seed \(seed): \(limit.limit)") }
    }
  }
}
