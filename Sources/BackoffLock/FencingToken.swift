/// A number that only grows from one exclusive holder of a lock to the next.
///
/// Shared holders write nothing, so they get the number of the exclusive holder before them (of the last process that was
/// one): two readers with equal tokens saw the same state.
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

  /// Which turn in that epoch.
  ///
  /// The upper 48 bits count how often the lock went from one process to another, the lower 16 the holders in one
  /// process since then.
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

  /// Whether nobody, in this process or another, had the lock alone between the other token's holder and this one's.
  ///
  /// Never true by mistake; false also where it can't be known, as when the process took the lock anew after others.
  package func directlyFollows(_ other: FencingToken) -> Bool {
    epoch == other.epoch && turn &- 1 == other.turn && turn >> 16 == other.turn >> 16
  }
}

extension FencingToken: CustomStringConvertible {
  /// Epoch, turn and place in the turn: `3.42.0`.
  public var description: String { "\(epoch).\(turn >> 16).\(turn & 0xFFFF)" }
}
