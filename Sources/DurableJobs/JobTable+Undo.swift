/// What a job was before a change, to take the change back.
///
/// A store that applies first and writes afterwards needs it when the write fails: then nobody may ever have seen the change.
struct JobMemento {
  let entry: JobEntry
  /// Whether the job was not there before.
  let isNew: Bool
  /// `nil` for one that was not there.
  private let record: JobRecord?
  private let token: UInt64
  private let leaseEnd: Int64
  private let readyAt: Int64
  private let order: UInt64
  private let due: Int64
  let holdsKey: Bool
  private let isDated: Bool

  init(_ entry: JobEntry, isNew: Bool = false) {
    self.entry = entry
    self.isNew = isNew
    record = isNew ? nil : entry.record
    token = entry.token
    leaseEnd = entry.leaseEnd
    readyAt = entry.readyAt
    order = entry.order
    due = entry.due
    holdsKey = entry.holdsKey
    isDated = entry.isDated
  }

  /// Gives the job back what it had, its place apart.
  func apply() {
    if let record { entry.record = record }
    entry.token = token
    // A lease that was renewed meanwhile stays as long as it is.
    entry.leaseEnd = max(entry.leaseEnd, leaseEnd)
    entry.readyAt = readyAt
    entry.order = order
    entry.due = due
    entry.isDated = isDated
  }
}

extension JobTable {
  /// Takes changes back, the newest first.
  ///
  /// Identifiers and tokens that were given are not given again.
  mutating func undo(_ changes: [JobMemento]) {
    for change in changes.reversed() { undo(change) }
  }

  private mutating func undo(_ change: JobMemento) {
    let entry = change.entry
    let id = entry.record.id.rawValue
    if entries[id] === entry {
      leave(entry)
      if !entry.record.state.isEnd { live -= 1 }
      releaseKey(entry)
    }
    if change.isNew {
      entries[id] = nil
      return
    }
    entries[id] = entry
    change.apply()
    if change.holdsKey {
      entry.holdsKey = true
      if let slot = keySlot(of: entry.record.options.unique, kindIndex: entry.kindIndex) {
        keys[slot] = id
      }
    }
    if !entry.record.state.isEnd { live += 1 }
    stand(entry)
  }
}
