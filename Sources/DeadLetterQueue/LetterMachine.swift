/// Which letters there are, which may come and which must go: every rule of the queue, without disk, time and tasks.
///
/// A letter is arriving, then resting; a redrive or a departure takes it, and it rests again when that fails. What a
/// letter's state forbids is refused here, so no letter is redriven twice at once or discarded while it is redriven.
struct LetterMachine: Sendable {
  struct Limits: Sendable {
    var capacity = 10_000
    var maximumBytes = 256 << 20
    /// Whether the oldest leave when there is no room; else the new one is refused.
    var makesRoom = false
    var alert = DeadLetterConfiguration.Alert()
  }

  enum Admission: Equatable {
    /// With this id, once those have gone.
    case admitted(UInt64, leaving: [UInt64])
    case full
  }

  /// What arrivals have led to.
  enum Warning: Equatable {
    case piledUp(Int)
    case arrivingFast(Int)
  }

  let limits: Limits
  private(set) var table = LetterTable()
  private(set) var kinds = WordTable()
  private(set) var categories = WordTable()
  private(set) var fingerprints = WordTable()
  private(set) var nextID: UInt64 = 1
  /// Bytes of all letters that are not leaving.
  private(set) var bytes = 0
  private var leaving = 0
  private(set) var redriving = 0
  private var arriving = 0

  private var hasWarned = false
  private var window = (start: Int64.min, arrivals: 0, hasWarned: false)

  init(_ limits: Limits) { self.limits = limits }

  /// Letters that have arrived and not gone.
  var count: Int { table.count - arriving }
  /// Letters for which there must be room.
  private var occupied: Int { table.count - leaving }
}

// MARK: - Coming

extension LetterMachine {
  /// Gives a letter an id and a place, or refuses it.
  ///
  /// - Parameters:
  ///   - head: What filters ask for.
  ///   - size: Its bytes.
  ///   - arrived: When, by the queue's clock.
  mutating func admit(_ head: LetterHead, size: Int, arrived: Int64) -> Admission {
    // Ids are never used twice, not even the last one.
    if size > limits.maximumBytes || nextID == .max { return .full }
    var victims: [Int] = []
    var room = limits.capacity - occupied
    var free = limits.maximumBytes - bytes
    if room < 1 || free < size {
      guard limits.makesRoom else { return .full }
      var index = table.start
      while room < 1 || free < size {
        guard index < table.entries.count else { return .full }
        if table[index].state == .resting {
          victims.append(index)
          room += 1
          free += table[index].size
        }
        index += 1
      }
    }
    for index in victims { startLeaving(index) }
    let ids = victims.map { table[$0].id }
    let id = nextID
    nextID += 1
    insert(id, head, size: size, arrived: arrived, place: .memory([]), state: .arriving)
    arriving += 1
    return .admitted(id, leaving: ids)
  }

  /// Its record is written.
  mutating func arrive(_ id: UInt64, at place: LetterPlace, now: Int64) -> [Warning] {
    guard let index = table.index(of: id), table[index].state == .arriving else { return [] }
    table[index].state = .resting
    table[index].place = place
    arriving -= 1
    return warnings(now: now)
  }

  /// Its record was not written.
  mutating func giveUpArrival(_ id: UInt64) {
    guard let index = table.index(of: id), table[index].state == .arriving else { return }
    arriving -= 1
    remove(index)
  }

  /// Takes in a letter that was found in the log; the last one of an id counts.
  mutating func load(
    _ id: UInt64, _ head: LetterHead, size: Int, arrived: Int64, place: LetterPlace
  ) {
    if let index = table.index(of: id) { remove(index) }
    if id < .max { nextID = max(nextID, id + 1) }
    insert(id, head, size: size, arrived: arrived, place: place, state: .resting)
  }

  mutating func loadNextID(_ id: UInt64) { nextID = max(nextID, id) }

  mutating func loadRedrives(_ id: UInt64, count: Int) {
    guard let index = table.index(of: id) else { return }
    table[index].redrives = Int32(clamping: count)
  }

