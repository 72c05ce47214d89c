/// How many calls ended in which way since the breaker was made: only grows, whatever the state does.
struct BreakerCounts: Sendable {
  enum Kind: Int, CaseIterable, Sendable {
    case success, failure, throttled, ignored, cancelled, dropped
    /// Of an older era, or after the lease.
    case stale

    init(_ verdict: CircuitBreaker.Verdict) {
      switch verdict {
      case .success: self = .success
      case .failure: self = .failure
      case .throttled: self = .throttled
      case .ignored: self = .ignored
      case .cancelled: self = .cancelled
      }
    }
  }

  private(set) var calls: InlineArray<7, Int> = .init(repeating: 0)
  private(set) var slow = 0
  var rejected = 0
  var transitions: [CircuitBreaker.State: Int] = [:]

  subscript(kind: Kind) -> Int { calls[kind.rawValue] }

  mutating func countSuccess() { calls[Kind.success.rawValue] += 1 }

  mutating func count(_ kind: Kind, _ settlement: BreakerStateMachine.Settlement) {
    calls[settlement.counted ? kind.rawValue : Kind.stale.rawValue] += 1
    if settlement.wasSlow { slow += 1 }
  }

  /// Takes over what another breaker counted.
  mutating func add(_ other: BreakerCounts) {
    for kind in Kind.allCases { calls[kind.rawValue] += other[kind] }
    slow += other.slow
    rejected += other.rejected
    transitions.merge(other.transitions, uniquingKeysWith: +)
  }
}
