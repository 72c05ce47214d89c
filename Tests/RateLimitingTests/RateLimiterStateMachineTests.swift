import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import RateLimiting

/// Tests speak of durations, the machine of ticks.
extension RateLimiterStateMachine {
  fileprivate mutating func tryAcquire(_ permits: Int, now: Duration) -> RateLimitDecision {
    tryAcquire(permits, now: RateTicks.of(now))
  }
  fileprivate mutating func acquire(
    _ permits: Int, deadline: Duration, now: Duration, waiter: Waiter
  ) -> Admission {
    acquire(
      permits, deadline: RateTicks.of(deadline), now: RateTicks.of(now), waiter: waiter)
  }
  fileprivate mutating func serve(now: Duration) -> [Waiter] { serve(now: RateTicks.of(now)) }
  fileprivate func nextStart(now: Duration) -> Duration? {
    nextStart(now: RateTicks.of(now)).map { RateTicks.duration($0) }
  }
  fileprivate mutating func giveBack(_ permits: Int, now: Duration) {
    giveBack(permits, now: RateTicks.of(now))
  }
}

/// The obvious limiter: a bucket a limit that fills as time passes, and an array of those who wait.
private struct Reference {
  struct Bucket {
    var level: Duration
    var interval: Duration
    var size: Duration
  }

  var buckets: [Bucket]
  var now: Duration
  var line: [(id: Int, permits: Int)] = []

  init(_ limits: [RateLimit], now: Duration) {
    buckets = limits.map { limit in
      // Whole sixteenths of a nanosecond, rounded up.
      let ticks = (limit.period.nanoseconds * 16 + Int64(limit.permits) - 1) / Int64(limit.permits)
      let interval = Duration(attoseconds: Int128(ticks) * 62_500_000)
      return Bucket(level: interval * limit.burst, interval: interval, size: interval * limit.burst)
    }
    self.now = now
  }

  mutating func advance(_ time: Duration) {
    now += time
    for i in buckets.indices {
      buckets[i].level = min(buckets[i].size, buckets[i].level + time)
    }
  }

  func has(_ permits: Int) -> Bool {
    buckets.allSatisfy { $0.level >= $0.interval * permits }
  }

  mutating func take(_ permits: Int) {
    for i in buckets.indices { buckets[i].level -= buckets[i].interval * permits }
  }

  mutating func tryAcquire(_ permits: Int) -> Bool {
    guard has(permits), line.isEmpty || permits == 0 else { return false }
    take(permits)
    return true
  }

  mutating func serve() -> [Int] {
    var served: [Int] = []
    while let first = line.first, has(first.permits) {
      take(first.permits)
      served.append(first.id)
      line.removeFirst()
    }
    return served
  }

  mutating func giveBack(_ permits: Int) {
    for i in buckets.indices {
      buckets[i].level = min(buckets[i].size, buckets[i].level + buckets[i].interval * permits)
    }
  }
}

@Suite(.offThePool) struct RateLimiterStateMachineTests {
  private func machine(
    _ limits: RateLimit..., maximumWaiters: Int = 100, now: Duration = .zero
  ) -> RateLimiterStateMachine<Int> {
    RateLimiterStateMachine(
      RateRules(limits), full: Array(repeating: RateTicks.of(now), count: limits.count),
      maximumWaiters: maximumWaiters)
  }

  @Test func aBurstPassesAndThenOnePermitComesBackPerInterval() {
    var machine = machine(RateLimit(60, per: .seconds(60), burst: 10))
    for left in (0..<10).reversed() {
      let decision = machine.tryAcquire(1, now: .zero)
      #expect(decision.isAllowed && decision.remaining == left && decision.retryAfter == .zero)
    }
    let refused = machine.tryAcquire(1, now: .milliseconds(400))
    #expect(!refused.isAllowed && refused.retryAfter == .milliseconds(600))
    let refusedFive = machine.tryAcquire(5, now: .milliseconds(400))
    #expect(refusedFive.retryAfter == .milliseconds(4600))
    #expect(machine.tryAcquire(1, now: .seconds(1)).isAllowed)
    #expect(!machine.tryAcquire(1, now: .seconds(1)).isAllowed)
    #expect(machine.tryAcquire(10, now: .seconds(100)).isAllowed)
  }

