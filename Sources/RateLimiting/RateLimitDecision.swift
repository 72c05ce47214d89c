/// What a limiter says to one request.
///
///     let decision = limiter.tryAcquire()
///     guard decision.isAllowed else { return .tooManyRequests(retryAfter: decision.retryAfter) }
public struct RateLimitDecision: Hashable, Sendable {
  /// Whether the permits were taken.
  public let isAllowed: Bool

  // In ticks: what people read is computed when they ask, because a division costs as much as the rest of the decision.
  private let wait: Int64?
  private let headroom: Int64
  private let interval: Int64

  init(isAllowed: Bool, wait: Int64?, headroom: Int64, interval: Int64) {
    self.isAllowed = isAllowed
    self.wait = wait
    self.headroom = headroom
    self.interval = interval
  }

  /// How long until the same request would be allowed if nobody else asked; zero when it was, `nil` when it never will be.
  ///
  /// Never: a request for more permits than the burst.
  public var retryAfter: Duration? { wait.map { RateTicks.duration($0) } }

  /// How many permits are left now, by the limit that has the fewest.
  public var remaining: Int { headroom <= 0 ? 0 : Int(headroom / interval) }
}
