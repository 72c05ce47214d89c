/// What a letter's record says before its payload: all that filters ask for, so that the rest stays on the disk.
struct LetterHead: Sendable {
  /// When it came, or came back.
  var arrived: PersistedMoment
  var kind: String
  var category: String
  var fingerprint: String
  var firstFailure: Int64
  var lastFailure: Int64
  var redrives: Int
  var source: String?
  var previous: UInt64?
  var reason: String
}

/// A letter as it goes into a record: everything but its id.
struct LetterContent: Sendable {
  static let attemptsKept = (first: 20, last: 80)
  static let redrivesKept = 16

  var head: LetterHead
  /// The payload's member as it stands in the record: name, colon and value.
  var payloadMember: [UInt8]
  var attempts: [AttemptRecord]
  var attemptsDropped = 0
  var redrives: [DeadLetter.Redrive] = []
  var report: [UInt8]
  /// Members that this version does not know, each with a comma before it.
  var unknownMembers: [UInt8] = []

  /// The record's bytes after the id.
  func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(payloadMember.count + report.count + 512 + attempts.count * 200)
    var writer = JSONWriter(expected: 512)
    writer.object { head.write(to: &$0) }
    // Without the brace at the end.
    bytes.append(UInt8(ascii: ","))
    bytes.append(contentsOf: writer.finish().dropFirst().dropLast())
    bytes.append(UInt8(ascii: ","))
    bytes.append(contentsOf: payloadMember)
    writer = JSONWriter(expected: 64 + attempts.count * 200)
    writer.object(writeStory)
    bytes.append(UInt8(ascii: ","))
    bytes.append(contentsOf: writer.finish().dropFirst().dropLast())
    bytes.append(contentsOf: #","report":"#.utf8)
    bytes.append(contentsOf: report)
    bytes.append(contentsOf: unknownMembers)
    bytes.append(UInt8(ascii: "}"))
    return bytes
  }

