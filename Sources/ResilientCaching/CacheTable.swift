/// Entries in the order of their use, found by key, within a budget of number and cost.
///
/// The order is a list threaded through an array. What a hit touches is apart from what it does not: a node is 16 bytes, so that
/// the two neighbours that a move touches are near to each other.
@usableFromInline struct CacheTable<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  @usableFromInline struct Node: Sendable {
    @usableFromInline var newer: Int32
    @usableFromInline var older: Int32
    /// Nanoseconds.
    @usableFromInline var freshUntil: Int64

    @inlinable init(freshUntil: Int64) {
      (newer, older, self.freshUntil) = (-1, -1, freshUntil)
    }
  }

  @usableFromInline struct Entry: Sendable {
    @usableFromInline var key: Key
    @usableFromInline var space: CacheSpace
    /// `nil` when it is known that there is none; then a note says so.
    @usableFromInline var value: Value?

    @inlinable init(key: Key, space: CacheSpace, value: Value?) {
      (self.key, self.space, self.value) = (key, space, value)
    }
  }

  /// What is needed to remove an entry.
  @usableFromInline struct Detail: Sendable {
    @usableFromInline var hash: UInt32
    @usableFromInline var cost: Int
    /// Neighbours in the list of the namespace.
    @usableFromInline var next: Int32
    @usableFromInline var previous: Int32

    @inlinable init(hash: UInt32, cost: Int) {
      (self.hash, self.cost, next, previous) = (hash, cost, -1, -1)
    }
  }

  /// What is known beside the value, of few entries.
  @usableFromInline enum Note: Sendable {
    /// There is no value, and this is the answer to give.
    case negative(any Error)
    /// So many refreshes in a row failed; none is tried before that time.
    case setback(failures: Int, retryAt: Int64)
  }

  /// An entry that was removed.
  @usableFromInline struct Gone: Sendable {
    @usableFromInline var entry: Entry
    @usableFromInline var note: Note?

    @inlinable init(entry: Entry, note: Note?) { (self.entry, self.note) = (entry, note) }
  }

  @usableFromInline var index = SlotIndex()
  @usableFromInline var nodes: ContiguousArray<Node> = []
  @usableFromInline var entries: ContiguousArray<Entry?> = []
  @usableFromInline var details: ContiguousArray<Detail> = []
  @usableFromInline var notes: [Int32: Note] = [:]
  /// The first entry of each namespace that has a name.
  @usableFromInline var spaces: [String: Int32] = [:]
  @usableFromInline var newest: Int32 = -1
  @usableFromInline var oldest: Int32 = -1
  /// Free slots, in a list by `older`.
  @usableFromInline var free: Int32 = -1
  /// Where the search for expired entries goes on.
  @usableFromInline var hand = 0
  @usableFromInline var count = 0
  /// The sum of the costs: never negative, never above the budget.
  @usableFromInline var cost = 0

  init() {}

  /// The slot of a key, or -1.
  @inlinable @inline(__always)
  func find(_ address: CacheAddress<Key>) -> Int {
    index.slot(of: address.hash) { slot in
      entries[slot]!.key == address.key && entries[slot]!.space.isSame(as: address.space)
    }
  }

  /// Makes an entry the most recently used one.
  @inlinable @inline(__always)
  mutating func touch(_ slot: Int) {
    if newest == Int32(truncatingIfNeeded: slot) { return }
    unlink(slot)
    link(slot)
  }

  @inlinable @inline(__always)
  mutating func unlink(_ slot: Int) {
    let (newer, older) = (nodes[slot].newer, nodes[slot].older)
    if newer >= 0 { nodes[Int(newer)].older = older } else { newest = older }
    if older >= 0 { nodes[Int(older)].newer = newer } else { oldest = newer }
  }

  @inlinable @inline(__always)
  mutating func link(_ slot: Int) {
    let name = Int32(truncatingIfNeeded: slot)
    nodes[slot].newer = -1
    nodes[slot].older = newest
    if newest >= 0 { nodes[Int(newest)].newer = name } else { oldest = name }
    newest = name
  }
}

extension CacheTable {
  /// The value in a slot.
  @inlinable
  func value(_ slot: Int) -> Value? { entries[slot]?.value }

  /// Adds an entry for a key that has none, as the most recently used one.
  @inlinable
  mutating func insert(
    _ address: CacheAddress<Key>, _ value: Value?, cost: Int, freshUntil: Int64
  ) {
    let slot: Int
    let entry = Entry(key: address.key, space: address.space, value: value)
    let detail = Detail(hash: address.hash, cost: cost)
    if free >= 0 {
      slot = Int(free)
      free = nodes[slot].older
      entries[slot] = entry
      details[slot] = detail
    } else {
      slot = nodes.count
      nodes.append(Node(freshUntil: freshUntil))
      entries.append(entry)
      details.append(detail)
    }
    nodes[slot].freshUntil = freshUntil
    link(slot)
    index.insert(slot, hash: address.hash)
    enter(slot, address.space.name)
    count += 1
    self.cost += cost
  }

  /// Removes an entry with its note; whoever calls releases it after unlocking.
  @inlinable
  mutating func remove(_ slot: Int) -> Gone {
    unlink(slot)
    index.remove(slot, hash: details[slot].hash)
    let entry = entries[slot].take()!
    let note = notes.isEmpty ? nil : notes.removeValue(forKey: Int32(slot))
    leave(slot, entry.space.name)
    count -= 1
    cost -= details[slot].cost
    nodes[slot].older = free
    free = Int32(slot)
    return Gone(entry: entry, note: note)
  }

  /// The next slot of an endless round, if there is an entry in it.
  @inlinable
  mutating func nextInRound() -> Int? {
    if nodes.isEmpty { return nil }
    hand = hand + 1 < nodes.count ? hand + 1 : 0
    return entries[hand] == nil ? nil : hand
  }

  /// The slots of a namespace.
  func slots(in space: CacheSpace) -> [Int] {
    var slots: [Int] = []
    var next = spaces[space.name] ?? -1
    while next >= 0 {
      slots.append(Int(next))
      next = details[Int(next)].next
    }
    return slots
  }

  /// How many namespaces have entries.
  var namespaceCount: Int { spaces.count }

  @inlinable
  mutating func enter(_ slot: Int, _ space: String) {
    if space.isEmpty { return }
    let first = spaces.updateValue(Int32(slot), forKey: space) ?? -1
    details[slot].next = first
    if first >= 0 { details[Int(first)].previous = Int32(slot) }
  }

  @inlinable
  mutating func leave(_ slot: Int, _ space: String) {
    if space.isEmpty { return }
    let (next, previous) = (details[slot].next, details[slot].previous)
    if next >= 0 { details[Int(next)].previous = previous }
    if previous >= 0 {
      details[Int(previous)].next = next
    } else {
      spaces[space] = next >= 0 ? next : nil
    }
  }
}