  mutating func loadDeparture(_ ids: [UInt64]) {
    for id in ids {
      if id < .max { nextID = max(nextID, id + 1) }
      if let index = table.index(of: id) { remove(index) }
    }
  }

  private mutating func insert(
    _ id: UInt64, _ head: LetterHead, size: Int, arrived: Int64, place: LetterPlace,
    state: LetterEntry.State
  ) {
    table.insert(
      LetterEntry(
        id: id, state: state, kind: kinds.use(head.kind), category: categories.use(head.category),
        fingerprint: fingerprints.use(head.fingerprint), redrives: Int32(clamping: head.redrives),
        recordedRedrives: Int32(clamping: head.redrives), arrived: arrived,
        firstFailure: head.firstFailure, lastFailure: head.lastFailure, size: size, place: place))
    bytes += size
  }

  private mutating func warnings(now: Int64) -> [Warning] {
    var warnings: [Warning] = []
    if let limit = limits.alert.count {
      if count > limit {
        if !hasWarned { warnings.append(.piledUp(count)) }
        hasWarned = true
      }
    }
    if let limit = limits.alert.arrivals {
      let (age, overflow) = now.subtractingReportingOverflow(window.start)
      if overflow || age >= limits.alert.window.nanoseconds { window = (now, 0, false) }
      window.arrivals += 1
      if window.arrivals > limit && !window.hasWarned {
        window.hasWarned = true
        warnings.append(.arrivingFast(window.arrivals))
      }
    }
    return warnings
  }
}

// MARK: - Going

extension LetterMachine {
  private mutating func startLeaving(_ index: Int) {
    table[index].state = .leaving
    leaving += 1
    bytes -= table[index].size
  }

  /// Takes letters for a departure; those that a redrive or another departure has stay out.
  mutating func beginDeparture(_ ids: some Sequence<UInt64>) -> [UInt64] {
    var taken: [UInt64] = []
    for id in ids {
      guard let index = table.index(of: id), table[index].state == .resting else { continue }
      startLeaving(index)
      taken.append(id)
    }
    return taken
  }

  /// They have gone.
  ///
  /// - Returns: Those whose records went bad before.
  @discardableResult
  mutating func depart(_ ids: [UInt64]) -> [UInt64] {
    var lost: [UInt64] = []
    for id in ids {
      guard let index = table.index(of: id), table[index].state == .leaving else { continue }
      if table[index].place.isLost { lost.append(id) }
      remove(index)
    }
    return lost
  }

  /// Their departure was not written: they stay.
  ///
  /// - Returns: Those that can't stay, because their records went bad meanwhile.
  @discardableResult
  mutating func giveUpDeparture(_ ids: [UInt64]) -> [UInt64] {
    var lost: [UInt64] = []
    for id in ids {
      guard let index = table.index(of: id), table[index].state == .leaving else { continue }
      if table[index].place.isLost {
        lost.append(id)
        remove(index)
        continue
      }
      table[index].state = .resting
      leaving -= 1
      bytes += table[index].size
    }
    return lost
  }

  /// A letter whose record can't be read any more; who has it decides first, as a redrive that fails writes it anew.
  ///
  /// - Returns: Whether it has gone with that.
  mutating func loseRecord(_ id: UInt64) -> Bool {
    guard let index = table.index(of: id), table[index].state != .arriving else { return false }
    guard table[index].state == .resting else {
      table[index].place = .lost
      return false
    }
    remove(index)
    return true
  }

  private mutating func remove(_ index: Int) {
    let entry = table[index]
    switch entry.state {
    case .leaving: leaving -= 1
    case .redriving:
      redriving -= 1
      bytes -= entry.size
    default: bytes -= entry.size
    }
    kinds.giveUp(entry.kind)
    categories.giveUp(entry.category)
    fingerprints.giveUp(entry.fingerprint)
    table.remove(at: index)
    // Four fifths, rounded down, of any number without an overflow.
    if let limit = limits.alert.count, count <= limit - limit / 5 - (limit % 5 == 0 ? 0 : 1) {
      hasWarned = false
    }
  }

