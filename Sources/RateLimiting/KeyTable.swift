/// The instants of many keys in bounded memory.
struct KeyTable<Key: Hashable & Sendable>: Sendable {
  let rules: RateRules
  private let capacity: Int
  private var slots: [Key: Int] = [:]
  private var keys: [Key] = []
  /// As many instants for each slot as there are limits.
  private var full: [Int64] = []
  /// Slots whose key has a line, which must not be given away.
  private var pinned: Set<Int> = []
  /// Where the search for a slot to give away goes on.
  private var hand = 0
  private(set) var evictions = 0

  /// How many slots are looked at for one to give away.
  private static var searched: Int { 8 }

  init(_ rules: RateRules, capacity: Int) {
    self.rules = rules
    self.capacity = capacity
  }

  var count: Int { keys.count }

  /// Takes permits of a key now or not at all.
  mutating func tryAcquire(_ key: Key, _ permits: Int, now: Int64) -> RateLimitDecision {
    let base = slot(of: key, now: now) * rules.count
    guard permits <= rules.largestRequest else {
      return rules.decision(false, wait: nil, now: now) { full[base + $0] }
    }
    let start = rules.start(of: permits, now: now) { full[base + $0] }
    guard start <= now else {
      return rules.decision(false, wait: start - now, now: now) { full[base + $0] }
    }
    full[base] = rules.first.full(afterTaking: permits, full: full[base], now: now)
    if rules.count > 1 {
      for index in rules.others.indices {
        full[base + index + 1] = rules.others[index].full(
          afterTaking: permits, full: full[base + index + 1], now: now)
      }
    }
    return rules.decision(true, wait: 0, now: now) { full[base + $0] }
  }

  /// The instants of a key.
  mutating func state(of key: Key, now: Int64) -> [Int64] {
    let base = slot(of: key, now: now) * rules.count
    return Array(full[base..<base + rules.count])
  }

  /// Keeps the slot of a key until ``unpin(_:state:now:)``.
  mutating func pin(_ key: Key) {
    if let slot = slots[key] { pinned.insert(slot) }
  }

  /// Lets the slot of a key go and sets its instants.
  mutating func unpin(_ key: Key, state: [Int64]) {
    guard let slot = slots[key] else { return }
    pinned.remove(slot)
    full.replaceSubrange(slot * state.count..<(slot + 1) * state.count, with: state)
  }

  private mutating func slot(of key: Key, now: Int64) -> Int {
    if let slot = slots[key] { return slot }
    let slot: Int
    if keys.count >= capacity, let victim = victim(now: now) {
      slots[keys[victim]] = nil
      keys[victim] = key
      slot = victim
    } else {
      slot = keys.count
      keys.append(key)
      full.append(contentsOf: repeatElement(now, count: rules.count))
    }
    slots[key] = slot
    for index in 0..<rules.count { full[slot * rules.count + index] = now }
    return slot
  }

  /// A slot to give away: one whose permits are all back, or of those looked at the one that is nearest to it.
  private mutating func victim(now: Int64) -> Int? {
    var best: (slot: Int, full: Int64)?
    for _ in 0..<min(Self.searched, keys.count) {
      let slot = hand
      hand = hand + 1 < keys.count ? hand + 1 : 0
      if pinned.contains(slot) { continue }
      var latest = now
      for index in 0..<rules.count {
        latest = max(latest, full[slot * rules.count + index])
      }
      if latest <= now { return slot }
      if let known = best, known.full <= latest { continue }
      best = (slot, latest)
    }
    if best != nil { evictions += 1 }
    return best?.slot
  }
}

/// What the lock of a keyed limiter guards: the table, and the lines of the keys that have one.
struct KeyedLimiterShell<Key: Hashable & Sendable>: Sendable {
  var table: KeyTable<Key>
  var allowed = 0
  var limited = 0
  private var lines: [Key: RateLimiter] = [:]
  /// Lines are looked through for empty ones when there are so many.
  private var sweepAt = 64

  init(_ table: KeyTable<Key>) { self.table = table }

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
