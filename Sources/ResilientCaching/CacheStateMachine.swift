public import ReliabilityCore

/// All decisions of a cache: what a request gets, what a load's end changes, what must go.
///
/// Knows no locks, clocks and tasks. What has to be done after unlocking (release, tell, cancel, resume) is gathered in an
/// ``Aftermath``.
@usableFromInline struct CacheStateMachine<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  @usableFromInline typealias Address = CacheAddress<Key>
  @usableFromInline typealias Table = CacheTable<Key, Value>
  @usableFromInline typealias Event = ResilientCache<Key, Value>.Event

  /// What is done after unlocking; what it holds is released then, too.
  @usableFromInline struct Aftermath: Sendable {
    @usableFromInline var gone: [Table.Gone] = []
    @usableFromInline var tables: [Table] = []
    /// Loads that nobody wants any more: their tasks are cancelled.
    @usableFromInline var abandoned: [Load] = []
    @usableFromInline var ended: [Load] = []
    @usableFromInline var events: [Event] = []

    @inlinable init() {}
  }

  let name: String
  @usableFromInline let rules: CacheRules
  /// Whether events are wanted.
  @usableFromInline let isObserved: Bool
  @usableFromInline var table = CacheTable<Key, Value>()
  @usableFromInline var hits = 0
  @usableFromInline var counts = CacheStatistics()
  /// The breaker's era of all entries.
  @usableFromInline var era: UInt64
  /// The last eras that were left, oldest first.
  @usableFromInline var retired: [UInt64] = []
  private(set) var version: UInt64 = 0
  var loads: [UInt64: Load] = [:]
  /// The numbers of the loads whose result will be kept, by the hash of their addresses.
  @usableFromInline var current: [UInt32: [UInt64]] = [:]
  /// How many of them are refreshes.
  var refreshes = 0
  /// Before this time no refresh has run for too long.
  var nextSweep = Int64.max
  @usableFromInline var generator: SeededGenerator

  init(name: String, rules: CacheRules, isObserved: Bool, era: UInt64, seed: UInt64) {
    self.name = name
    self.rules = rules
    self.isObserved = isObserved
    self.era = era
    generator = SeededGenerator(seed: seed)
  }

  /// What was counted so far.
  var statistics: CacheStatistics {
    var statistics = counts
    statistics.hits = hits
    return statistics
  }

  /// A fresh value, which counts as used; `nil` when there is more to think about.
  @inlinable @inline(__always)
  mutating func hit(_ address: Address, _ moment: CacheMoment) -> Value? {
    guard moment.era == era else { return nil }
    let slot = table.find(address)
    guard slot >= 0, table.nodes[slot].freshUntil > moment.now else { return nil }
    guard let value = table.entries[slot]!.value else { return nil }
    table.touch(slot)
    hits &+= 1
    return value
  }

  /// A fresh value, which nothing counts.
  func peek(_ address: Address, _ moment: CacheMoment) -> Value? {
    guard moment.era == era else { return nil }
    let slot = table.find(address)
    guard slot >= 0, table.nodes[slot].freshUntil > moment.now else { return nil }
    return table.value(slot)
  }

  /// A request that will not load anything: for a fresh value or none.
  mutating func get(
    _ address: Address, _ moment: CacheMoment, _ after: inout Aftermath
  ) -> Value? {
    if let value = hit(address, moment) { return value }
    let now = arrive(moment, &after)
    let slot = lookUp(address, now, &after)
    if slot >= 0, table.nodes[slot].freshUntil > now {
      counts.negativeHits += 1
      table.touch(slot)
    } else {
      counts.misses += 1
    }
    return nil
  }

  /// Keeps a value; a load of the same key that still runs is out of date.
  ///
  /// - Returns: Whether it is kept.
  @inlinable
  mutating func set(
    _ address: Address, _ value: Value, cost: Int, life: Int64?, _ moment: CacheMoment,
    _ after: inout Aftermath
  ) -> Bool {
    let now = arrive(moment, &after)
    detach(address, &after)
    if discard(address, &after) { counts.countRemoval(.invalidated) }
    let life = life ?? rules.shortened(rules.life, using: &generator)
    return store(address, value, cost: cost, freshUntil: now + life, now: now, &after)
  }

  /// Removes a key; a load of it that still runs is out of date.
  ///
  /// - Returns: Whether there was a value to give out.
  mutating func remove(
    _ address: Address, _ moment: CacheMoment, _ after: inout Aftermath
  ) -> Value? {
    let now = arrive(moment, &after)
    detach(address, &after)
    let slot = lookUp(address, now, &after)
    guard slot >= 0 else { return nil }
    let gone = table.remove(slot)
    counts.countRemoval(.invalidated)
    after.gone.append(gone)
    return gone.entry.value
  }

  /// Removes a namespace; loads in it that still run are out of date.
  mutating func removeAll(in space: CacheSpace, _ after: inout Aftermath) {
    for load in loads.values where load.address.space.isSame(as: space) {
      detach(load.address, &after)
    }
    for slot in table.slots(in: space) {
      after.gone.append(table.remove(slot))
      counts.countRemoval(.invalidated)
    }
  }

  /// Removes everything; all loads that still run are out of date.
  @inline(never) @usableFromInline
  mutating func clear(_ after: inout Aftermath) {
    counts.invalidations += table.count
    note(.cleared, nil, &after)
    after.tables.append(table)
    table = Table()
    for load in loads.values { detach(load.address, &after) }
  }

  /// Enters a later version, in which no entry of an earlier one is valid.
  mutating func advance(toVersion version: UInt64, _ after: inout Aftermath) {
    guard version > self.version else { return }
    self.version = version
    clear(&after)
  }

  /// Whether the era is one of those that were left, so that it seems to have been read before others entered a later one.
  @inlinable
  func isLate(_ moment: CacheMoment) -> Bool {
    moment.era != era && retired.contains(moment.era)
  }

  /// Enters the era of a moment, in which no entry of another one is valid.
  ///
  /// Whoever calls has asked ``isLate(_:)`` before, and read the era again if so.
  ///
  /// - Returns: The time, within bounds in which it can be computed with.
  @inlinable
  mutating func arrive(_ moment: CacheMoment, _ after: inout Aftermath) -> Int64 {
    if moment.era != era { enter(moment.era, &after) }
    return CacheRules.time(moment.now)
  }

  @inline(never) @usableFromInline
  mutating func enter(_ next: UInt64, _ after: inout Aftermath) {
    retired.removeAll { $0 == next }
    if retired.count == 8 { retired.removeFirst() }
    retired.append(era)
    era = next
    clear(&after)
  }
}

