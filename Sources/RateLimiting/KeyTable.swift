/// The instants of many keys in bounded memory.
@usableFromInline struct KeyTable<Key: Hashable & Sendable>: Sendable {
  @usableFromInline private(set) var slots: [Key: Int] = [:]
  private var keys: [Key] = []
  @usableFromInline var instants: SlotInstants
  private let capacity: Int
  /// Slots whose key has a line, which must not be given away.
  private var pinned: Set<Int> = []
  /// Where the search for a slot to give away goes on.
  private var hand = 0
  private(set) var evictions = 0

  /// How many slots are looked at for one to give away.
  private static var searched: Int { 8 }

  init(_ rules: RateRules, capacity: Int) {
    instants = SlotInstants(rules)
    self.capacity = capacity
  }

  var count: Int { keys.count }
  var rules: RateRules { instants.rules }

  /// Takes permits of a key now or not at all.
  mutating func tryAcquire(_ key: Key, _ permits: Int, now: Int64) -> RateLimitDecision {
    let slot = slot(of: key, now: now)
    return instants.tryAcquire(slot, permits, now: now)
  }

  /// The instants of a key.
  mutating func state(of key: Key, now: Int64) -> [Int64] {
    let slot = slot(of: key, now: now)
    return instants[slot]
  }

  /// Keeps the slot of a key until ``unpin(_:state:now:)``.
  mutating func pin(_ key: Key) {
    if let slot = slots[key] { pinned.insert(slot) }
  }

  /// Lets the slot of a key go and sets its instants.
  mutating func unpin(_ key: Key, state: [Int64]) {
    guard let slot = slots[key] else { return }
    pinned.remove(slot)
    instants[slot] = state
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
    }
    slots[key] = slot
    instants.fill(slot, now: now)
    return slot
  }

  /// A slot to give away: one whose permits are all back, or of those looked at the one that is nearest to it.
  private mutating func victim(now: Int64) -> Int? {
    var best: (slot: Int, full: Int64)?
    for _ in 0..<min(Self.searched, keys.count) {
      let slot = hand
      hand = hand + 1 < keys.count ? hand + 1 : 0
      if pinned.contains(slot) { continue }
      let latest = instants.latest(slot)
      if latest <= now { return slot }
      if let known = best, known.full <= latest { continue }
      best = (slot, latest)
    }
    if best != nil { evictions += 1 }
    return best?.slot
  }
}

/// When the permits of each slot will all be back: as many instants a slot as there are limits.
@usableFromInline struct SlotInstants: Sendable {
  let rules: RateRules
  private var full: [Int64] = []

  init(_ rules: RateRules) { self.rules = rules }

  /// The instants of a slot.
  subscript(slot: Int) -> [Int64] {
    get { Array(full[slot * rules.count..<(slot + 1) * rules.count]) }
    set { full.replaceSubrange(slot * rules.count..<(slot + 1) * rules.count, with: newValue) }
  }

  /// When all of the slot's permits are back.
  func latest(_ slot: Int) -> Int64 {
    full[slot * rules.count..<(slot + 1) * rules.count].max() ?? .min
  }

  /// Gives a slot, known or the next one, all its permits.
  mutating func fill(_ slot: Int, now: Int64) {
    if slot * rules.count == full.count {
      full.append(contentsOf: repeatElement(now, count: rules.count))
    } else {
      for index in 0..<rules.count { full[slot * rules.count + index] = now }
    }
  }

  /// Takes permits of a slot now or not at all.
  mutating func tryAcquire(_ slot: Int, _ permits: Int, now: Int64) -> RateLimitDecision {
    let base = slot * rules.count
    if let decision = rules.takeFromOnly(permits, full: &full[base], now: now) { return decision }
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
}
