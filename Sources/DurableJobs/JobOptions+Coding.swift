internal import DeadLetterQueue
internal import ReliabilityCore

// How the options of a job stand in its record: only what differs from the defaults.

extension JobLineWriter {
  /// A member with the options, unless they are the defaults.
  ///
  /// - Parameter unknown: Members of a later version, each with a comma before it.
  mutating func options(_ terms: JobTerms, unknown: [UInt8] = []) {
    if unknown.isEmpty, terms === JobTerms.standard || terms.options == JobTerms.standard.options {
      return
    }
    var writer = JSONWriter()
    writer.object { terms.options.write(to: &$0) }
    let known = writer.finish()
    text(#","options":"#)
    if unknown.isEmpty { return raw(known) }
    raw(known.dropLast())
    raw(known.count > 2 ? unknown[...] : unknown.dropFirst())
    text("}")
  }
}

extension JobOptions {
  fileprivate func write(to writer: inout JSONWriter) {
    let standard = JobTerms.standard.options
    if priority != standard.priority { writer.member("priority", priority.word) }
    switch start {
    case .now: break
    case .after(let delay): writer.member("after_ns", delay.nanoseconds)
    case .at(let date): writer.member("date_ns", date.nanosecondsSince1970)
    }
    if maxAttempts != standard.maxAttempts { writer.member("attempts", maxAttempts) }
    if backoff != standard.backoff { writer.member("backoff") { backoff.write(to: &$0) } }
    if timeout != standard.timeout { writer.member("timeout_ns", timeout?.nanoseconds ?? 0) }
    if !usesFallback { writer.member("fallback", false) }
    if let unique {
      writer.member("unique") { writer in
        writer.member("key", unique.key)
        writer.member("scope", unique.scope.rawValue)
        writer.member("release", unique.release.rawValue)
      }
    }
    writer.member("deadline_ns", deadline?.nanosecondsSince1970)
    if !tags.isEmpty { writer.member("tags", each: tags) { $0.string($1) } }
    writer.member("caller", callerID)
  }

  /// Reads what ``write(to:)`` has written.
  ///
  /// - Returns: The options, and the members that this version does not know.
  static func read(_ text: ArraySlice<UInt8>) -> (options: JobOptions, unknown: [UInt8]) {
    var options = JobOptions()
    var unknown: [UInt8] = []
    var cursor = JSONCursor(text)
    guard cursor.enterObject() else { return (options, unknown) }
    while let name = cursor.nextName() {
      switch String(decoding: name, as: UTF8.self) {
      case "priority": options.priority = JobPriority(word: cursor.string() ?? "") ?? .normal
      case "after_ns": options.start = .after(.nanoseconds(cursor.integer() ?? 0))
      case "date_ns":
        options.start = .at(WallTime(nanosecondsSince1970: cursor.integer() ?? 0))
      case "attempts":
        options.maxAttempts = min(1_000_000_000, max(1, Int(clamping: cursor.integer() ?? 4)))
      case "backoff":
        if let value = cursor.skipValue(), let backoff = Backoff(text: value) {
          options.backoff = backoff
        }
      case "timeout_ns":
        let nanoseconds = cursor.integer() ?? 0
        options.timeout = nanoseconds > 0 ? .nanoseconds(nanoseconds) : nil
      case "fallback": options.usesFallback = !cursor.isFalse()
      case "unique": if let value = cursor.skipValue() { options.unique = UniqueKey(text: value) }
      case "deadline_ns":
        options.deadline = cursor.integer().map { WallTime(nanosecondsSince1970: $0) }
      case "tags": options.tags = cursor.strings()
      case "caller": options.callerID = cursor.string()
      default: unknown.keep(name, cursor.skipValue())
      }
    }
    return (options, unknown)
  }
}

extension JobPriority {
  fileprivate var word: String {
    switch self {
    case .lowest: "lowest"
    case .low: "low"
    case .normal: "normal"
    case .high: "high"
    case .critical: "critical"
    }
  }

