/// What the lock of a keyed limiter guards: the table, and the lines of the keys that have one.
@usableFromInline struct KeyedLimiterShell<Key: Hashable & Sendable>: Sendable {
  @usableFromInline var table: KeyTable<Key>
  var allowed = 0
  var limited = 0
  @usableFromInline private(set) var lines: [Key: RateLimiter] = [:]
  /// Lines are looked through for empty ones when there are so many.
  private var sweepAt = 64

  init(_ table: KeyTable<Key>) { self.table = table }

  /// The answer for a key that is known while no key has a line: what nearly every call is, and all of it that is compiled
  /// for the type of the key.
  @inlinable mutating func tryKnown(_ key: Key, _ permits: Int, now: Int64) -> RateLimitDecision? {
    guard lines.isEmpty, let slot = table.slots[key] else { return nil }
    return tryAcquire(slot: slot, permits, now: now)
  }

  @usableFromInline mutating func tryAcquire(
    slot: Int, _ permits: Int, now: Int64
  ) -> RateLimitDecision {
    count(table.instants.tryAcquire(slot, permits, now: now))
  }

  /// The answer for any key.
  @usableFromInline
  mutating func tryAcquire(_ key: Key, _ permits: Int, now: Int64) -> RateLimitDecision {
    count(
      line(of: key)?.tryAcquire(permits) ?? table.tryAcquire(key, permits, now: now))
  }

  private mutating func count(_ decision: RateLimitDecision) -> RateLimitDecision {
    if decision.isAllowed { allowed += 1 } else { limited += 1 }
    return decision
  }

  /// How many the lines that still stand let pass.
  var allowedInLines: Int { lines.values.reduce(0) { $0 + $1.allowed } }

  /// The limiter of a key in whose line someone waits; a line that has become empty is closed.
  mutating func line(of key: Key) -> RateLimiter? {
    if lines.isEmpty { return nil }
    guard let line = lines[key] else { return nil }
    return close(line, of: key) ? nil : line
  }

  /// Keeps the limiter of a key, since someone waits in its line.
  mutating func keep(_ line: RateLimiter, of key: Key) {
    guard lines.updateValue(line, forKey: key) == nil else { return }
    table.pin(key)
    if lines.count >= sweepAt {
      for (key, line) in lines { _ = close(line, of: key) }
      sweepAt = max(64, 2 * lines.count)
    }
  }

  private mutating func close(_ line: RateLimiter, of key: Key) -> Bool {
    guard let state = line.stateIfIdle else { return false }
    lines[key] = nil
    allowed += state.allowed
    table.unpin(key, state: state.full)
    return true
  }
}