extension CacheStateMachine {
  /// The slot of an entry that is fresh or within its stale window, or -1; one that is over goes.
  mutating func lookUp(_ address: Address, _ now: Int64, _ after: inout Aftermath) -> Int {
    let slot = table.find(address)
    if slot >= 0, isOver(slot, now) {
      expire(slot, &after)
      return -1
    }
    return slot
  }

  /// Makes room, and keeps a value for a key that has none; `nil` when it is known that there is none.
  ///
  /// - Returns: Whether it is kept.
  @inlinable
  mutating func store(
    _ address: Address, _ value: Value?, cost: Int, freshUntil: Int64, now: Int64,
    _ after: inout Aftermath
  ) -> Bool {
    let cost = max(0, cost)
    if cost > rules.maximumCost {
      refuse(address, &after)
      return false
    }
    // Two looks for each new entry: what is over is gone after half as many stores as there are entries.
    for _ in 0..<2 {
      if let slot = table.nextInRound(), isOver(slot, now) { expire(slot, &after) }
    }
    while table.count >= rules.capacity {
      counts.countRemoval(.count)
      evictOldest(&after)
    }
    while table.cost > rules.maximumCost - cost {
      counts.countRemoval(.cost)
      evictOldest(&after)
    }
    table.insert(address, value, cost: cost, freshUntil: freshUntil)
    return true
  }

  /// Counts and tells that a value is too large.
  @inline(never) @usableFromInline
  mutating func refuse(_ address: Address, _ after: inout Aftermath) {
    counts.oversized += 1
    note(.oversized, address, &after)
  }

  /// Removes the entry of a key, if there is one.
  @inlinable
  mutating func discard(_ address: Address, _ after: inout Aftermath) -> Bool {
    let slot = table.find(address)
    if slot < 0 { return false }
    after.gone.append(table.remove(slot))
    return true
  }

  /// Records an event for whoever wants to know.
  @inline(never) @usableFromInline
  mutating func note(
    _ kind: Event.Kind, _ address: Address?, error: (any Error)? = nil, retryAfter: Int64? = nil,
    _ after: inout Aftermath
  ) {
    guard isObserved else { return }
    after.events.append(
      Event(
        cache: name, kind: kind, key: address?.key, namespace: address?.space.orNil, error: error,
        retryAfter: retryAfter.map { .nanoseconds($0) }))
  }

  @inlinable
  func isOver(_ slot: Int, _ now: Int64) -> Bool {
    let end = table.nodes[slot].freshUntil
    return now >= end && (table.value(slot) == nil || now - end >= rules.staleWindow)
  }

  @inlinable
  mutating func expire(_ slot: Int, _ after: inout Aftermath) {
    counts.countRemoval(.expired)
    after.gone.append(table.remove(slot))
  }

  @inlinable
  mutating func evictOldest(_ after: inout Aftermath) {
    let gone = table.remove(Int(table.oldest))
    if isObserved { noteEviction(gone.entry, &after) }
    after.gone.append(gone)
  }

  @inline(never) @usableFromInline
  mutating func noteEviction(_ entry: Table.Entry, _ after: inout Aftermath) {
    after.events.append(
      Event(
        cache: name, kind: .evicted, key: entry.key,
        namespace: entry.space.orNil, error: nil, retryAfter: nil))
  }
}
