/// Who waits for a log, and whose turn it is to lead: the pure part of group commit.
///
/// The first to come leads: it gets the lock and sends everybody's records to the disk in rounds. Who comes meanwhile
/// joins the next round. When the leader's hold ends and somebody still waits, the first of them leads.
struct LogQueue<Entry: AnyObject> {
  enum Admission: Equatable {
    case lead, wait, refused
  }

  private(set) var waiting: [Entry] = []
  private(set) var hasLeader = false
  /// How many of those who have come are the last.
  private var lastOnes = 0

  var isClosed: Bool { lastOnes > 0 }

  /// Lets an entry in.
  mutating func add(_ entry: Entry) -> Admission {
    isClosed ? .refused : admit(entry)
  }

  private mutating func admit(_ entry: Entry) -> Admission {
    waiting.append(entry)
    if hasLeader { return .wait }
    hasLeader = true
    return .lead
  }

  /// Lets the last entry in, or one more of those who want to be.
  mutating func close(with entry: Entry) -> Admission {
    lastOnes += 1
    return admit(entry)
  }

  /// Lets entries in again, unless there is another last one: this one was withdrawn.
  mutating func reopen() { lastOnes -= 1 }

  /// Takes those who wait, in order, up to a weight; the first in any case.
  mutating func takeRound(limit: Int, weight: (Entry) -> Int) -> [Entry] {
    var total = 0
    var count = 0
    for entry in waiting {
      total += weight(entry)
      if count > 0 && total > limit { break }
      count += 1
    }
    if count == waiting.count {
      defer { waiting = [] }
      return waiting
    }
    defer { waiting.removeFirst(count) }
    return Array(waiting[..<count])
  }

  /// Takes an entry back.
  ///
  /// - Returns: `false` when a round has taken it, or it never was in.
  mutating func withdraw(_ entry: Entry) -> Bool {
    guard let index = waiting.firstIndex(where: { $0 === entry }) else { return false }
    waiting.remove(at: index)
    return true
  }

  /// Ends the leader's turn.
  ///
  /// - Returns: Who leads now, and still waits.
  mutating func endTurn() -> Entry? {
    hasLeader = !waiting.isEmpty
    return waiting.first
  }
}
