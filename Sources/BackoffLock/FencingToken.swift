/// A number that only grows from one holder of a lock to the next.
///
/// Whoever guards the data can refuse a holder that believes it still has the lock: keep the highest token seen, and
/// turn away lower ones.
///
///     try await lock.withLock { token in
///       try await store.write(bytes, fencedBy: token)
///     }
public struct FencingToken: Hashable, Sendable, Comparable {
  /// Which start of the machine; grows when the lock is first taken after a restart.
  public let epoch: UInt32

  /// Which turn in that epoch: the ticket of the process in the upper 48 bits, the turn within it in the lower 16.
  public let turn: UInt64

  /// Makes a token from its parts, as they were stored.
  public init(epoch: UInt32, turn: UInt64) {
    self.epoch = epoch
    self.turn = turn
  }

  /// Whether the other came earlier.
  public static func < (lhs: FencingToken, rhs: FencingToken) -> Bool {
    (lhs.epoch, lhs.turn) < (rhs.epoch, rhs.turn)
  }

  /// Whether nobody, in this process or another, had the lock between the other token's holder and this one's.
  package func directlyFollows(_ other: FencingToken) -> Bool {
    epoch == other.epoch && turn == other.turn + 1 && turn >> 16 == other.turn >> 16
  }
}
