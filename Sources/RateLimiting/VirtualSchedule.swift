internal import ReliabilityCore

/// One limit as the generic cell rate algorithm sees it: an instant, and what a permit adds to it.
///
/// The instant is when the bucket will be full again (the theoretical arrival time, TAT). Taking a permit moves it by one
/// interval; it may be at most `burst` intervals ahead of now. That is a token bucket without a refill to run: tokens are
/// computed from the time when someone asks, and a limiter that nobody asks costs nothing.
///
/// Source: ITU-T I.371, annex A (virtual scheduling).
struct VirtualSchedule: Hashable, Sendable {
  /// What a permit takes.
  let interval: Duration
  /// How far ahead the instant may be.
  let tolerance: Duration
  let burst: Int

  init(_ limit: RateLimit) {
    interval = limit.interval
    burst = limit.burst
    tolerance = interval * burst
  }

  /// When so many permits could be taken, if the bucket is full again at `full`; not before `now`.
  func start(of permits: Int, full: Duration, now: Duration) -> Duration {
    let begin = max(full, now)
    let (cost, overflow) = interval.attoseconds.multipliedReportingOverflow(by: Int128(permits))
    guard !overflow else { return .saturated }
    return max(now, begin.saturatingPlus(Duration(attoseconds: cost)) - tolerance)
  }

  /// When the bucket is full again after so many permits, at most the burst, were taken.
  func full(afterTaking permits: Int, full: Duration, now: Duration) -> Duration {
    max(full, now) + interval * permits
  }

  /// When the bucket is full again after so many permits were given back.
  func full(afterReturning permits: Int, full: Duration, now: Duration) -> Duration {
    max(full - interval * min(permits, burst), now)
  }

  /// The time's worth of permits that could be taken now.
  func headroom(full: Duration, now: Duration) -> Duration {
    tolerance - (max(full, now) - now)
  }
}

extension Duration {
  /// The sum, at most ``Duration/saturated``; the instants of a process are far below.
  fileprivate func saturatingPlus(_ other: Duration) -> Duration {
    other > .saturated ? .saturated : self + other
  }
}
