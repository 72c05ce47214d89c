/// The right to make one call, in one era.
@usableFromInline
struct BreakerPermit: Hashable, Sendable {
  var era: UInt64
  /// Of the call in flight, or `.untracked`.
  var call = CallsInFlight.ID.untracked
}