  @Test("P35: no tokens appear from a long pause, nor from a clock that stands still or steps back")
  func noPhantomTokens() {
    var machine = machine(RateLimit(10, per: .seconds(1)))
    #expect(machine.tryAcquire(10, now: .seconds(100_000_000)).isAllowed)
    for back in [0, 1, 5, 1_000_000] {
      let decision = machine.tryAcquire(1, now: .seconds(100_000_000 - back))
      #expect(!decision.isAllowed)
    }
    #expect(machine.tryAcquire(1, now: .seconds(100_000_000) + .milliseconds(100)).isAllowed)
  }

  @Test("P34: what is given back is there again, and never more than there was")
  func givingBack() {
    var machine = machine(RateLimit(1, per: .seconds(10), burst: 3))
    #expect(machine.tryAcquire(3, now: .zero).isAllowed)
    machine.giveBack(2, now: .zero)
    #expect(machine.tryAcquire(2, now: .zero).isAllowed)
    #expect(!machine.tryAcquire(1, now: .zero).isAllowed)
    machine.giveBack(Int.max, now: .zero)
    #expect(machine.tryAcquire(3, now: .zero).isAllowed)
    #expect(!machine.tryAcquire(1, now: .zero).isAllowed)
  }

  @Test func aRequestCountsAgainstEveryLimitOrNone() {
    var machine = machine(
      RateLimit(10, per: .seconds(1)), RateLimit(15, per: .seconds(3600)))
    #expect(machine.tryAcquire(10, now: .zero).isAllowed)
    #expect(machine.tryAcquire(5, now: .seconds(1)).remaining == 0)
    let refused = machine.tryAcquire(1, now: .seconds(2))
    #expect(!refused.isAllowed && refused.retryAfter == .seconds(238))
    // The first limit was not charged for the refusal.
    #expect(machine.tryAcquire(10, now: .seconds(3 * 3600)).isAllowed)
  }

