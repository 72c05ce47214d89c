/// Where a letter's record is.
enum LetterPlace: Sendable {
  /// In memory, the whole record.
  case memory([UInt8])
  /// In the log.
  case log(AppendLog.Place, generation: UInt64)
  /// Nowhere: it went bad while a redrive or a departure had the letter.
  case lost

  var isLost: Bool { if case .lost = self { true } else { false } }
}

/// What the index knows of a letter: a hundred bytes, whatever its payload.
struct LetterEntry: Sendable {
  enum State: UInt8, Sendable {
    /// Its record is being written.
    case arriving
    case resting
    /// A redrive has it.
    case redriving
    /// The record of its departure is being written.
    case leaving
    /// It left; the entry is a gap.
    case gone
  }

  let id: UInt64
  var state: State
  /// Numbers of words; see ``WordTable``.
  var kind: Int32
  var category: Int32
  var fingerprint: Int32
  /// Redrives that have begun, and how many of them the letter's record knows.
  var redrives: Int32 = 0
  var recordedRedrives: Int32 = 0
  /// When it arrived, in nanoseconds of the queue's clock; may lie before the queue was opened.
  var arrived: Int64
  var firstFailure: Int64
  var lastFailure: Int64
  /// Bytes as they are stored.
  var size: Int
  var place: LetterPlace
}

/// Words that many letters share, each stored once and for as long as a letter has it.
struct WordTable: Sendable {
  private(set) var words: [String] = []
  private var uses: [Int] = []
  private var numbers: [String: Int32] = [:]
  private var free: [Int32] = []

  subscript(number: Int32) -> String { words[Int(number)] }

  func number(of word: String) -> Int32? { numbers[word] }

  var count: Int { numbers.count }

  mutating func use(_ word: String) -> Int32 {
    if let number = numbers[word] {
      uses[Int(number)] += 1
      return number
    }
    let number: Int32
    if let reused = free.popLast() {
      number = reused
      words[Int(number)] = word
      uses[Int(number)] = 1
    } else {
      number = Int32(words.count)
      words.append(word)
      uses.append(1)
    }
    numbers[word] = number
    return number
  }

  mutating func giveUp(_ number: Int32) {
    uses[Int(number)] -= 1
    guard uses[Int(number)] == 0 else { return }
    numbers[words[Int(number)]] = nil
    words[Int(number)] = ""
    free.append(number)
  }
}

/// The entries by ascending id.
///
/// Letters come at the end and leave anywhere: a departure leaves a gap, and when there are more gaps than letters they
/// are closed. So everything costs O(1) on the whole, and a look-up O(log n).
struct LetterTable: Sendable {
  private(set) var entries: ContiguousArray<LetterEntry> = []
  private var gaps = 0
  /// Before this index there are only gaps.
  private(set) var start = 0

  var count: Int { entries.count - gaps }

  /// The first index whose id is not below.
  func lowerBound(_ id: UInt64) -> Int { lowerBound(id, from: start) }

  private func lowerBound(_ id: UInt64, from start: Int) -> Int {
    var low = start
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].id < id { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Where a letter is that has not gone.
  func index(of id: UInt64) -> Int? {
    let index = lowerBound(id)
    guard index < entries.count, entries[index].id == id, entries[index].state != .gone else {
      return nil
    }
    return index
  }

  subscript(index: Int) -> LetterEntry {
    get { entries[index] }
    _modify { yield &entries[index] }
  }

  mutating func insert(_ entry: LetterEntry) {
    if let last = entries.last, last.id >= entry.id {
      // Among the gaps at the beginning too.
      let index = lowerBound(entry.id, from: 0)
      if index < entries.count, entries[index].id == entry.id {
        if entries[index].state == .gone { gaps -= 1 }
        entries[index] = entry
      } else {
        entries.insert(entry, at: index)
      }
      start = min(start, index)
    } else {
      entries.append(entry)
    }
  }

  mutating func remove(at index: Int) {
    entries[index].state = .gone
    entries[index].place = .memory([])
    gaps += 1
    while start < entries.count, entries[start].state == .gone { start += 1 }
    if gaps > 64 && gaps > entries.count / 2 {
      entries.removeAll { $0.state == .gone }
      gaps = 0
      start = 0
    }
  }
}
