internal import ReliabilityCore

/// Which rung a key's calls begin on: pure, bounded, forgetful.
///
/// Only keys that have stepped down are remembered. When the time of one is over, one call may try a rung higher while the
/// others stay where they are; so a key climbs as it fell, a rung at a time, and nobody pays for the climb but that one call.
struct RungMemory {
  private struct Entry {
    var rung: Int
    var until: ContinuousClock.Instant
    /// The place in line; an older place of the same key is void.
    var stamp: UInt64
  }

  /// Where a call begins.
  struct Start: Hashable {
    var rung = 0
    /// Whether this call tries a higher rung for the others.
    var isClimb = false
  }

  let capacity: Int
  let lifetime: Duration
  private var entries: [String: Entry] = [:]
  /// The keys in the order in which their time ends, with void ones among them.
  private var line: [(key: String, stamp: UInt64)] = []
  private var head = 0
  private var nextStamp: UInt64 = 0

  init(capacity: Int, lifetime: Duration) {
    self.capacity = capacity
    self.lifetime = lifetime
  }

  var count: Int { entries.count }

  /// The rung that a call begins on.
  mutating func begin(_ key: String, now: ContinuousClock.Instant) -> Start {
    guard let entry = entries[key] else { return Start() }
    if now < entry.until { return Start(rung: entry.rung) }
    // The others stay until this call has come back, or the time is over again.
    set(key, entry.rung, now: now)
    return Start(rung: entry.rung - 1, isClimb: true)
  }

  /// A call found out that this rung serves and those above do not, or that this higher one serves again.
  mutating func learn(_ key: String, _ rung: Int, now: ContinuousClock.Instant) {
    if rung == 0 {
      entries[key] = nil
    } else {
      set(key, rung, now: now)
    }
  }

  private mutating func set(_ key: String, _ rung: Int, now: ContinuousClock.Instant) {
    guard capacity > 0 else { return }
    if entries[key] == nil, entries.count >= capacity { dropFirst() }
    nextStamp += 1
    entries[key] = Entry(
      rung: rung, until: now.saturatingAdvanced(by: lifetime), stamp: nextStamp)
    line.append((key, nextStamp))
    // As many void places as valid ones at most.
    if line.count - head > 2 * capacity {
      line = line[head...].filter { isValid($0) }
      head = 0
    }
  }

  /// Forgets the key whose time ends first.
  private mutating func dropFirst() {
    while head < line.count {
      let place = line[head]
      head += 1
      if isValid(place) {
        entries[place.key] = nil
        break
      }
    }
    if head > capacity {
      line.removeFirst(head)
      head = 0
    }
  }

  private func isValid(_ place: (key: String, stamp: UInt64)) -> Bool {
    entries[place.key]?.stamp == place.stamp
  }
}