  @Test func moreThanTheBurstIsNeverAllowedAndNothingAlways() {
    var machine = machine(RateLimit(5, per: .seconds(1), burst: 2))
    #expect(machine.tryAcquire(3, now: .zero).retryAfter == nil)
    #expect(machine.tryAcquire(Int.max, now: .zero).retryAfter == nil)
    #expect(machine.tryAcquire(2, now: .zero).isAllowed)
    #expect(machine.tryAcquire(0, now: .zero).isAllowed)
    guard
      case .refused(.exceedsBurst, nil) = machine.acquire(
        3, deadline: .seconds(100), now: .zero, waiter: 1)
    else { return #expect(Bool(false)) }
  }

  @Test("P33: a wait that can't end before the deadline is refused with the time it would take")
  func refusesWhatTheDeadlineCannotMeet() {
    var machine = machine(RateLimit(1, per: .seconds(1)))
    for id in 0..<4 {
      _ = machine.acquire(1, deadline: .seconds(10), now: .zero, waiter: id)
    }
    #expect(machine.waiting == 3)
    guard
      case .refused(.deadline, let wait) = machine.acquire(
        1, deadline: .milliseconds(3999), now: .zero, waiter: 9)
    else { return #expect(Bool(false)) }
    #expect(wait == RateTicks.of(.seconds(4)))
    guard case .waiting = machine.acquire(1, deadline: .seconds(4), now: .zero, waiter: 9) else {
      return #expect(Bool(false))
    }
  }

  @Test("P37: nobody passes the line, and who leaves it moves the others up")
  func firstComeFirstServed() throws {
    var machine = machine(RateLimit(1, per: .seconds(1), burst: 5))
    #expect(machine.tryAcquire(5, now: .zero).isAllowed)
    guard
      case .waiting(let large) = machine.acquire(
        5, deadline: .seconds(99), now: .zero, waiter: 50),
      case .waiting = machine.acquire(1, deadline: .seconds(99), now: .zero, waiter: 1)
    else { return #expect(Bool(false)) }
    #expect(!machine.tryAcquire(1, now: .seconds(2)).isAllowed)
    #expect(machine.tryAcquire(1, now: .seconds(2)).retryAfter == .seconds(5))
    #expect(machine.serve(now: .seconds(2)).isEmpty)
    #expect(machine.nextStart(now: .seconds(2)) == .seconds(5))
    #expect(machine.leave(large) == 50)
    #expect(machine.leave(large) == nil)
    #expect(machine.serve(now: .seconds(2)) == [1])
    #expect(machine.nextStart(now: .seconds(2)) == nil)
  }

  @Test func aFullLineRefuses() {
    var machine = machine(RateLimit(1, per: .seconds(1)), maximumWaiters: 1)
    for id in 0..<2 { _ = machine.acquire(1, deadline: .seconds(99), now: .zero, waiter: id) }
    guard
      case .refused(.queueFull, RateTicks.of(.seconds(2))?) = machine.acquire(
        1, deadline: .seconds(99), now: .zero, waiter: 3)
    else { return #expect(Bool(false)) }
  }

  @Test(
    "Agrees with a bucket that is filled by hand, over 200,000 random operations",
    arguments: [1, 2, 3, 4] as [UInt64])
  func agreesWithTheReference(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let limits =
      (0..<Int.random(in: 1...3, using: &random)).map { _ in
        RateLimit(
          Int.random(in: 1...50, using: &random),
          per: .milliseconds(Int.random(in: 1...5_000, using: &random)),
          burst: Int.random(in: 1...20, using: &random))
      }
    let start = Duration.seconds(Int.random(in: -1000...1000, using: &random))
    var reference = Reference(limits, now: start)
    var machine = RateLimiterStateMachine<Int>(
      RateRules(limits), full: limits.map { _ in RateTicks.of(start) }, maximumWaiters: 50)
    let largest = limits.map(\.burst).min() ?? 0
    var tickets: [(ticket: LineTicket, id: Int)] = []
    var differences = 0
    for id in 0..<50_000 {
      let permits = Int.random(in: 0...largest, using: &random)
      let now = reference.now
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<3:
        if machine.tryAcquire(permits, now: now).isAllowed != reference.tryAcquire(permits) {
          differences += 1
        }
      case 3..<5:
        let mayPass = reference.has(permits) && (reference.line.isEmpty || permits == 0)
        switch machine.acquire(permits, deadline: .farAway, now: now, waiter: id) {
        case .granted:
          if !mayPass { differences += 1 }
          reference.take(permits)
        case .waiting(let ticket):
          if mayPass { differences += 1 }
          tickets.append((ticket, id))
          reference.line.append((id, permits))
        case .refused:
          if reference.line.count < 50 { differences += 1 }
        }
      case 5 where !tickets.isEmpty:
        let chosen = tickets.remove(at: Int.random(in: 0..<tickets.count, using: &random))
        let index = reference.line.firstIndex { $0.id == chosen.id }
        if machine.leave(chosen.ticket) != index.map({ reference.line[$0].id }) { differences += 1 }
        if let index { reference.line.remove(at: index) }
      case 6:
        machine.giveBack(permits, now: now)
        reference.giveBack(permits)
      case 7 where id % 100 == 0:
        // The machine slept.
        reference.advance(.seconds(3600))
      default:
        reference.advance(.microseconds(Int.random(in: 0...400_000, using: &random)))
      }
      if machine.serve(now: reference.now) != reference.serve() { differences += 1 }
      if machine.waiting != reference.line.count { differences += 1 }
    }
    #expect(differences == 0, "seed \(seed), limits \(limits)")
  }

  @Test func extremeLimitsAndTimesNeverTrap() {
    let extremes = [
      RateLimit(1_000_000_000, per: .microseconds(1), burst: 1_000_000_000),
      RateLimit(1, per: .seconds(366 * 86_400), burst: 1),
      RateLimit(7, per: .seconds(3), burst: 1),
    ]
    for limit in extremes {
      var machine = machine(limit)
      for now in [Duration.zero, .seconds(-(1 << 40)), .seconds(1 << 40), .farAway] {
        for permits in [0, 1, limit.burst, limit.burst, Int.max] {
          _ = machine.tryAcquire(permits, now: now).remaining
          _ = machine.acquire(permits, deadline: .farAway, now: now, waiter: 0)
          machine.giveBack(permits, now: now)
        }
        _ = machine.serve(now: now)
        _ = machine.nextStart(now: now)
      }
    }
  }
}

@Suite(.offThePool) struct WaitingLineTests {
  @Test(arguments: [1, 2, 3] as [UInt64])
  func agreesWithAnArray(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var line = WaitingLine<Int>()
    var array: [(ticket: LineTicket, value: Int)] = []
    for value in 0..<20_000 {
      switch Int.random(in: 0..<5, using: &random) {
      case 0..<2: array.append((line.append(value), value))
      case 2:
        #expect(line.removeFirst() == (array.isEmpty ? nil : array.removeFirst().value))
      default:
        guard let index = array.indices.randomElement(using: &random) else { continue }
        let chosen = array.remove(at: index)
        #expect(line.remove(chosen.ticket) == chosen.value)
        #expect(line.remove(chosen.ticket) == nil)
      }
      #expect(line.count == array.count && line.first == array.first?.value)
    }
  }
}
