/// Several limits as one: a request passes when all let it.
///
/// The instants that belong to the limits are kept by the caller, which hands in how to read them: a limiter has an array of
/// them, a keyed one a stretch of a large array for each key.
struct RateRules: Sendable {
  let schedules: [VirtualSchedule]
  /// The most permits one request may take.
  let largestRequest: Int

  init(_ limits: [RateLimit]) {
    schedules = limits.map { VirtualSchedule($0) }
    largestRequest = limits.reduce(.max) { min($0, $1.burst) }
  }

  /// When a request could start; `now` when at once.
  @inline(__always)
  func start(of permits: Int, now: Int64, full: (Int) -> Int64) -> Int64 {
    var result = now
    for index in schedules.indices {
      result = max(result, schedules[index].start(of: permits, full: full(index), now: now))
    }
    return result
  }

  /// The answer to a request, with what is left by the limit that has the least.
  @inline(__always)
  func decision(
    _ isAllowed: Bool, wait: Int64?, now: Int64, full: (Int) -> Int64
  ) -> RateLimitDecision {
    var least = schedules[0].headroom(full: full(0), now: now)
    var interval = schedules[0].interval
    for index in schedules.indices.dropFirst() {
      let headroom = schedules[index].headroom(full: full(index), now: now)
      if headroom / schedules[index].interval < least / interval {
        (least, interval) = (headroom, schedules[index].interval)
      }
    }
    return RateLimitDecision(
      isAllowed: isAllowed, wait: wait, headroom: least, interval: interval)
  }
}
