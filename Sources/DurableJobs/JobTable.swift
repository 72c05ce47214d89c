internal import ReliabilityCore

/// The jobs of a store and everything that happens to them: the pure part.
///
/// Events come with the time, answers go out; nothing here waits, sleeps or calls anybody. Every change of state goes
/// through ``leave(_:)`` and one of the ways to arrive, so a job stands in one place at a time.
struct JobTable {
  /// What it goes by.
  struct Rules {
    var capacity = 1000
    /// How long a job waits until it counts as one level more important, in nanoseconds.
    var agingStep: Int64 = 150_000_000_000
    /// How many ended jobs are kept, and for how long.
    var endedKept = 1000
    var endedAge: Int64 = 86_400_000_000_000
    /// How long a jump of the wall clock may go unnoticed.
    var datePoll: Int64 = 60_000_000_000
  }

  /// A moment on both clocks, in nanoseconds.
  struct Time {
    var monotonic: Int64
    var wall: Int64
  }

  /// The ready jobs of one kind.
  struct Kind {
    var name: String
    var lines: (ReadyLine, ReadyLine, ReadyLine, ReadyLine, ReadyLine) = (
      ReadyLine(), ReadyLine(), ReadyLine(), ReadyLine(), ReadyLine()
    )
    /// Ready, running and retrying ones.
    var active = 0

    subscript(priority: JobPriority) -> ReadyLine {
      get {
        switch priority {
        case .lowest: lines.0
        case .low: lines.1
        case .normal: lines.2
        case .high: lines.3
        case .critical: lines.4
        }
      }
      _modify {
        switch priority {
        case .lowest: yield &lines.0
        case .low: yield &lines.1
        case .normal: yield &lines.2
        case .high: yield &lines.3
        case .critical: yield &lines.4
        }
      }
    }
  }

  struct KeySlot: Hashable {
    var kindIndex: Int
    var key: String
  }

  var rules: Rules
  var entries: [UInt64: JobEntry] = [:]
  var kinds: [Kind] = []
  var kindIndices: [String: Int] = [:]
  var keys: [KeySlot: UInt64] = [:]
  /// Retries and delays.
  var delayed = DueHeap()
  /// Jobs that wait for a date.
  var dated = DueHeap()
  var leases = DueHeap()
  var ended = EndedList()
  var live = 0
  private(set) var stateCounts = [Int](repeating: 0, count: JobState.allCases.count)
  var pendingCounts = [Int](repeating: 0, count: JobPriority.allCases.count)
  var nextID: UInt64 = 1
  var nextToken: UInt64 = 1
  var nextPlace: UInt64 = 1
  /// Whether the latest start went to a job that had aged.
  var lastWasAged = false
  /// What jobs were before each change, oldest first, for who may have to take changes back; `nil` for who never has to.
  var history: [JobMemento]?

  init(_ rules: Rules = Rules()) { self.rules = rules }

  subscript(id: JobID) -> JobRecord? { entries[id.rawValue]?.record }

  func count(_ state: JobState) -> Int { stateCounts[state.index] }
  mutating func count(_ entry: JobEntry, in state: JobState, by change: Int) {
    stateCounts[state.index] += change
    if !state.isEnd, state != .scheduled { kinds[entry.kindIndex].active += change }
  }

  /// How many places all lines and heaps keep, for tests of memory.
  var footprint: Int {
    entries.count + delayed.footprint + dated.footprint + leases.footprint + ended.footprint
      + kinds.reduce(0) { total, kind in
        total + JobPriority.allCases.reduce(0) { $0 + kind[$1].footprint }
      }
  }

  func pendingCount(_ level: Int) -> Int { pendingCounts[level] }
  mutating func count(pending priority: JobPriority, by change: Int) {
    pendingCounts[priority.rawValue] += change
  }
}

// MARK: The life of a job

extension JobTable {
  /// Puts jobs in, all or none.
  mutating func insert(
    _ jobs: [JobSubmission], now: Time
  ) throws(QueueFullError) -> [JobInsertion] {
    if live + jobs.count > rules.capacity {
      // Only now is it worth counting which of them are there already.
      var seen: Set<KeySlot> = []
      var new = 0
      for job in jobs {
        let slot = keySlot(of: job.options.unique, kindIndex: kindIndex(of: job.kind))
        if let slot, keys[slot] != nil || !seen.insert(slot).inserted { continue }
        new += 1
      }
      if live + new > rules.capacity {
        throw QueueFullError(capacity: rules.capacity, live: live, submitted: new)
      }
    }
    var result: [JobInsertion] = []
    result.reserveCapacity(jobs.count)
    for job in jobs { result.append(insert(job, now: now)) }
    return result
  }

