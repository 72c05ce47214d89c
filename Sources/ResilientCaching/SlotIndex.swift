/// Finds the slot of an entry by its hash: open addressing with linear probing, at most three quarters full.
///
/// Of a key only the hash is known here, so the whole of it is kept: two different keys are compared once in four billion
/// encounters, and an entry moves without its key being hashed again.
@usableFromInline struct SlotIndex: Sendable {
  /// The hash in the upper half, the slot plus one in the lower; zero where nothing is.
  @usableFromInline var places: ContiguousArray<UInt64>
  @usableFromInline var mask: Int
  private var count = 0

  @usableFromInline init() {
    places = ContiguousArray(repeating: 0, count: 16)
    mask = 15
  }

  /// The slot of this hash for which the predicate holds, or -1.
  @inlinable @inline(__always)
  func slot(of hash: UInt32, where matches: (_ slot: Int) -> Bool) -> Int {
    var place = Int(hash) & mask
    while true {
      let content = places[place]
      if UInt32(truncatingIfNeeded: content >> 32) == hash {
        let slot = Int(UInt32(truncatingIfNeeded: content)) - 1
        if slot >= 0 && matches(slot) { return slot }
      }
      if content == 0 { return -1 }
      place = (place &+ 1) & mask
    }
  }

  /// Adds a slot that is not there.
  @usableFromInline mutating func insert(_ slot: Int, hash: UInt32) {
    if 4 * (count + 1) > 3 * places.count { grow() }
    put(UInt64(hash) << 32 | UInt64(slot + 1))
    count += 1
  }

  /// Removes a slot that is there.
  @usableFromInline mutating func remove(_ slot: Int, hash: UInt32) {
    let content = UInt64(hash) << 32 | UInt64(slot + 1)
    var hole = home(of: content)
    while places[hole] != content { hole = (hole + 1) & mask }
    count -= 1
    // What follows without a gap moves up, unless it would come to stand before its home: so no marks of removal are needed.
    var next = (hole + 1) & mask
    while places[next] != 0 {
      if (next &- home(of: places[next])) & mask >= (next &- hole) & mask {
        places[hole] = places[next]
        hole = next
      }
      next = (next + 1) & mask
    }
    places[hole] = 0
  }

  private func home(of content: UInt64) -> Int { Int(content >> 32) & mask }

  private mutating func put(_ content: UInt64) {
    var place = home(of: content)
    while places[place] != 0 { place = (place + 1) & mask }
    places[place] = content
  }

  private mutating func grow() {
    let old = places
    places = ContiguousArray(repeating: 0, count: 2 * old.count)
    mask = places.count - 1
    for content in old where content != 0 { put(content) }
  }
}
