internal import ReliabilityCore

/// One limit as the generic cell rate algorithm sees it: an instant, and what a permit adds to it.
///
/// The instant is when the bucket will be full again (the theoretical arrival time, TAT). Taking a permit moves it by one
/// interval; it may be at most `burst` intervals ahead of now. That is a token bucket without a refill to run: tokens are
/// computed from the time when someone asks, and a limiter that nobody asks costs nothing.
///
/// Source: ITU-T I.371, annex A (virtual scheduling).
struct VirtualSchedule: Hashable, Sendable {
  /// What a permit takes, in ticks.
  let interval: Int64
  /// How far ahead the instant may be.
  let tolerance: Int64
  let burst: Int

  init(_ limit: RateLimit) {
    let permits = Int64(limit.permits)
    interval = max(1, (RateTicks.of(limit.period) + permits - 1) / permits)
    burst = limit.burst
    tolerance = RateTicks.product(interval, burst)
  }

  /// When so many permits could be taken, if the bucket is full again at `full`; not before `now`.
  @inline(__always)
  func start(of permits: Int, full: Int64, now: Int64) -> Int64 {
    let begin = max(full, now) - tolerance
    return max(now, min(begin, RateTicks.limit) + RateTicks.product(interval, permits))
  }

  /// When the bucket is full again after so many permits, at most the burst, were taken.
  @inline(__always)
  func full(afterTaking permits: Int, full: Int64, now: Int64) -> Int64 {
    max(full, now) + RateTicks.product(interval, permits)
  }

  /// When the bucket is full again after so many permits were given back.
  func full(afterReturning permits: Int, full: Int64, now: Int64) -> Int64 {
    max(full - RateTicks.product(interval, min(permits, burst)), now)
  }

  /// The time's worth of permits that could be taken now.
  @inline(__always)
  func headroom(full: Int64, now: Int64) -> Int64 {
    tolerance - (max(full, now) - now)
  }
}
