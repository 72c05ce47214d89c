internal import DeadLetterQueue
internal import ReliabilityCore

// The records that say what happened to jobs that are there.

extension JobReplay {
  /// A change of one job.
  struct Change {
    var at: Int64 = 0
    var delay: Int64?
    var due: Int64 = 0
    var isDead = false
    var failure: JobFailure?
    var note: String?
  }

  mutating func change(
    _ cursor: inout JSONCursor, _ apply: (JobEntry, Change) -> Void
  ) -> Bool {
    guard let id = cursor.identifier() else { return false }
    var change = Change()
    var up: Int64 = 0
    while let name = cursor.nextName() {
      switch String(decoding: name, as: UTF8.self) {
      case "at": change.at = cursor.integer() ?? 0
      case "up": up = cursor.integer() ?? 0
      case "after_ns": change.delay = cursor.integer()
      case "dead": change.isDead = cursor.isTrue()
      case "failure": if let value = cursor.skipValue() { change.failure = JobFailure(text: value) }
      case "note": change.note = cursor.string()
      default: cursor.skipValue()
      }
    }
    if let delay = change.delay { change.due = due(delay, wall: change.at, up: up) }
    meet(id)
    guard let entry = table.entries[id], !entry.record.state.isEnd else {
      strayChanges += 1
      return true
    }
    apply(entry, change)
    if entry.record.state != .pending {
      // Among those that end, or are due, at the same moment, the first to be told is the first.
      entry.order = sequence
      sequence += 1
    }
    if entry.record.state.isEnd { unknownMembers[id]?.ofJob = [] }
    return true
  }

  mutating func readClaim(_ cursor: inout JSONCursor) -> Bool {
    guard cursor.enterArray() else { return false }
    var claimed: [JobEntry?] = []
    while cursor.hasNextElement() {
      guard let id = cursor.identifier() else { return false }
      meet(id)
      claimed.append(table.entries[id])
    }
    guard cursor.nextName()?.elementsEqual("token".utf8) == true, var token = cursor.identifier()
    else { return false }
    for entry in claimed {
      if let entry, !entry.record.state.isEnd {
        entry.becomeReady()
        entry.record.state = .running
        entry.record.crashes += 1
        entry.token = token
        if entry.record.options.unique?.release == .started { entry.holdsKey = false }
      } else {
        strayChanges += 1
      }
      token += 1
    }
    head.tokens = max(head.tokens, token)
    cursor.leaveObject()
    return true
  }

  mutating func readRedrive(_ cursor: inout JSONCursor) -> Bool {
    guard let id = cursor.identifier() else { return false }
    var at: Int64 = 0
    var up: Int64 = 0
    while let name = cursor.nextName() {
      switch String(decoding: name, as: UTF8.self) {
      case "at": at = cursor.integer() ?? 0
      case "up": up = cursor.integer() ?? 0
      default: cursor.skipValue()
      }
    }
    meet(id)
    guard let entry = table.entries[id],
      entry.record.state == .failed || entry.record.state == .dead
    else {
      strayChanges += 1
      return true
    }
    entry.record.state = .pending
    entry.record.attempts = 0
    entry.record.crashes = 0
    entry.record.redrives += 1
    entry.record.endedAt = nil
    entry.holdsKey = entry.record.options.unique != nil
    entry.readyAt = now.monotonic.subtracting(age(wall: at, up: up))
    entry.due = 0
    entry.order = sequence
    sequence += 1
    return true
  }

  /// A number that must not be given again, also when the record of the job is lost.
  mutating func meet(_ id: UInt64) { head.nextID = max(head.nextID, id + 1) }
}

extension JobEntry {
  /// The time that a job waited for has come: it counts as ready since then.
  func becomeReady() {
    guard record.state == .scheduled || record.state == .retrying else { return }
    // Of a date it is not known when it came by the monotonic clock; such a job begins to age now.
    if isDated { due = 0 } else { readyAt = due }
    isDated = false
  }

  func settle(as state: JobState) {
    record.state = state
    record.crashes = 0
    isDated = false
  }

  func end(as state: JobState, _ change: JobReplay.Change) {
    settle(as: state)
    record.endedAt = change.at
    record.note = change.note
    if state == .completed || state == .cancelled { record.payload = [] }
    holdsKey = false
  }
}