  fileprivate init?(word: String) {
    guard let found = Self.allCases.first(where: { $0.word == word }) else { return nil }
    self = found
  }
}

extension UniqueKey {
  fileprivate init?(text: ArraySlice<UInt8>) {
    var cursor = JSONCursor(text)
    guard cursor.enterObject() else { return nil }
    var key: String?
    var scope = Scope.kind
    var release = Release.ended
    while let name = cursor.nextName() {
      switch String(decoding: name, as: UTF8.self) {
      case "key": key = cursor.string()
      case "scope": scope = Scope(rawValue: cursor.string() ?? "") ?? scope
      case "release": release = Release(rawValue: cursor.string() ?? "") ?? release
      default: cursor.skipValue()
      }
    }
    guard let key else { return nil }
    self.init(key, within: scope, until: release)
  }
}

extension Backoff {
  fileprivate func write(to writer: inout JSONWriter) {
    switch curve.kind {
    case .constant(let delay):
      writer.member("curve", "constant")
      writer.member("base_ns", delay.nanoseconds)
    case .linear(let base, let step):
      writer.member("curve", "linear")
      writer.member("base_ns", base.nanoseconds)
      writer.member("step_ns", step.nanoseconds)
    case .exponential(let base, let factor):
      writer.member("curve", "exponential")
      writer.member("base_ns", base.nanoseconds)
      writer.member("factor", factor)
    case .fibonacci(let base):
      writer.member("curve", "fibonacci")
      writer.member("base_ns", base.nanoseconds)
    case .list(let delays):
      writer.member("curve", "list")
      writer.member("delays_ns", each: delays) { $0.integer($1.nanoseconds) }
    }
    writer.member("cap_ns", cap?.nanoseconds)
    switch jitter.kind {
    case .none: writer.member("jitter", "none")
    case .full: writer.member("jitter", "full")
    case .equal: writer.member("jitter", "equal")
    case .decorrelated: writer.member("jitter", "decorrelated")
    case .proportional(let fraction): writer.member("jitter_fraction", fraction)
    }
  }

  /// - Returns: `nil` for what is no backoff that may be used.
  fileprivate init?(text: ArraySlice<UInt8>) {
    var cursor = JSONCursor(text)
    guard cursor.enterObject() else { return nil }
    var word: String?
    var base = Duration.zero
    var step = Duration.zero
    var factor = 2.0
    var delays: [Duration] = []
    var cap: Duration?
    var jitter = Jitter.Kind.none
    while let name = cursor.nextName() {
      switch String(decoding: name, as: UTF8.self) {
      case "curve": word = cursor.string()
      case "base_ns": base = .nanoseconds(cursor.integer() ?? 0)
      case "step_ns": step = .nanoseconds(cursor.integer() ?? 0)
      case "factor": factor = cursor.number() ?? factor
      case "delays_ns":
        if cursor.enterArray() {
          while cursor.hasNextElement() { delays.append(.nanoseconds(cursor.integer() ?? 0)) }
        }
      case "cap_ns": cap = cursor.integer().map { .nanoseconds($0) }
      case "jitter":
        switch cursor.string() {
        case "full": jitter = .full
        case "equal": jitter = .equal
        case "decorrelated": jitter = .decorrelated
        default: jitter = .none
        }
      case "jitter_fraction": jitter = .proportional(cursor.number() ?? 0)
      default: cursor.skipValue()
      }
    }
    let kind: Curve.Kind
    switch word {
    case "constant": kind = .constant(base)
    case "linear": kind = .linear(base: base, step: step)
    case "exponential": kind = .exponential(base: base, factor: factor)
    case "fibonacci": kind = .fibonacci(base: base)
    case "list": kind = .list(delays)
    default: return nil
    }
    var backoff = Backoff.none
    backoff.curve = Curve(kind: kind)
    backoff.cap = cap
    backoff.jitter = Jitter(kind: jitter)
    do { try backoff.validate() } catch { return nil }
    self = backoff
  }
}

extension JSONCursor {
  fileprivate mutating func isFalse() -> Bool {
    skipValue().map { $0.elementsEqual("false".utf8) } ?? false
  }

  mutating func isTrue() -> Bool {
    skipValue().map { $0.elementsEqual("true".utf8) } ?? false
  }

  fileprivate mutating func number() -> Double? {
    skipValue().flatMap { Double(String(decoding: $0, as: UTF8.self)) }
  }

  fileprivate mutating func strings() -> [String] {
    guard enterArray() else { return [] }
    var strings: [String] = []
    while hasNextElement() {
      if let text = string() { strings.append(text) }
    }
    return strings
  }

  /// A number of a job or a token.
  mutating func identifier() -> UInt64? {
    guard let bytes = skipValue(), !bytes.isEmpty, bytes.count < 20 else { return nil }
    var value: UInt64 = 0
    for byte in bytes {
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
      value = value * 10 + UInt64(byte - UInt8(ascii: "0"))
    }
    return value
  }
}

extension [UInt8] {
  /// Keeps a member that this version does not know, with a comma before it.
  mutating func keep(_ name: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>?) {
    guard let value else { return }
    self += ",\"".utf8
    self += name
    self += "\":".utf8
    self += value
  }
}
