internal import DeadLetterQueue
internal import ReliabilityCore

/// Reads the records of a job log, one after the other, into a table.
///
/// While it reads, a job only has a state; the lines and heaps are built at the end, once for each job that is left.
///
/// Unchecked: made by one task, and handed whole to the lock that guards the table from then on.
struct JobReplay: @unchecked Sendable {
  var table: JobTable
  var head = JobLineHead()
  /// Records of a kind that this version does not know.
  private(set) var unknown: [[UInt8]] = []
  var unknownMembers: [UInt64: UnknownMembers] = [:]
  /// Changes of jobs whose own record is lost.
  var strayChanges = 0

  /// What a job's record has that this version does not know, each member with a comma before it.
  struct UnknownMembers: Sendable {
    var ofJob: [UInt8] = []
    var ofOptions: [UInt8] = []
  }

  /// About how many bytes a file takes that holds each job once.
  var approximateSize: Int64 = 0

  let now: JobTable.Time
  private let moment: PersistedMoment
  /// Whether the records that come are of this start of the machine.
  private var isThisBoot = false
  /// The jobs in the order of their records: as a rule the one in which they became ready.
  var read: [JobEntry] = []
  var sequence: UInt64 = 1
  // Most jobs of a queue have the same kind and options: those of the one before are tried first.
  private var lastKind: (text: [UInt8], index: Int)?
  private var lastTerms: (text: [UInt8], terms: JobTerms)?

  /// - Parameters:
  ///   - rules: What the table goes by.
  ///   - now: The present on the clocks of the table.
  ///   - moment: The present as it is written to files.
  init(_ rules: JobTable.Rules, now: JobTable.Time, moment: PersistedMoment) {
    table = JobTable(rules)
    self.now = now
    self.moment = moment
  }

  /// Takes a record in.
  mutating func take(_ record: ArraySlice<UInt8>) {
    var cursor = JSONCursor(record)
    takeObject(&cursor)
  }

  /// Takes in the record that a cursor stands before, and passes it.
  private mutating func takeObject(_ cursor: inout JSONCursor, isInBatch: Bool = false) {
    let before = cursor
    if apply(&cursor, isInBatch: isInBatch) { return }
    cursor = before
    if let record = cursor.skipValue() { unknown.append(Array(record)) }
  }

  /// - Returns: `false` for a kind of record that this version does not know; nothing was done then.
  private mutating func apply(_ cursor: inout JSONCursor, isInBatch: Bool) -> Bool {
    guard cursor.enterObject(), let name = cursor.nextName() else { return false }
    switch String(decoding: name, as: UTF8.self) {
    case "job": return readJob(&cursor)
    case "done": return change(&cursor) { $0.end(as: .completed, $1) }
    case "claim": return readClaim(&cursor)
    case "retry":
      return change(&cursor) { entry, change in
        if let failure = change.failure { entry.note(failure) }
        entry.settle(as: .retrying)
        entry.due = change.due
      }
    case "release":
      return change(&cursor) { entry, change in
        entry.settle(as: change.delay == nil ? .pending : .scheduled)
        entry.due = change.due
      }
    case "failed":
      return change(&cursor) { entry, change in
        if let failure = change.failure { entry.note(failure) }
        entry.end(as: change.isDead ? .dead : .failed, change)
      }
    case "cancel": return change(&cursor) { $0.end(as: .cancelled, $1) }
    case "redrive": return readRedrive(&cursor)
    // A batch in a batch is nothing a store writes, and would go as deep as the file likes.
    case "all" where !isInBatch: return readAll(&cursor)
    case "tokens": return readTokens(&cursor)
    case "open": return readHead(&cursor, isOpening: true)
    case "snapshot": return readHead(&cursor, isOpening: false)
    default: return false
    }
  }

  private mutating func readAll(_ cursor: inout JSONCursor) -> Bool {
    guard cursor.enterArray() else { return false }
    while cursor.hasNextElement() {
      takeObject(&cursor, isInBatch: true)
      if cursor.isBroken { break }
    }
    cursor.leaveObject()
    return true
  }

  private mutating func readTokens(_ cursor: inout JSONCursor) -> Bool {
    guard let limit = cursor.identifier() else { return false }
    head.tokens = max(head.tokens, limit)
    cursor.leaveObject()
    return true
  }

