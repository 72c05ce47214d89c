internal import DeadLetterQueue
internal import ReliabilityCore

/// What a snapshot says about a job beside how it was put in: the member `is` of its record.
struct JobLineState {
  var state = JobState.pending
  var attempts = 0
  var crashes = 0
  var redrives = 0
  var token: UInt64 = 0
  /// How long until it is due, at the moment of the snapshot; negative when it is overdue.
  var delay: Int64?
  /// The date it waits for.
  var date: Int64?
  var endedAt: Int64?
  var holdsKey = true
  var failures: [JobFailure] = []
  var note: String?

  init() {}

  /// Reads one.
  init(_ text: ArraySlice<UInt8>) {
    var cursor = JSONCursor(text)
    guard cursor.enterObject() else { return }
    while let name = cursor.nextName() {
      switch String(decoding: name, as: UTF8.self) {
      case "state": state = JobState(rawValue: cursor.string() ?? "") ?? .pending
      case "attempts": attempts = cursor.count()
      case "crashes": crashes = cursor.count()
      case "redrives": redrives = cursor.count()
      case "token": token = cursor.identifier() ?? 0
      case "after_ns": delay = cursor.integer()
      case "date_ns": date = cursor.integer()
      case "ended_ns": endedAt = cursor.integer()
      case "keyless": holdsKey = !cursor.isTrue()
      case "failures":
        if cursor.enterArray() {
          while cursor.hasNextElement() {
            if let text = cursor.skipValue(), let failure = JobFailure(text: text) {
              failures.append(failure)
            }
          }
        }
      case "note": note = cursor.string()
      default: cursor.skipValue()
      }
    }
  }

  /// Gives a job that was just read what this says.
  func apply(to entry: JobEntry) {
    entry.record.state = state
    entry.record.attempts = attempts
    entry.record.crashes = crashes
    entry.record.redrives = redrives
    entry.record.endedAt = endedAt
    entry.record.failures = failures
    entry.record.note = note
    entry.token = token
    if !holdsKey || state.isEnd { entry.holdsKey = false }
  }

  /// Writes it, unless it says nothing.
  func write(to line: inout JobLineWriter) {
    var writer = JSONWriter()
    writer.object { writer in
      if state != .pending { writer.member("state", state.rawValue) }
      if attempts > 0 { writer.member("attempts", attempts) }
      if crashes > 0 { writer.member("crashes", crashes) }
      if redrives > 0 { writer.member("redrives", redrives) }
      if token > 0 { writer.member("token", token) }
      writer.member("after_ns", delay)
      writer.member("date_ns", date)
      writer.member("ended_ns", endedAt)
      if !holdsKey { writer.member("keyless", true) }
      writer.member("note", note)
    }
    let members = writer.finish()
    line.text(#","is":"#)
    guard !failures.isEmpty else { return line.raw(members) }
    line.raw(members.dropLast())
    line.text(members.count > 2 ? #","failures":["# : #""failures":["#)
    for (index, failure) in failures.enumerated() {
      if index > 0 { line.text(",") }
      line.raw(JobLineWriter.failure(failure))
    }
    line.text("]}")
  }
}

extension JobFailure {
  /// Reads what ``JobLineWriter/failure(_:)-swift.type.method`` has written.
  init?(text: ArraySlice<UInt8>) {
    self.init(attempt: 0, error: "", category: .unknown, endedAt: 0, milliseconds: 0)
    var cursor = JSONCursor(text)
    guard cursor.enterObject() else { return nil }
    while let name = cursor.nextName() {
      switch String(decoding: name, as: UTF8.self) {
      case "attempt": attempt = Int(clamping: cursor.integer() ?? 0)
      case "error": error = cursor.string() ?? ""
      case "category": category = ErrorCategory(rawValue: cursor.string() ?? "unknown")
      case "ended_ns": endedAt = cursor.integer() ?? 0
      case "ms": milliseconds = cursor.integer() ?? 0
      default: cursor.skipValue()
      }
    }
  }
}

/// A job as a snapshot takes it.
struct SnapshotJob: Sendable {
  private let record: JobRecord
  private let token: UInt64
  /// Since when it is ready, or was when it began to run.
  private let readySince: Int64
  private let due: Int64
  private let isDated: Bool
  private let holdsKey: Bool
  /// Its rank: jobs that became ready at the same moment are read in the order in which they are written.
  let order: UInt64
  var id: UInt64 { record.id.rawValue }

  init(_ entry: JobEntry) {
    record = entry.record
    order = entry.order != 0 ? entry.order : entry.place
    token = entry.token
    // One that waited was seen to be ready some time after it was.
    readySince = entry.due != 0 && !entry.isDated ? entry.due : entry.readyAt
    due = entry.due
    isDated = entry.isDated
    holdsKey = entry.holdsKey
  }

  /// Its record.
  ///
  /// - Parameters:
  ///   - now: The present on the table's clocks, as it was when the snapshot was taken.
  ///   - moment: The same present as it is written to files.
  ///   - unknown: What its records had that this version does not know.
  func line(
    now: JobTable.Time, moment: PersistedMoment, unknown: JobReplay.UnknownMembers?
  ) -> [UInt8] {
    var line = JobLineWriter(#"{"job":"#, reserving: 128 + record.payload.count)
    line.integer(record.id.rawValue)
    line.text(#","kind":"#)
    line.string(record.kind)
    line.text(#","at":"#)
    line.integer(record.enqueuedAt)
    var state = JobLineState()
    state.state = record.state
    state.attempts = record.attempts
    state.crashes = record.crashes
    state.redrives = record.redrives
    state.endedAt = record.endedAt
    state.failures = record.failures
    state.note = record.note
    state.holdsKey = holdsKey || record.state.isEnd || record.options.unique == nil
    var age: Int64 = 0
    switch record.state {
    case .pending: age = max(0, now.monotonic.subtracting(readySince))
    case .running:
      age = max(0, now.monotonic.subtracting(readySince))
      state.token = token
    case .scheduled, .retrying:
      if isDated { state.date = due } else { state.delay = due.subtracting(now.monotonic) }
    case .completed, .failed, .dead, .cancelled: break
    }
    line.text(#","from":"#)
    line.integer(moment.wall.subtracting(age))
    line.text(#","up":"#)
    line.integer(moment.sinceBoot.subtracting(age))
    line.options(record.terms, unknown: unknown?.ofOptions ?? [])
    state.write(to: &line)
    line.raw(unknown?.ofJob ?? [])
    line.payload(record.payload)
    return line.finish()
  }
}

extension JSONCursor {
  /// A count that can still grow.
  fileprivate mutating func count() -> Int { Int(min(1_000_000_000, max(0, integer() ?? 0))) }
}
