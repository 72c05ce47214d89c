/// The right to make one call, in one era.
@usableFromInline
struct BreakerPermit: Hashable, Sendable {
  var era: UInt64
  /// Of the call in flight, or `.untracked`.
  var call = CallsInFlight.ID.untracked

  init(era: UInt64, call: CallsInFlight.ID) { (self.era, self.call) = (era, call) }

  @inline(__always) @usableFromInline
  init(era: UInt64) { self.init(era: era, call: .untracked) }
}
