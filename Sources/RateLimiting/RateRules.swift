/// Several limits as one: a request passes when all let it.
///
/// The instants that belong to the limits are kept by the caller, which hands in how to read them: a limiter has one and an
/// array of others, a keyed one a stretch of a large array for each key.
@usableFromInline struct RateRules: Sendable {
  /// The only one of most limiters, kept here: to reach into an array costs as much as the decision.
  let first: VirtualSchedule
  let others: [VirtualSchedule]
  /// How many limits there are.
  let count: Int
  /// The most permits one request may take.
  let largestRequest: Int

  init(_ limits: [RateLimit]) {
    first = VirtualSchedule(limits[0])
    others = limits.dropFirst().map { VirtualSchedule($0) }
    count = limits.count
    largestRequest = limits.reduce(.max) { min($0, $1.burst) }
  }

  /// Takes permits now, when there is one limit and it lets them pass: what nearly every call is.
  @inline(__always)
  func takeFromOnly(_ permits: Int, full: inout Int64, now: Int64) -> RateLimitDecision? {
    guard count == 1, permits <= first.burst else { return nil }
    let taken = max(full, now) - now + RateTicks.product(first.interval, permits)
    let headroom = first.tolerance - taken
    guard headroom >= 0 else { return nil }
    full = now + taken
    return RateLimitDecision(
      isAllowed: true, wait: 0, headroom: headroom, interval: first.interval)
  }

  /// When a request could start; `now` when at once.
  @inline(__always)
  func start(of permits: Int, now: Int64, full: (Int) -> Int64) -> Int64 {
    var result = first.start(of: permits, full: full(0), now: now)
    if count > 1 {
      for index in others.indices {
        result = max(result, others[index].start(of: permits, full: full(index + 1), now: now))
      }
    }
    return result
  }

  /// The answer to a request, with what is left by the limit that has the least.
  @inline(__always)
  func decision(
    _ isAllowed: Bool, wait: Int64?, now: Int64, full: (Int) -> Int64
  ) -> RateLimitDecision {
    var least = first.headroom(full: full(0), now: now)
    var interval = first.interval
    if count > 1 {
      for index in others.indices {
        let headroom = others[index].headroom(full: full(index + 1), now: now)
        if headroom / others[index].interval < least / interval {
          (least, interval) = (headroom, others[index].interval)
        }
      }
    }
    return RateLimitDecision(
      isAllowed: isAllowed, wait: wait, headroom: least, interval: interval)
  }
}
