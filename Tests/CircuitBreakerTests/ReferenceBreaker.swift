@testable import CircuitBreaker

/// What a breaker is supposed to do, in the most obvious way: everything that happened is kept and looked through.
struct ReferenceBreaker {
  typealias State = CircuitBreaker.State

  let rules: BreakerRules
  var state = State.closed
  var era = 1
  var results: [(time: Int64, failed: Bool, slow: Bool)] = []
  var flights: [Int: Int64] = [:]  // of this era, by the number of the ticket: when it began
  var (inARow, successes, openings) = (0, 0, 0)
  var (openTime, openUntil): (Int64, Int64) = (0, 0)

  init(rules: BreakerRules) { self.rules = rules }

  mutating func go(_ next: State) {
    (state, era, flights, successes) = (next, era + 1, [:], 0)
    if next == .closed || next == .metricsOnly { (results, inARow, openings) = ([], 0, 0) }
  }

  mutating func open(for time: Int64? = nil, at now: Int64) {
    openTime = time ?? rules.openTime.delayWithoutJitter(afterAttempt: openings).nanoseconds
    openUntil = now + openTime
    go(.open)
  }

  func window(at now: Int64) -> [(time: Int64, failed: Bool, slow: Bool)] {
    switch rules.window {
    case .none: return []
    case .count(let size): return results.suffix(size)
    case .time(let width, let count):
      func bucket(_ time: Int64) -> Int64 { (time - BreakerTime.distantPast) / width }
      return results.filter { bucket($0.time) > bucket(now) - Int64(count) }
    }
  }

  func overdue(at now: Int64) -> Int {
    rules.followsCalls ? flights.values.count { $0 + rules.slowDuration <= now } : 0
  }

  func isTooBad(at now: Int64) -> Bool {
    let window = window(at: now)
    let late = overdue(at: now)
    func reached(_ bad: Int, _ all: Int, _ rate: Double) -> Bool {
      bad > 0 && all >= rules.minimumVolume && Double(bad) >= rate * Double(all)
    }
    return inARow >= rules.consecutiveFailures
      || reached(window.count { $0.failed }, window.count, rules.failureRate)
      || reached(window.count { $0.slow } + late, window.count + late, rules.slowCallRate)
  }

  mutating func letLeasesEnd(at now: Int64) {
    if state == .halfOpen { flights = flights.filter { $0.value + rules.probeLease > now } }
  }

  mutating func pass(to now: Int64) {
    letLeasesEnd(at: now)
    if state == .open, now >= openUntil {
      go(.halfOpen)
    } else if state == .halfOpen && overdue(at: now) > 0
      || state == .closed && rules.followsCalls && isTooBad(at: now)
    {
      openings += 1
      open(at: now)
    }
  }

  mutating func admit(_ ticket: Int, at now: Int64) -> Bool {
    pass(to: now)
    switch state {
    case .open, .forcedOpen: return false
    case .halfOpen where flights.count >= rules.probePermits: return false
    case .disabled: break
    case .halfOpen: flights[ticket] = now
    case .closed, .metricsOnly: if rules.followsCalls { flights[ticket] = now }
    }
    return true
  }

  mutating func end(
    _ ticket: Int, era: Int, _ verdict: CircuitBreaker.Verdict, at now: Int64
  ) {
    guard era == self.era else { return }
    letLeasesEnd(at: now)
    let isFollowed = state == .halfOpen || (state != .disabled && rules.followsCalls)
    let began = flights.removeValue(forKey: ticket)
    if isFollowed && began == nil || verdict.outcome == .neither { return }
    let isSlow = rules.followsCalls && began.map { now - $0 >= rules.slowDuration } ?? false
    var hint: Int64?
    if case .throttled(let hinted) = verdict.outcome, let hinted, hinted > 0 {
      hint = min(hinted, rules.longestServerHint)
    }
    if state == .closed || state == .metricsOnly {
      inARow = verdict == .success ? 0 : inARow + 1
      results.append((now, verdict != .success, isSlow))
      if state == .closed, isTooBad(at: now) {
        openings += 1
        open(for: hint, at: now)
      }
    } else if state == .halfOpen {
      if verdict == .success, !isSlow {
        successes += 1
        if successes == rules.probeSuccesses { go(.closed) }
      } else {
        let isThrottled = if case .throttled = verdict { true } else { false }
        openings = isThrottled ? max(1, openings) : openings + 1
        open(for: hint, at: now)
      }
    }
  }
}
