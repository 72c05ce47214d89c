internal import ReliabilityCore

// How a job goes from one place to the next.

extension JobTable {
  /// Takes a job out of where it stands.
  mutating func leave(_ entry: JobEntry) {
    entry.place = 0
    let priority = entry.record.priority
    switch entry.record.state {
    case .pending:
      pendingCounts[priority.rawValue] -= 1
      kinds[entry.kindIndex][priority].removed()
    case .scheduled:
      if entry.isDated { dated.removed() } else { delayed.removed() }
    case .retrying: delayed.removed()
    case .running: leases.removed()
    case .completed, .failed, .dead, .cancelled: ended.removed()
    }
    count(entry, in: entry.record.state, by: -1)
  }

  /// Gives a job a new place, in a state.
  mutating func take(_ entry: JobEntry, to state: JobState) {
    precondition(entry.record.state == state || entry.record.state.canBecome(state))
    entry.record.state = state
    entry.place = nextPlace
    nextPlace += 1
    count(entry, in: state, by: 1)
  }

  /// Puts a job into its line: at its rank if it has one, else at the end.
  mutating func makeReady(_ entry: JobEntry, now: Time) {
    if entry.order == 0 { (entry.readyAt, entry.due) = (now.monotonic, 0) }
    becomePending(entry)
  }

  /// A job whose heap has let it go, because its time has come.
  mutating func arrive(_ entry: JobEntry, now: Time) {
    count(entry, in: entry.record.state, by: -1)
    entry.readyAt = now.monotonic
    if entry.isDated { entry.due = 0 }
    becomePending(entry)
  }

  private mutating func becomePending(_ entry: JobEntry) {
    entry.isDated = false
    take(entry, to: .pending)
    queueUp(entry)
  }

  private mutating func queueUp(_ entry: JobEntry) {
    if entry.order == 0 { entry.order = entry.place }
    let priority = entry.record.priority
    pendingCounts[priority.rawValue] += 1
    kinds[entry.kindIndex][priority].insert(entry)
  }

  mutating func wait(_ entry: JobEntry, in state: JobState, until due: Int64) {
    entry.isDated = false
    entry.due = due
    take(entry, to: state)
    delayed.insert(entry, due: due)
  }

  mutating func end(_ entry: JobEntry, as state: JobState, note: String?, now: Time) {
    releaseKey(entry)
    take(entry, to: state)
    entry.order = entry.place
    entry.record.endedAt = now.wall
    if note != nil || entry.record.note != nil { entry.record.note = note }
    if state == .completed || state == .cancelled { entry.record.payload = [] }
    live -= 1
    ended.insert(entry)
    trimSurplus()
  }

  /// Gives a job its place as its record says: when it was read from a file, or a change was taken back.
  mutating func stand(_ entry: JobEntry) {
    entry.place = nextPlace
    nextPlace += 1
    count(entry, in: entry.record.state, by: 1)
    switch entry.record.state {
    case .pending: queueUp(entry)
    case .scheduled, .retrying:
      if entry.isDated {
        dated.insert(entry, due: entry.due)
      } else {
        delayed.insert(entry, due: entry.due)
      }
    case .running: leases.insert(entry, due: entry.leaseEnd)
    case .completed, .failed, .dead, .cancelled:
      if entry.order == 0 { entry.order = entry.place }
      ended.insert(entry)
    }
  }

  func kindIndexIfKnown(_ name: String) -> Int? {
    // Most stores have a few kinds, whose names are compared faster than one is hashed.
    if kinds.count <= 4 { return kinds.firstIndex { $0.name == name } }
    return kindIndices[name]
  }

  mutating func kindIndex(of name: String) -> Int {
    if let index = kindIndexIfKnown(name) { return index }
    kinds.append(Kind(name: name))
    kindIndices[name] = kinds.count - 1
    return kinds.count - 1
  }

  func keySlot(of unique: UniqueKey?, kindIndex: Int) -> KeySlot? {
    unique.map { KeySlot(kindIndex: $0.scope == .store ? -1 : kindIndex, key: $0.key) }
  }

  mutating func releaseKey(_ entry: JobEntry) {
    guard entry.holdsKey else { return }
    entry.holdsKey = false
    if let slot = keySlot(of: entry.record.options.unique, kindIndex: entry.kindIndex) {
      keys[slot] = nil
    }
  }
}

extension JobEntry {
  func note(_ failure: JobFailure) {
    record.attempts += 1
    record.failures.append(failure)
    let surplus = record.failures.count - JobRecord.failuresKept
    if surplus > 0 { record.failures.removeFirst(surplus) }
  }
}

extension JobState {
  var index: Int {
    switch self {
    case .scheduled: 0
    case .pending: 1
    case .running: 2
    case .retrying: 3
    case .completed: 4
    case .failed: 5
    case .dead: 6
    case .cancelled: 7
    }
  }
}

extension Int64 {
  /// The sum, limited to what an `Int64` holds.
  func adding(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other < 0 ? .min : .max) : sum
  }

  /// The difference, limited to what an `Int64` holds.
  func subtracting(_ other: Int64) -> Int64 {
    let (difference, overflow) = subtractingReportingOverflow(other)
    return overflow ? (other < 0 ? .max : .min) : difference
  }
}
