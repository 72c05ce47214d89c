internal import DeadLetterQueue
internal import ReliabilityCore

/// Writes the records of a job log; see the guide's section on the format.
struct JobLineWriter {
  private(set) var bytes: [UInt8] = []

  init(_ start: StaticString, reserving count: Int = 96) {
    bytes.reserveCapacity(count)
    text(start)
  }

  mutating func text(_ text: StaticString) {
    unsafe bytes.append(
      contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  mutating func raw(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

  mutating func integer(_ value: Int64) {
    if value < 0 { bytes.append(UInt8(ascii: "-")) }
    integer(value.magnitude)
  }

  mutating func integer(_ value: UInt64) {
    if value < 10 {
      bytes.append(UInt8(ascii: "0") + UInt8(value))
      return
    }
    let start = bytes.count
    var rest = value
    while rest > 0 {
      bytes.append(UInt8(ascii: "0") + UInt8(rest % 10))
      rest /= 10
    }
    bytes[start...].reverse()
  }

  /// A string with its quotes.
  mutating func string(_ text: String) {
    let isPlain = text.utf8.allSatisfy {
      $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
    }
    guard isPlain else {
      var writer = JSONWriter()
      writer.string(text)
      return raw(writer.finish())
    }
    bytes.append(UInt8(ascii: "\""))
    raw(text.utf8)
    bytes.append(UInt8(ascii: "\""))
  }

  /// When it happened, on both clocks.
  mutating func moment(_ moment: PersistedMoment) {
    text(#","at":"#)
    integer(moment.wall)
    text(#","up":"#)
    integer(moment.sinceBoot)
  }

  /// A member with the payload: as it is where it can stand in a line, else as Base64; nothing for an empty one.
  mutating func payload(_ payload: [UInt8]) {
    if payload.isEmpty { return }
    bytes.reserveCapacity(bytes.count + payload.count + 16)
    if JSONText.isEmbeddable(payload) {
      text(#","payload":"#)
      raw(payload)
    } else {
      text(#","payload64":""#)
      Base64.append(payload, to: &bytes)
      bytes.append(UInt8(ascii: "\""))
    }
  }

  mutating func failure(_ failure: JobFailure) {
    text(#","failure":"#)
    raw(Self.failure(failure))
  }

  static func failure(_ failure: JobFailure) -> [UInt8] {
    var writer = JSONWriter()
    writer.object { writer in
      writer.member("attempt", failure.attempt)
      writer.member("error", failure.error)
      writer.member("category", failure.category.rawValue)
      writer.member("ended_ns", failure.endedAt)
      writer.member("ms", failure.milliseconds)
    }
    return writer.finish()
  }

  consuming func finish() -> [UInt8] {
    bytes.append(UInt8(ascii: "}"))
    return bytes
  }
}

/// The records themselves.
enum JobLine {
  /// A job without its number, which is known only when it is put in: all that follows it.
  static func jobTail(_ job: JobSubmission, at moment: PersistedMoment) -> [UInt8] {
    var line = JobLineWriter(#","kind":"#, reserving: 96 + job.payload.count)
    line.string(job.kind)
    line.moment(moment)
    line.options(job.terms)
    line.payload(job.payload)
    return line.finish()
  }

  static func job(_ id: JobID, _ tail: [UInt8]) -> [UInt8] {
    var line = JobLineWriter(#"{"job":"#, reserving: tail.count + 28)
    line.integer(id.rawValue)
    line.raw(tail)
    return line.bytes
  }

  /// Several records as one, so that a crash leaves all of them or none.
  static func all(_ records: [[UInt8]]) -> [UInt8] {
    if records.count == 1 { return records[0] }
    var line = JobLineWriter(
      #"{"all":["#, reserving: records.reduce(16) { $0 + $1.count + 1 })
    var isFirst = true
    for record in records {
      if !isFirst { line.text(",") }
      isFirst = false
      line.raw(record)
    }
    line.text("]")
    return line.finish()
  }

  static func claim(_ claimed: [JobTable.Claimed]) -> [UInt8] {
    var line = JobLineWriter(#"{"claim":["#, reserving: 40 + claimed.count * 12)
    var isFirst = true
    for job in claimed {
      if !isFirst { line.text(",") }
      isFirst = false
      line.integer(job.record.id.rawValue)
    }
    line.text(#"],"token":"#)
    line.integer(claimed[0].token)
    return line.finish()
  }

  static func settlement(_ settlement: JobSettlement, at moment: PersistedMoment) -> [UInt8] {
    let id = settlement.lease.id.rawValue
    switch settlement.outcome {
    case .completed(let note):
      var line = JobLineWriter(#"{"done":"#)
      line.integer(id)
      line.text(#","at":"#)
      line.integer(moment.wall)
      line.note(note)
      return line.finish()
    case .cancelled(let reason): return cancel(settlement.lease.id, reason, at: moment)
    case .failed(let failure, let isDead):
      var line = JobLineWriter(#"{"failed":"#, reserving: 256)
      line.integer(id)
      line.text(#","at":"#)
      line.integer(moment.wall)
      if isDead { line.text(#","dead":true"#) }
      line.failure(failure)
      return line.finish()
    case .retry(let delay, let failure):
      var line = JobLineWriter(#"{"retry":"#, reserving: 256)
      line.integer(id)
      line.moment(moment)
      line.text(#","after_ns":"#)
      line.integer(max(0, delay.nanoseconds))
      line.failure(failure)
      return line.finish()
    case .released(let delay):
      var line = JobLineWriter(#"{"release":"#)
      line.integer(id)
      if delay > .zero {
        line.moment(moment)
        line.text(#","after_ns":"#)
        line.integer(delay.nanoseconds)
      }
      return line.finish()
    }
  }

  static func cancel(_ id: JobID, _ reason: String, at moment: PersistedMoment) -> [UInt8] {
    var line = JobLineWriter(#"{"cancel":"#)
    line.integer(id.rawValue)
    line.text(#","at":"#)
    line.integer(moment.wall)
    line.note(reason)
    return line.finish()
  }

  static func redrive(_ id: JobID, at moment: PersistedMoment) -> [UInt8] {
    var line = JobLineWriter(#"{"redrive":"#)
    line.integer(id.rawValue)
    line.moment(moment)
    return line.finish()
  }

  /// Says that no token below is free any more.
  static func tokens(below limit: UInt64) -> [UInt8] {
    var line = JobLineWriter(#"{"tokens":"#)
    line.integer(limit)
    return line.finish()
  }

  /// What is true of the whole store at a moment; times that follow are of the same start of the machine.
  ///
  /// - Parameter name: `open` when a new owner begins, `snapshot` when what follows stands for all that was before.
  static func head(
    _ name: StaticString, _ head: JobLineHead, at moment: PersistedMoment
  ) -> [UInt8] {
    var line = JobLineWriter(#"{""#, reserving: 200)
    line.text(name)
    line.text(#"":"#)
    line.integer(head.number)
    line.moment(moment)
    line.text(#","boot":"#)
    line.string(moment.bootID)
    line.text(#","next":"#)
    line.integer(head.nextID)
    line.text(#","tokens":"#)
    line.integer(head.tokens)
    line.text(#","jobs":"#)
    line.integer(UInt64(max(0, head.jobs)))
    return line.finish()
  }
}

/// What a store knows beside its jobs.
struct JobLineHead: Sendable {
  /// How often the store was opened to be written.
  var number: UInt64 = 0
  /// No job below this number is to come.
  var nextID: UInt64 = 1
  /// No token below this one is free.
  var tokens: UInt64 = 1
  /// How many jobs there are about.
  var jobs = 0
}

extension JobLineWriter {
  fileprivate mutating func note(_ note: String?) {
    guard let note else { return }
    text(#","note":"#)
    string(note)
  }
}