  private mutating func readHead(_ cursor: inout JSONCursor, isOpening: Bool) -> Bool {
    guard let number = cursor.identifier() else { return false }
    head.number = max(head.number, number)
    while let name = cursor.nextName() {
      switch String(decoding: name, as: UTF8.self) {
      case "boot":
        let boot = cursor.string() ?? ""
        isThisBoot = !boot.isEmpty && boot == moment.bootID
      case "next": head.nextID = max(head.nextID, cursor.identifier() ?? 1)
      case "tokens": head.tokens = max(head.tokens, cursor.identifier() ?? 1)
      case "jobs":
        let jobs = min(10_000_000, Int(clamping: cursor.identifier() ?? 0))
        if jobs > table.entries.count { table.entries.reserveCapacity(jobs) }
      default: cursor.skipValue()
      }
    }
    return true
  }

  // MARK: Jobs

  /// How long ago something was, as ``PersistedMoment`` says.
  func age(wall: Int64, up: Int64) -> Int64 {
    max(0, isThisBoot ? moment.sinceBoot.subtracting(up) : moment.wall.subtracting(wall))
  }

  /// When something is due on the table's clock that was so far off at a moment.
  ///
  /// Of another start of the machine only the wall clock tells, which may have jumped: then it is overdue by nothing.
  func due(_ delay: Int64, wall: Int64, up: Int64) -> Int64 {
    let age = age(wall: wall, up: up)
    if isThisBoot { return now.monotonic.subtracting(age).adding(delay) }
    return now.monotonic.adding(max(0, delay) - min(max(0, delay), age))
  }

  private mutating func readJob(_ cursor: inout JSONCursor) -> Bool {
    guard let id = cursor.identifier() else { return false }
    var kind: Int?
    var at: Int64 = 0
    var from: Int64?
    var up: Int64 = 0
    var terms = JobTerms.standard
    var payload: [UInt8] = []
    var unknown = UnknownMembers()
    var state: JobLineState?
    while let name = cursor.nextName() {
      switch String(decoding: name, as: UTF8.self) {
      case "kind": kind = cursor.skipValue().map { kindIndex($0) }
      case "at": at = cursor.integer() ?? 0
      case "up": up = cursor.integer() ?? 0
      case "payload": if let value = cursor.skipValue() { payload = Array(value) }
      case "payload64":
        payload = cursor.skipValue().flatMap { Base64.decode($0.dropFirst().dropLast()) } ?? []
      case "options":
        if let value = cursor.skipValue() { terms = self.terms(value, &unknown.ofOptions) }
      case "from": from = cursor.integer()
      case "is": if let value = cursor.skipValue() { state = JobLineState(value) }
      default: unknown.ofJob.keep(name, cursor.skipValue())
      }
    }
    guard let kind, !cursor.isBroken else { return false }
    head.nextID = max(head.nextID, id + 1)
    let record = JobRecord(
      id: JobID(rawValue: id), kind: table.kinds[kind].name, payload: payload, state: .pending,
      enqueuedAt: at, terms: terms)
    let entry = JobEntry(record, kindIndex: kind)
    entry.holdsKey = terms.options.unique != nil
    let wall = from ?? at
    entry.readyAt = now.monotonic.subtracting(age(wall: wall, up: up))
    if let state {
      state.apply(to: entry)
      if let delay = state.delay { entry.due = due(delay, wall: wall, up: up) }
      if let date = state.date { (entry.due, entry.isDated) = (date, true) }
    } else {
      switch terms.options.start {
      case .now: break
      case .after(let delay) where delay > .zero:
        entry.record.state = .scheduled
        entry.due = due(delay.nanoseconds, wall: wall, up: up)
      case .after: break
      case .at(let date) where date.nanosecondsSince1970 > at:
        entry.record.state = .scheduled
        (entry.due, entry.isDated) = (date.nanosecondsSince1970, true)
      case .at: break
      }
    }
    entry.order = sequence
    sequence += 1
    table.entries[id] = entry
    read.append(entry)
    if !unknown.ofJob.isEmpty || !unknown.ofOptions.isEmpty { unknownMembers[id] = unknown }
    return true
  }

  private mutating func kindIndex(_ text: ArraySlice<UInt8>) -> Int {
    if let lastKind, lastKind.text.elementsEqual(text) { return lastKind.index }
    let index = table.kindIndex(of: JSONText.unescaped(text.dropFirst().dropLast()))
    lastKind = (Array(text), index)
    return index
  }

  private mutating func terms(_ text: ArraySlice<UInt8>, _ unknown: inout [UInt8]) -> JobTerms {
    if let lastTerms, lastTerms.text.elementsEqual(text) { return lastTerms.terms }
    let (options, others) = JobOptions.read(text)
    unknown = others
    let terms = JobTerms(options)
    if others.isEmpty { lastTerms = (Array(text), terms) }
    return terms
  }
}

extension JSONCursor {
  /// Passes the members that are left.
  mutating func leaveObject() {
    while nextName() != nil { skipValue() }
  }
}