  /// A whole record.
  static func record(_ id: UInt64, _ content: [UInt8]) -> [UInt8] {
    var record = Array(#"{"letter":"#.utf8)
    record.reserveCapacity(content.count + 32)
    record.append(contentsOf: String(id).utf8)
    record.append(contentsOf: content)
    return record
  }

  /// The payload's member: as it is where it can stand in a line, else as Base64.
  static func payloadMember(_ payload: [UInt8]) -> [UInt8] {
    if JSONText.isEmbeddable(payload) { return Array(#""payload":"#.utf8) + payload }
    var member = Array(#""payload64":""#.utf8)
    Base64.append(payload, to: &member)
    member.append(UInt8(ascii: "\""))
    return member
  }

  private func writeStory(to writer: inout JSONWriter) {
    writer.member("attempts", each: attempts) { writer, attempt in
      writer.object { writer in
        writer.member("number", attempt.number)
        writer.member("error", attempt.error)
        writer.member("category", attempt.category.rawValue)
        writer.member("at_ns", attempt.at.nanosecondsSince1970)
        writer.member("elapsed_ns", attempt.elapsed?.nanoseconds)
        writer.member("delay_ns", attempt.delay?.nanoseconds)
        writer.member("method", attempt.method)
      }
    }
    if attemptsDropped > 0 { writer.member("attempts_dropped", attemptsDropped) }
    if redrives.isEmpty { return }
    writer.member("redrives_failed", each: redrives) { writer, redrive in
      writer.object { writer in
        writer.member("number", redrive.number)
        writer.member("at_ns", redrive.at.nanosecondsSince1970)
        writer.member("error", redrive.error)
        writer.member("category", redrive.category.rawValue)
      }
    }
  }

  /// Adds attempts and keeps the first and the last ones.
  mutating func add(_ more: [AttemptRecord]) {
    attempts += more
    let (first, last) = Self.attemptsKept
    guard attempts.count > first + last else { return }
    let excess = attempts.count - first - last
    attempts.removeSubrange(first..<(first + excess))
    attemptsDropped += excess
  }
}

extension LetterHead {
  func write(to writer: inout JSONWriter) {
    writer.member("arrived_ns", arrived.wall)
    writer.member("arrived_boot", arrived.bootID)
    writer.member("arrived_boot_ns", arrived.sinceBoot)
    writer.member("kind", kind)
    writer.member("category", category)
    writer.member("fingerprint", fingerprint)
    writer.member("first_ns", firstFailure)
    writer.member("last_ns", lastFailure)
    writer.member("redrives", redrives)
    writer.member("source", source)
    writer.member("previous", previous)
    writer.member("reason", reason)
  }

  /// Reads the members up to the payload, whose name the cursor has then passed.
  ///
  /// - Returns: The head and the name of the member it stopped at; `nil` when this is no letter.
  static func read(from cursor: inout JSONCursor) -> (head: LetterHead, next: String?)? {
    var head = LetterHead(
      arrived: PersistedMoment(wall: 0, bootID: "", sinceBoot: 0), kind: "unknown",
      category: "unknown", fingerprint: "", firstFailure: 0, lastFailure: 0, redrives: 0,
      reason: "")
    while let name = cursor.nextName() {
      switch String(decoding: name, as: UTF8.self) {
      case "arrived_ns": head.arrived.wall = cursor.integer() ?? 0
      case "arrived_boot": head.arrived.bootID = cursor.string() ?? ""
      case "arrived_boot_ns": head.arrived.sinceBoot = cursor.integer() ?? 0
      case "kind": head.kind = cursor.string() ?? head.kind
      case "category": head.category = cursor.string() ?? head.category
      case "fingerprint": head.fingerprint = cursor.string() ?? ""
      case "first_ns": head.firstFailure = cursor.integer() ?? 0
      case "last_ns": head.lastFailure = cursor.integer() ?? 0
      case "redrives": head.redrives = max(0, Int(clamping: cursor.integer() ?? 0))
      case "source": head.source = cursor.string()
      case "previous": head.previous = cursor.integer().flatMap { UInt64(exactly: $0) }
      case "reason": head.reason = cursor.string() ?? ""
      case let payload where payload == "payload" || payload == "payload64":
        return (head, payload)
      default: cursor.skipValue()
      }
    }
    if cursor.isBroken { return nil }
    return (head, nil)
  }
}

/// One line of a dead-letter log.
enum LetterLine {
  /// A letter, new or come back: the last one of an id counts.
  case letter(UInt64, LetterHead)
  /// Letters that left.
  case gone([UInt64])
  /// A redrive has begun; how many there were with it.
  case redrive(UInt64, count: Int)
  /// No id below this one will be given again.
  case next(UInt64)
  /// Something of a later version.
  case unknown

  /// Reads a record as far as an index needs it.
  static func read(_ record: ArraySlice<UInt8>) -> LetterLine {
    var cursor = JSONCursor(record)
    guard cursor.enterObject(), let name = cursor.nextName() else { return .unknown }
    switch String(decoding: name, as: UTF8.self) {
    case "letter":
      guard let id = cursor.identifier(), let (head, _) = LetterHead.read(from: &cursor) else {
        return .unknown
      }
      return .letter(id, head)
    case "gone":
      guard cursor.enterArray() else { return .unknown }
      var ids: [UInt64] = []
      while cursor.hasNextElement() {
        guard let id = cursor.identifier() else { return .unknown }
        ids.append(id)
      }
      return cursor.isBroken ? .unknown : .gone(ids)
    case "redrive":
      guard let id = cursor.identifier(), cursor.nextName()?.elementsEqual("count".utf8) == true,
        let count = cursor.integer(), count >= 0
      else { return .unknown }
      return .redrive(id, count: Int(clamping: count))
    case "next":
      guard let id = cursor.identifier() else { return .unknown }
      return .next(id)
    default: return .unknown
    }
  }

  static func goneRecord(_ ids: some Sequence<UInt64>, _ reason: String, why: String?, at: Int64)
    -> [UInt8]
  {
    var writer = JSONWriter()
    writer.object { writer in
      writer.member("gone", each: ids) { $0.integer($1) }
      writer.member("as", reason)
      writer.member("reason", why)
      writer.member("at_ns", at)
    }
    return writer.finish()
  }

  static func redriveRecord(_ id: UInt64, count: Int, at: Int64) -> [UInt8] {
    Array(#"{"redrive":\#(id),"count":\#(count),"at_ns":\#(at)}"#.utf8)
  }

  static func nextRecord(_ id: UInt64) -> [UInt8] { Array(#"{"next":\#(id)}"#.utf8) }
}

extension JSONCursor {
  /// The number of a letter.
  mutating func identifier() -> UInt64? {
    guard let bytes = skipValue() else { return nil }
    return UInt64(String(decoding: bytes, as: UTF8.self))
  }
}
