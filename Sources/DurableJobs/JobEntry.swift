internal import ReliabilityCore

/// A job in the table, with what only the table knows about it.
///
/// An object, so that the lines and heaps it stands in need no look-up; owned by one table, and touched by it alone.
final class JobEntry {
  var record: JobRecord
  let kindIndex: Int
  /// The latest fencing token; zero before the first claim.
  var token: UInt64 = 0
  /// Until when the lease runs, on the monotonic clock.
  var leaseEnd: Int64 = 0
  /// When it became ready, on the monotonic clock; kept while it runs, for the case that it comes back.
  var readyAt: Int64 = 0
  /// Its rank in its line, or among the ended ones; zero when it is to get the last one.
  ///
  /// A job that is given back, or whose worker was lost, keeps its rank: it goes where it came from.
  var order: UInt64 = 0
  /// When it is due, or was when it is ready: on the monotonic clock, or on the wall clock while it waits for a date.
  ///
  /// Zero for one that did not wait.
  var due: Int64 = 0
  /// Its place in the line, heap or list it stands in.
  ///
  /// A place that holds another number is a leftover of an earlier time, and passed over.
  var place: UInt64 = 0
  var holdsKey = false
  /// Whether it waits for a date of the wall clock.
  var isDated = false
  init(_ record: JobRecord, kindIndex: Int) {
    self.record = record
    self.kindIndex = kindIndex
  }
}

/// Ready jobs of one kind and priority, in the order of their ranks.
///
/// Most come in at the end and leave at the beginning; who comes back has its place there. Who leaves from the middle leaves a hole; when there are more holes than jobs, the line closes up.
struct ReadyLine {
  struct Stand {
    var entry: JobEntry
    var place: UInt64
    var order: UInt64
    var isTaken: Bool { entry.place == place }
  }

  // Only those before the head are nil.
  private var stands: [Stand?] = []
  private var head = 0
  private(set) var count = 0

  /// How many places it keeps, holes included.
  var footprint: Int { stands.count }

  /// Lets a job in at its rank.
  ///
  /// - Complexity: O(1) at the end, and before the first one when that has left; O(count) in between.
  mutating func insert(_ entry: JobEntry) {
    let stand = Stand(entry: entry, place: entry.place, order: entry.order)
    count += 1
    guard head < stands.count, let last = stands[stands.count - 1], last.order > stand.order else {
      stands.append(stand)
      return
    }
    if head > 0, let first = stands[head], first.order > stand.order {
      head -= 1
      stands[head] = stand
      return
    }
    var (low, high) = (head, stands.count - 1)
    while low < high {
      let middle = (low + high) / 2
      if let other = stands[middle], other.order > stand.order {
        high = middle
      } else {
        low = middle + 1
      }
    }
    stands.insert(stand, at: low)
  }

  /// The first one.
  mutating func first() -> JobEntry? {
    while head < stands.count {
      if let stand = stands[head], stand.isTaken { return stand.entry }
      stands[head] = nil
      head += 1
    }
    stands.removeAll(keepingCapacity: stands.count < 4096)
    head = 0
    return nil
  }

  /// Takes the first one out, which `first()` has just found.
  mutating func removeFirst() {
    stands[head] = nil
    head += 1
    count -= 1
    closeUp()
  }

  private mutating func closeUp() {
    guard head > 64, head * 2 > stands.count else { return }
    stands.removeFirst(head)
    head = 0
  }

  /// Somebody left, whose place number has changed by now.
  mutating func removed() {
    count -= 1
    closeUp()
    guard stands.count - head > 64, (stands.count - head) > count * 2 else { return }
    stands = stands[head...].filter { $0?.isTaken == true }
    head = 0
  }
}

/// Jobs that wait for a moment, earliest first: a binary heap that passes over leftovers.
struct DueHeap {
  private struct Stand {
    var due: Int64
    var place: UInt64
    var entry: JobEntry
    var isTaken: Bool { entry.place == place }

    static func < (lhs: Stand, rhs: Stand) -> Bool {
      lhs.due != rhs.due ? lhs.due < rhs.due : lhs.place < rhs.place
    }
  }

  private var stands: [Stand] = []
  private(set) var count = 0

  /// How many places it keeps, leftovers included.
  var footprint: Int { stands.count }

  mutating func insert(_ entry: JobEntry, due: Int64) {
    stands.append(Stand(due: due, place: entry.place, entry: entry))
    count += 1
    var child = stands.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard stands[child] < stands[parent] else { break }
      stands.swapAt(child, parent)
      child = parent
    }
  }

  /// The moment of the first one.
  mutating func firstDue() -> Int64? {
    while let first = stands.first {
      if first.isTaken { return first.due }
      removeTop()
    }
    return nil
  }

  /// The first one, which `firstDue()` has just found.
  var top: JobEntry? { stands.first?.entry }

  /// Takes the first one out if its moment has come.
  mutating func popFirst(due now: Int64) -> JobEntry? {
    guard let due = firstDue(), due <= now else { return nil }
    let entry = stands[0].entry
    removeTop()
    count -= 1
    return entry
  }

  /// Somebody left, whose place number has changed by now.
  mutating func removed() {
    count -= 1
    guard stands.count > 64, stands.count > count * 2 else { return }
    stands = stands.filter(\.isTaken)
    for parent in stride(from: stands.count / 2 - 1, through: 0, by: -1) { sink(parent) }
  }

  private mutating func removeTop() {
    stands.swapAt(0, stands.count - 1)
    stands.removeLast()
    sink(0)
  }

  private mutating func sink(_ start: Int) {
    var parent = start
    while true {
      var child = parent * 2 + 1
      guard child < stands.count else { return }
      if child + 1 < stands.count, stands[child + 1] < stands[child] { child += 1 }
      guard stands[child] < stands[parent] else { return }
      stands.swapAt(child, parent)
      parent = child
    }
  }
}
