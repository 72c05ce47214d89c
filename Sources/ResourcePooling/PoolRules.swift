internal import ReliabilityCore

/// What the state machine must know of a configuration, times as nanoseconds; `Int64.max` is never.
struct PoolRules: Sendable {
  var minimum: Int
  var maximum: Int
  var maximumWaiters: Int
  /// Whether resources are checked before they are lent.
  var checksOnLend = false
  /// How long one must have lain idle to be checked.
  var checkAfterIdle: Int64 = 0
  var checksOnReturn = false
  var rollsBack = false
  var idleLimit = Int64.max
  var maximumAge = Int64.max
  /// The part of the two limits above that chance may take off.
  var jitter = 0.0
  /// How many failed uses in a row end a resource.
  var maximumErrors = Int.max
  var backoff = Backoff.none

  /// Whether there is something to do before a resource can go back.
  var worksOnReturn: Bool { rollsBack || checksOnReturn }
  /// Whether lending must know the time.
  var readsClockToLend: Bool { checksOnLend && checkAfterIdle > 0 }
  /// Whether taking back must know the time.
  var readsClockToTakeBack: Bool {
    idleLimit != .max || maximumAge != .max || readsClockToLend
  }
}

/// Where a resource stands, or its slot before and after it exists.
enum SlotState: UInt8, Sendable {
  case free, creating, idle, lent
  /// It is being checked before it is lent.
  case checking
  /// It is being rolled back or checked after it was lent.
  case returning
  case closing
}

/// How many slots stand where.
struct PoolTally: Hashable, Sendable {
  var creating = 0
  var idle = 0
  var lent = 0
  var checking = 0
  var returning = 0
  var closing = 0
  /// Those of the ones being made, checked or cleaned up that nobody counts on.
  var doubtful = 0
  var doubtfulCreating = 0

  /// All slots that are in use.
  var occupied: Int { creating + idle + lent + checking + returning + closing }
  /// Those that are not on their way out.
  var live: Int { occupied - closing }
  /// Those that will be handed to the next in line without anybody else's doing.
  var incoming: Int { creating + checking + returning - doubtful }

  mutating func add(_ change: Int, _ state: SlotState) {
    switch state {
    case .free: break
    case .creating: creating += change
    case .idle: idle += change
    case .lent: lent += change
    case .checking: checking += change
    case .returning: returning += change
    case .closing: closing += change
    }
  }
}

/// What has happened so far; never falls.
struct PoolCounts: Hashable, Sendable {
  var loans = 0
  var reused = 0
  var created = 0
  var closed = 0
  var timeouts = 0
  var cancelledWaits = 0
  var refusals = 0
  var creationErrors = 0
  var useErrors = 0
  var unhealthy = 0
  var rollbackErrors = 0
  var closerErrors = 0
  var evictions = [Int](repeating: 0, count: PoolEvent.Eviction.allCases.count)
}

/// How a loan ended.
@usableFromInline enum PoolUse: Sendable {
  case succeeded
  case failed
  /// Nothing is known: dropped, or cancelled.
  case unknown
  /// The resource is not to be lent again.
  case discarded
  case discardedAfterError
}

extension Int64 {
  /// The sum, at most the largest number, which is never.
  @inline(__always) func saturatingAdd(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