  /// What is past its retention, oldest first.
  func expired(maximumAge: Int64?, maximumCount: Int?, now: Int64) -> [UInt64] {
    var excess = maximumCount.map { max(0, table.count - arriving - leaving - $0) } ?? 0
    var ids: [UInt64] = []
    for index in table.start..<table.entries.count where table[index].state == .resting {
      let isOld = maximumAge.map { LetterMachine.age(table[index].arrived, now) >= $0 } ?? false
      guard isOld || excess > 0 else {
        if maximumAge == nil { break }
        continue
      }
      if excess > 0 { excess -= 1 }
      ids.append(table[index].id)
    }
    return ids
  }

  static func age(_ arrived: Int64, _ now: Int64) -> Int64 {
    let (age, overflow) = now.subtractingReportingOverflow(arrived)
    return overflow ? (now > arrived ? .max : 0) : max(0, age)
  }
}

// MARK: - Redriving

extension LetterMachine {
  /// Takes a letter for a redrive.
  ///
  /// - Returns: Which redrive of it this is, from 1; `nil` when it has gone or something else has it.
  mutating func beginRedrive(_ id: UInt64) -> Int? {
    guard let index = table.index(of: id), table[index].state == .resting else { return nil }
    table[index].state = .redriving
    redriving += 1
    if table[index].redrives < .max { table[index].redrives += 1 }
    return Int(table[index].redrives)
  }

  /// The redrive succeeded, and the departure is written.
  mutating func finishRedrive(_ id: UInt64) {
    guard let index = table.index(of: id), table[index].state == .redriving else { return }
    remove(index)
  }

  /// The redrive failed, and the letter was written anew.
  mutating func returnFromRedrive(
    _ id: UInt64, _ head: LetterHead, size: Int, arrived: Int64, place: LetterPlace
  ) {
    guard let index = table.index(of: id), table[index].state == .redriving else { return }
    redriving -= 1
    bytes += size - table[index].size
    let (category, fingerprint) = (table[index].category, table[index].fingerprint)
    table[index].category = categories.use(head.category)
    table[index].fingerprint = fingerprints.use(head.fingerprint)
    categories.giveUp(category)
    fingerprints.giveUp(fingerprint)
    table[index].state = .resting
    table[index].recordedRedrives = Int32(clamping: head.redrives)
    table[index].arrived = arrived
    table[index].lastFailure = head.lastFailure
    table[index].size = size
    table[index].place = place
  }

  /// The redrive came to nothing: the letter is as it was.
  ///
  /// - Parameter counts: Whether it was one.
  /// - Returns: How many there were then; `isLost` when its record went bad meanwhile, and the letter has gone with it.
  @discardableResult
  mutating func giveUpRedrive(_ id: UInt64, counts: Bool) -> (redrives: Int, isLost: Bool)? {
    guard let index = table.index(of: id), table[index].state == .redriving else { return nil }
    if table[index].place.isLost {
      defer { remove(index) }
      return (Int(table[index].redrives), true)
    }
    redriving -= 1
    table[index].state = .resting
    if !counts && table[index].redrives > table[index].recordedRedrives {
      table[index].redrives -= 1
    }
    return (Int(table[index].redrives), false)
  }
}

// MARK: - Places

extension LetterMachine {
  /// Where the records of letters are; `nil` for those that have gone, not arrived, or nowhere.
  func places(of ids: some Sequence<UInt64>) -> [(place: LetterPlace, redrives: Int)?] {
    ids.map { id in
      guard let index = table.index(of: id), table[index].state != .arriving,
        !table[index].place.isLost
      else { return nil }
      return (table[index].place, Int(table[index].redrives))
    }
  }

  /// Moves records after a compaction.
  mutating func move(_ newPlace: (UInt64, LetterPlace) -> LetterPlace?) {
    for index in table.start..<table.entries.count where table[index].state != .gone {
      if let place = newPlace(table[index].id, table[index].place) { table[index].place = place }
    }
  }

  /// The bytes a log would have after a compaction, about.
  var storedBytes: Int { bytes }
}
