/// A bounded dictionary that knows which of its keys were not used for longest.
///
/// A list threaded through an array. Everything but growing is O(1).
struct RecencyTable<Key: Hashable, Value> {
  private struct Entry {
    var key: Key
    var value: Value
    var newer: Int
    var older: Int
  }

  private var places: [Key: Int] = [:]
  private var entries: [Entry] = []
  private var newest = -1
  private var oldest = -1

  var count: Int { entries.count }

  /// The value of a key, which is the most recently used one from now on.
  mutating func use(_ key: Key) -> Value? {
    guard let place = places[key] else { return nil }
    touch(place)
    return entries[place].value
  }

  /// The value of a key, which gets no younger by it.
  func peek(_ key: Key) -> Value? { places[key].map { entries[$0].value } }

  /// Adds a key that is not there, as the most recently used one.
  mutating func insert(_ key: Key, _ value: Value) {
    places[key] = entries.count
    entries.append(Entry(key: key, value: value, newer: -1, older: -1))
    link(entries.count - 1)
  }

  /// Puts a new key in the place of an old one that may go.
  ///
  /// Of the keys that were not used for longest, so many are asked at most; those that may not go count as used. When none
  /// may go, the oldest of all goes.
  ///
  /// - Returns: The value that went, which the caller releases.
  mutating func replace(
    with key: Key, _ value: Value, asking limit: Int, mayGo: (inout Value) -> Bool
  ) -> Value {
    var victim = oldest
    for _ in 0..<min(limit, count) {
      if mayGo(&entries[oldest].value) {
        victim = oldest
        break
      }
      touch(oldest)
    }
    places[entries[victim].key] = nil
    let gone = entries[victim].value
    (entries[victim].key, entries[victim].value) = (key, value)
    places[key] = victim
    touch(victim)
    return gone
  }

  /// All keys with their values, in no order.
  var all: [(key: Key, value: Value)] { entries.map { ($0.key, $0.value) } }

  private mutating func touch(_ place: Int) {
    guard place != newest else { return }
    unlink(place)
    link(place)
  }

  private mutating func unlink(_ place: Int) {
    let (newer, older) = (entries[place].newer, entries[place].older)
    if newer >= 0 { entries[newer].older = older } else { newest = older }
    if older >= 0 { entries[older].newer = newer } else { oldest = newer }
  }

  private mutating func link(_ place: Int) {
    (entries[place].newer, entries[place].older) = (-1, newest)
    if newest >= 0 { entries[newest].newer = place } else { oldest = place }
    newest = place
  }
}
