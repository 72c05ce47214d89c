/// What a limiter says to one request.
///
///     let decision = limiter.tryAcquire()
///     guard decision.isAllowed else { return .tooManyRequests(retryAfter: decision.retryAfter) }
public struct RateLimitDecision: Hashable, Sendable {
  /// Whether the permits were taken.
  public let isAllowed: Bool

  /// How long until the same request would be allowed if nobody else asked; zero when it was, `nil` when it never will be.
  ///
  /// Never: a request for more permits than the burst.
  public let retryAfter: Duration?

  /// How much of the fullest limit is left, in time, and what a permit of it takes.
  private let headroom: Duration
  private let interval: Duration

  init(isAllowed: Bool, retryAfter: Duration?, headroom: Duration, interval: Duration) {
    self.isAllowed = isAllowed
    self.retryAfter = retryAfter
    self.headroom = headroom
    self.interval = interval
  }

  /// How many permits are left now, by the limit that has the fewest.
  ///
  /// Computed when asked, because the division costs as much as the rest of the decision.
  public var remaining: Int {
    headroom <= .zero ? 0 : Int(clamping: headroom.attoseconds / interval.attoseconds)
  }
}
