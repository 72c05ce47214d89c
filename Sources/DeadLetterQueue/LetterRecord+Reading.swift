/// A letter's record, read wholly.
package struct LetterRecord: Sendable {
  let id: UInt64
  var content: LetterContent
  let payload: [UInt8]

  /// - Returns: `nil` when the bytes are no letter.
  init?(_ record: [UInt8]) {
    var cursor = JSONCursor(record)
    guard cursor.enterObject(), let first = cursor.nextName(),
      first.elementsEqual("letter".utf8), let id = cursor.identifier(),
      let (head, next) = LetterHead.read(from: &cursor)
    else { return nil }
    self.id = id
    var content = LetterContent(
      head: head, payloadMember: [], attempts: [], report: Array("{}".utf8))
    var payload: [UInt8] = []
    if let next, let value = cursor.skipValue() {
      content.payloadMember = Array("\"\(next)\":".utf8) + value
      payload =
        next == "payload" ? Array(value) : Base64.decode(value.dropFirst().dropLast()) ?? []
    }
    while let name = cursor.nextName() {
      switch String(decoding: name, as: UTF8.self) {
      case "attempts": content.attempts = cursor.attempts()
      case "attempts_dropped":
        content.attemptsDropped = max(0, Int(clamping: cursor.integer() ?? 0))
      case "redrives_failed": content.redrives = cursor.redrives()
      case "report": if let value = cursor.skipValue() { content.report = Array(value) }
      default: content.keep(name, cursor.skipValue())
      }
    }
    content.keepUnknownMembers(ofHead: record)
    self.content = content
    self.payload = payload
  }

  /// The letter that users see.
  ///
  /// - Parameter redrives: How many there were: more than the record says while one is under way.
  func letter(redrives: Int) -> DeadLetter {
    let head = content.head
    return DeadLetter(
      id: DeadLetter.ID(rawValue: id), kind: head.kind,
      category: ErrorCategory(rawValue: head.category), fingerprint: head.fingerprint,
      reason: head.reason, source: head.source,
      previous: head.previous.map { DeadLetter.ID(rawValue: $0) },
      firstFailure: WallTime(nanosecondsSince1970: head.firstFailure),
      lastFailure: WallTime(nanosecondsSince1970: head.lastFailure),
      arrivedAt: WallTime(nanosecondsSince1970: head.arrived.wall),
      redriveCount: max(redrives, head.redrives), redrives: content.redrives,
      attempts: content.attempts, attemptsDropped: content.attemptsDropped, payload: payload,
      reportBytes: content.report)
  }

  /// Whether a value of the record, the redrives apart, holds a text.
  ///
  /// - Parameters:
  ///   - needle: As `JSONText.escaped(_:)` gives it, in lower case: for texts in JSON.
  ///   - bytes: The text's own bytes in lower case: for payloads that are no JSON.
  func contains(_ needle: [UInt8], bytes: [UInt8]) -> Bool {
    if JSONText.contains(JSONText.escaped(content.head.reason)[...], needle) { return true }
    if content.payloadMember.starts(with: #""payload""#.utf8) {
      if JSONText.values(of: payload[...], contain: needle) { return true }
    } else if JSONText.contains(payload[...], bytes) {
      return true
    }
    if JSONText.values(of: content.report[...], contain: needle) { return true }
    return content.attempts.contains { attempt in
      JSONText.contains(JSONText.escaped(attempt.error)[...], needle)
    }
  }
}

extension LetterContent {
  /// Keeps a member that this version does not know, for the next time the letter is written.
  mutating func keep(_ name: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>?) {
    guard let value else { return }
    unknownMembers += ",\"".utf8
    unknownMembers += name
    unknownMembers += "\":".utf8
    unknownMembers += value
  }

  private static let headMembers: Set<String> = [
    "letter", "arrived_ns", "arrived_boot", "arrived_boot_ns", "kind", "category", "fingerprint",
    "first_ns", "last_ns", "redrives", "source", "previous", "reason",
  ]

  /// Keeps those that stand before the payload.
  fileprivate mutating func keepUnknownMembers(ofHead record: [UInt8]) {
    var cursor = JSONCursor(record)
    guard cursor.enterObject() else { return }
    while let name = cursor.nextName() {
      let text = String(decoding: name, as: UTF8.self)
      if text == "payload" || text == "payload64" { return }
      let value = cursor.skipValue()
      if !Self.headMembers.contains(text) { keep(name, value) }
    }
  }
}

extension JSONCursor {
  fileprivate mutating func attempts() -> [AttemptRecord] {
    var attempts: [AttemptRecord] = []
    guard enterArray() else { return [] }
    while hasNextElement(), enterObject() {
      var number = 0
      var error = ""
      var category = "unknown"
      var at: Int64 = 0
      var elapsed: Int64?
      var delay: Int64?
      var method: String?
      while let name = nextName() {
        switch String(decoding: name, as: UTF8.self) {
        case "number": number = Int(clamping: integer() ?? 0)
        case "error": error = string() ?? ""
        case "category": category = string() ?? category
        case "at_ns": at = integer() ?? 0
        case "elapsed_ns": elapsed = integer()
        case "delay_ns": delay = integer()
        case "method": method = string()
        default: skipValue()
        }
      }
      attempts.append(
        AttemptRecord(
          number: number, error: error, category: ErrorCategory(rawValue: category),
          at: WallTime(nanosecondsSince1970: at), elapsed: elapsed.map { .nanoseconds($0) },
          delay: delay.map { .nanoseconds($0) }, method: method))
    }
    return attempts
  }

  fileprivate mutating func redrives() -> [DeadLetter.Redrive] {
    var redrives: [DeadLetter.Redrive] = []
    guard enterArray() else { return [] }
    while hasNextElement(), enterObject() {
      var number = 0
      var error = ""
      var category = "unknown"
      var at: Int64 = 0
      while let name = nextName() {
        switch String(decoding: name, as: UTF8.self) {
        case "number": number = Int(clamping: integer() ?? 0)
        case "error": error = string() ?? ""
        case "category": category = string() ?? category
        case "at_ns": at = integer() ?? 0
        default: skipValue()
        }
      }
      redrives.append(
        DeadLetter.Redrive(
          number: number, at: WallTime(nanosecondsSince1970: at), error: error,
          category: ErrorCategory(rawValue: category)))
    }
    return redrives
  }
}
