internal import ReliabilityCore

/// The rules of a rate limiter, without locks, tasks or timers: who may pass, who waits, and when the first one may go on.
///
/// Waiting takes no permits in advance. The line is served in order as permits come back, so one who leaves it gives back
/// exactly what it held, nothing, and everyone behind moves up. A request that does not want to wait never passes those who
/// do. Times are in ``RateTicks``.
struct RateLimiterStateMachine<Waiter: Sendable>: Sendable {
  /// What comes of a request that is willing to wait.
  enum Admission {
    case granted
    case refused(RateLimitedError.Code, wait: Int64?)
    /// In the line; `ticket` is how to leave it.
    case waiting(ticket: LineTicket)
  }

  private struct Place: Sendable {
    var waiter: Waiter
    var permits: Int
  }

  private let rules: RateRules
  /// When each limit's permits will all be back.
  private var firstFull: Int64
  private var otherFulls: [Int64]
  private var line = WaitingLine<Place>()
  /// The sum of what the line waits for.
  private var permitsAwaited = 0
  private let maximumWaiters: Int

  init(_ rules: RateRules, full: [Int64], maximumWaiters: Int) {
    self.rules = rules
    firstFull = full[0]
    otherFulls = Array(full.dropFirst())
    self.maximumWaiters = maximumWaiters
  }

  var waiting: Int { line.count }

  /// When each limit's permits will all be back, in the order of the limits.
  var full: [Int64] { [firstFull] + otherFulls }

  /// Takes permits now or not at all.
  mutating func tryAcquire(_ permits: Int, now: Int64) -> RateLimitDecision {
    if line.isEmpty, let decision = rules.takeFromOnly(permits, full: &firstFull, now: now) {
      return decision
    }
    guard permits <= rules.largestRequest else { return decision(false, wait: nil, now: now) }
    // Nothing is had without standing in line.
    if permits > 0 {
      let start = start(of: permits, now: now)
      guard start <= now && line.isEmpty else {
        return decision(false, wait: start - now, now: now)
      }
      take(permits, now: now)
    }
    return decision(true, wait: 0, now: now)
  }

  /// Takes permits now, or joins the line, unless the wait would end after the deadline.
  mutating func acquire(
    _ permits: Int, deadline: Int64, now: Int64, waiter: Waiter
  ) -> Admission {
    guard permits <= rules.largestRequest else { return .refused(.exceedsBurst, wait: nil) }
    if permits == 0 { return .granted }
    let start = start(of: permits, now: now)
    if start <= now && line.isEmpty {
      take(permits, now: now)
      return .granted
    }
    guard start <= deadline else { return .refused(.deadline, wait: start - now) }
    guard line.count < maximumWaiters else {
      return .refused(.queueFull, wait: start - now)
    }
    permitsAwaited += permits
    return .waiting(ticket: line.append(Place(waiter: waiter, permits: permits)))
  }

  /// Leaves the line; `nil` when the waiter has been served already.
  mutating func leave(_ ticket: LineTicket) -> Waiter? {
    guard let place = line.remove(ticket) else { return nil }
    permitsAwaited -= place.permits
    return place.waiter
  }

  /// Serves the front of the line as far as the permits go.
  mutating func serve(now: Int64) -> [Waiter] {
    var served: [Waiter] = []
    while let place = line.first, start(ofFirst: place.permits, now: now) <= now {
      _ = line.removeFirst()
      permitsAwaited -= place.permits
      take(place.permits, now: now)
      served.append(place.waiter)
    }
    return served
  }

  /// When the one at the front may go on; `nil` when nobody waits.
  func nextStart(now: Int64) -> Int64? {
    line.first.map { start(ofFirst: $0.permits, now: now) }
  }

  /// Gives permits back that were taken and not used; never more than were ever there.
  mutating func giveBack(_ permits: Int, now: Int64) {
    firstFull = rules.first.full(afterReturning: permits, full: firstFull, now: now)
    for index in otherFulls.indices {
      otherFulls[index] = rules.others[index].full(
        afterReturning: permits, full: otherFulls[index], now: now)
    }
  }

  /// When a request could start that stands behind the whole line.
  private func start(of permits: Int, now: Int64) -> Int64 {
    start(ofFirst: permitsAwaited + permits, now: now)
  }

  private func start(ofFirst permits: Int, now: Int64) -> Int64 {
    rules.start(of: permits, now: now) { $0 == 0 ? firstFull : otherFulls[$0 - 1] }
  }

  private mutating func take(_ permits: Int, now: Int64) {
    firstFull = rules.first.full(afterTaking: permits, full: firstFull, now: now)
    if rules.count > 1 {
      for index in otherFulls.indices {
        otherFulls[index] = rules.others[index].full(
          afterTaking: permits, full: otherFulls[index], now: now)
      }
    }
  }

  private func decision(
    _ isAllowed: Bool, wait: Int64?, now: Int64
  ) -> RateLimitDecision {
    rules.decision(isAllowed, wait: wait, now: now) { $0 == 0 ? firstFull : otherFulls[$0 - 1] }
  }
}