  private mutating func insert(_ job: JobSubmission, now: Time) -> JobInsertion {
    let index = kindIndex(of: job.kind)
    let slot = keySlot(of: job.options.unique, kindIndex: index)
    if let slot, let id = keys[slot] {
      return JobInsertion(id: JobID(rawValue: id), isDuplicate: true)
    }
    let id = nextID
    nextID += 1
    let record = JobRecord(
      id: JobID(rawValue: id), kind: kinds[index].name, payload: job.payload, state: .scheduled,
      enqueuedAt: now.wall, terms: job.terms)
    let entry = JobEntry(record, kindIndex: index)
    history?.append(JobMemento(entry, isNew: true))
    entries[id] = entry
    if let slot {
      keys[slot] = id
      entry.holdsKey = true
    }
    live += 1
    switch job.options.start {
    case .now: makeReady(entry, now: now)
    case .after(let delay):
      if delay <= .zero {
        makeReady(entry, now: now)
      } else {
        wait(entry, in: .scheduled, until: now.monotonic.adding(delay.nanoseconds))
      }
    case .at(let date):
      if date.nanosecondsSince1970 <= now.wall {
        makeReady(entry, now: now)
      } else {
        entry.isDated = true
        entry.due = date.nanosecondsSince1970
        take(entry, to: .scheduled)
        dated.insert(entry, due: entry.due)
      }
    }
    return JobInsertion(id: JobID(rawValue: id), isDuplicate: false)
  }

  /// Says what became of a claimed job.
  ///
  /// - Returns: `false` when the token isn't its latest.
  mutating func settle(_ settlement: JobSettlement, now: Time) -> Bool {
    let lease = settlement.lease
    guard let entry = entries[lease.id.rawValue], entry.record.state == .running,
      entry.token == lease.token
    else { return false }
    history?.append(JobMemento(entry))
    leave(entry)
    if entry.record.crashes != 0 { entry.record.crashes = 0 }
    switch settlement.outcome {
    case .completed(let note): end(entry, as: .completed, note: note, now: now)
    case .cancelled(let reason): end(entry, as: .cancelled, note: reason, now: now)
    case .failed(let failure, let isDead):
      entry.note(failure)
      end(entry, as: isDead ? .dead : .failed, note: nil, now: now)
    case .retry(let delay, let failure):
      entry.note(failure)
      entry.order = 0
      wait(entry, in: .retrying, until: now.monotonic.adding(delay.nanoseconds))
    case .released(let delay):
      if delay <= .zero {
        makeReady(entry, now: now)
      } else {
        entry.order = 0
        wait(entry, in: .scheduled, until: now.monotonic.adding(delay.nanoseconds))
      }
    }
    return true
  }

  /// Ends a job that has not ended.
  ///
  /// - Returns: The state it was in.
  mutating func cancel(_ id: JobID, reason: String, now: Time) -> JobState? {
    guard let entry = entries[id.rawValue] else { return nil }
    let before = entry.record.state
    if before.isEnd { return before }
    history?.append(JobMemento(entry))
    leave(entry)
    // No result of a body that is still running is accepted from here on.
    entry.token = 0
    end(entry, as: .cancelled, note: reason, now: now)
    return before
  }

  /// Makes a failed or dead job ready once more.
  mutating func redrive(_ id: JobID, now: Time) -> Bool {
    guard let entry = entries[id.rawValue],
      entry.record.state == .failed || entry.record.state == .dead, live < rules.capacity
    else { return false }
    let slot = keySlot(of: entry.record.options.unique, kindIndex: entry.kindIndex)
    if let slot, keys[slot] != nil { return false }
    history?.append(JobMemento(entry))
    if let slot {
      keys[slot] = id.rawValue
      entry.holdsKey = true
    }
    leave(entry)
    entry.record.attempts = 0
    entry.record.crashes = 0
    entry.record.redrives += 1
    entry.record.endedAt = nil
    entry.order = 0
    live += 1
    makeReady(entry, now: now)
    return true
  }

  /// Forgets ended jobs that are too old or too many.
  mutating func trim(now: Time) -> [JobID] {
    var removed: [JobID] = []
    while let oldest = ended.first() {
      // A wall clock that went back makes nothing older.
      let age = now.wall.subtracting(oldest.record.endedAt ?? now.wall)
      guard ended.count > rules.endedKept || age > rules.endedAge else { break }
      leave(oldest)
      entries[oldest.record.id.rawValue] = nil
      removed.append(oldest.record.id)
    }
    return removed
  }

  /// Forgets what is beyond the number that is kept, as ``trim(now:)`` does for the old ones too.
  mutating func trimSurplus() {
    while ended.count > rules.endedKept, let oldest = ended.first() {
      history?.append(JobMemento(oldest))
      leave(oldest)
      entries[oldest.record.id.rawValue] = nil
    }
  }
}

/// Ended jobs in the order of their ends.
struct EndedList {
  private var line = ReadyLine()
  var count: Int { line.count }
  var footprint: Int { line.footprint }
  mutating func insert(_ entry: JobEntry) { line.insert(entry) }
  mutating func first() -> JobEntry? { line.first() }
  mutating func removed() { line.removed() }
}
