/// The calls that were admitted and have not ended, oldest first: who holds a probe's slot, and who is already slow.
///
/// A list threaded through an array: a call begins at the end, ends anywhere, and the oldest is at the front. Everything is
/// O(1); becoming overdue is paid for once for each call.
struct CallsInFlight {
  /// What finds a call again; no two calls of a breaker have the same.
  struct ID: Hashable, Sendable {
    var index: Int32
    var serial: UInt64

    /// A call that is not followed.
    static let untracked = ID(index: -1, serial: 0)
  }

  private struct Entry {
    /// Zero when the place is free; then `next` is the next free place.
    var serial: UInt64
    var started: Int64
    var isOverdue: Bool
    var previous: Int32
    var next: Int32
  }

  /// How many there are.
  private(set) var count = 0

  /// How many of them were found to be slow already.
  private(set) var overdueCount = 0

  private var entries: [Entry] = []
  private var free: Int32 = -1
  private var oldest: Int32 = -1
  private var newest: Int32 = -1
  /// The oldest that is not overdue; everything in front of it is.
  private var oldestInTime: Int32 = -1
  private var lastSerial: UInt64 = 0

  /// A call begins.
  mutating func begin(at now: Int64) -> ID {
    lastSerial += 1
    var entry = Entry(
      serial: lastSerial, started: now, isOverdue: false, previous: newest, next: -1)
    let index: Int32
    if free >= 0 {
      index = free
      free = entries[Int(index)].next
      swap(&entries[Int(index)], &entry)
    } else {
      index = Int32(entries.count)
      entries.append(entry)
    }
    if newest >= 0 { entries[Int(newest)].next = index } else { oldest = index }
    newest = index
    if oldestInTime < 0 { oldestInTime = index }
    count += 1
    return ID(index: index, serial: lastSerial)
  }

  /// A call ends.
  ///
  /// - Returns: When it began; `nil` when it is not in the list any more.
  mutating func end(_ id: ID) -> Int64? {
    guard id.index >= 0, Int(id.index) < entries.count,
      entries[Int(id.index)].serial == id.serial
    else { return nil }
    return remove(id.index)
  }

  /// Marks the calls that began at an instant or before as overdue.
  mutating func markOverdue(startedBy limit: Int64) {
    while oldestInTime >= 0, entries[Int(oldestInTime)].started <= limit {
      entries[Int(oldestInTime)].isOverdue = true
      overdueCount += 1
      oldestInTime = entries[Int(oldestInTime)].next
    }
  }

  /// Forgets the calls that began at an instant or before.
  mutating func forget(startedBy limit: Int64) {
    while oldest >= 0, entries[Int(oldest)].started <= limit { _ = remove(oldest) }
  }

  /// Forgets all calls.
  mutating func forgetAll() {
    entries.removeAll(keepingCapacity: entries.count <= 64)
    (count, overdueCount, free, oldest, newest, oldestInTime) = (0, 0, -1, -1, -1, -1)
  }

  /// When the calls in the list began, oldest first.
  var starts: [Int64] {
    var starts: [Int64] = []
    var index = oldest
    while index >= 0 {
      starts.append(entries[Int(index)].started)
      index = entries[Int(index)].next
    }
    return starts
  }

  private mutating func remove(_ index: Int32) -> Int64 {
    let entry = entries[Int(index)]
    if entry.previous >= 0 {
      entries[Int(entry.previous)].next = entry.next
    } else {
      oldest = entry.next
    }
    if entry.next >= 0 {
      entries[Int(entry.next)].previous = entry.previous
    } else {
      newest = entry.previous
    }
    if oldestInTime == index { oldestInTime = entry.next }
    if entry.isOverdue { overdueCount -= 1 }
    count -= 1
    entries[Int(index)].serial = 0
    entries[Int(index)].next = free
    free = index
    return entry.started
  }
}
