/// A part of a report that lists its JSON members.
///
/// One list serves both ways out, the bounded writer and `Codable`, so that they cannot say different things.
protocol ReportPart: Codable, Sendable {
  func write(to sink: inout some MemberSink)
}

/// Takes the members of one JSON object.
///
/// A `nil` is left out, except where the name says otherwise.
protocol MemberSink {
  mutating func member(_ name: String, _ value: String?)
  mutating func member(_ name: String, _ value: Bool?)
  mutating func member(_ name: String, _ value: Double?)
  mutating func member(_ name: String, _ value: Int64?)
  mutating func null(_ name: String)
  mutating func part(_ name: String, _ value: (some ReportPart)?)
  mutating func parts(_ name: String, _ values: [some ReportPart])
  mutating func strings(_ name: String, _ values: [String])
}

extension MemberSink {
  mutating func seconds(_ name: String, _ value: Duration?) { member(name, value?.seconds) }

  mutating func time(_ name: String, _ value: WallTime) { member(name, Timestamp.string(value)) }

  /// The member whether or not there is a value.
  mutating func required(_ name: String, seconds value: Duration?) {
    if value == nil { null(name) } else { seconds(name, value) }
  }
}

extension JSONWriter: MemberSink {
  mutating func member(_ name: String, _ value: Int64?) {
    guard let value else { return }
    key(name)
    integer(value)
  }

  mutating func null(_ name: String) {
    key(name)
    null()
  }

  mutating func part(_ name: String, _ value: (some ReportPart)?) {
    guard let value else { return }
    member(name, object: value.write)
  }

  mutating func parts(_ name: String, _ values: [some ReportPart]) {
    member(name, each: values) { writer, value in writer.object(value.write) }
  }

  mutating func strings(_ name: String, _ values: [String]) {
    member(name, each: values) { writer, value in writer.string(value) }
  }
}

/// A key of any name.
struct MemberName: CodingKey {
  var stringValue: String
  var intValue: Int? { nil }

  init(_ name: String) { stringValue = name }
  init?(stringValue: String) { self.init(stringValue) }
  init?(intValue: Int) { nil }
}

/// Hands members to an encoder and keeps its first error.
struct EncodingSink: MemberSink {
  private var container: KeyedEncodingContainer<MemberName>
  private var failure: (any Error)?

  static func encode(_ part: some ReportPart, to encoder: any Encoder) throws {
    var sink = EncodingSink(container: encoder.container(keyedBy: MemberName.self))
    part.write(to: &sink)
    if let failure = sink.failure { throw failure }
  }

  private mutating func attempt(
    _ body: (inout KeyedEncodingContainer<MemberName>) throws -> Void
  ) {
    if failure != nil { return }
    do { try body(&container) } catch { failure = error }
  }

  mutating func member(_ name: String, _ value: String?) {
    attempt { try $0.encodeIfPresent(value, forKey: MemberName(name)) }
  }

  mutating func member(_ name: String, _ value: Bool?) {
    attempt { try $0.encodeIfPresent(value, forKey: MemberName(name)) }
  }

  mutating func member(_ name: String, _ value: Double?) {
    guard let value else { return }
    if value.isFinite {
      attempt { try $0.encode(value, forKey: MemberName(name)) }
    } else {
      null(name)
    }
  }

  mutating func member(_ name: String, _ value: Int64?) {
    attempt { try $0.encodeIfPresent(value, forKey: MemberName(name)) }
  }

  mutating func null(_ name: String) {
    attempt { try $0.encodeNil(forKey: MemberName(name)) }
  }

  mutating func part(_ name: String, _ value: (some ReportPart)?) {
    attempt { try $0.encodeIfPresent(value, forKey: MemberName(name)) }
  }

  mutating func parts(_ name: String, _ values: [some ReportPart]) {
    attempt { try $0.encode(values, forKey: MemberName(name)) }
  }

  mutating func strings(_ name: String, _ values: [String]) {
    attempt { try $0.encode(values, forKey: MemberName(name)) }
  }
}

/// Reads the members of one JSON object; a missing one gives `nil` or an empty list.
struct MemberReader {
  private let container: KeyedDecodingContainer<MemberName>

  init(_ decoder: any Decoder) throws {
    container = try decoder.container(keyedBy: MemberName.self)
  }

  func value<Value: Decodable>(_ name: String, as type: Value.Type = Value.self) throws -> Value {
    try container.decode(type, forKey: MemberName(name))
  }

  func optional<Value: Decodable>(
    _ name: String, as type: Value.Type = Value.self
  ) throws -> Value? {
    try container.decodeIfPresent(type, forKey: MemberName(name))
  }

  func list<Value: Decodable>(_ name: String, of type: Value.Type = Value.self) throws -> [Value] {
    try container.decodeIfPresent([Value].self, forKey: MemberName(name)) ?? []
  }

  /// A text, clipped again: a report from elsewhere is no larger than one made here.
  func text(_ name: String, limit: Int) throws -> String? {
    try optional(name, as: String.self).map { ReportText.printable($0, limit: limit) }
  }

  func texts(_ name: String, count: Int, limit: Int) throws -> [String] {
    try list(name, of: String.self).prefix(count).map { ReportText.printable($0, limit: limit) }
  }

  func category(_ name: String) throws -> ErrorCategory {
    ReportText.category(ErrorCategory(rawValue: try optional(name) ?? ""))
  }

  func seconds(_ name: String) throws -> Duration? {
    guard let seconds = try optional(name, as: Double.self) else { return nil }
    // Half a nanosecond more undoes what the way through a binary fraction of a second did.
    return Duration(saturatingSeconds: seconds + 5e-10).inReport
  }

  func time(_ name: String) throws -> WallTime {
    let text = try value(name, as: String.self)
    guard let time = Timestamp.parse(text) else {
      throw DecodingError.dataCorruptedError(
        forKey: MemberName(name), in: container, debugDescription: "Not an RFC 3339 time in UTC.")
    }
    return time
  }
}

extension Duration {
  /// The duration as precise as a report can say it in seconds and read it back: whole nanoseconds up to 100 days, whole
  /// seconds up to 2^53, which is the most.
  var inReport: Duration {
    let (seconds, attoseconds) = clamped.components
    if seconds < 100 * 86_400 {
      return .seconds(seconds) + .nanoseconds(attoseconds / 1_000_000_000)
    }
    return .seconds(min(seconds, 1 << 53))
  }
}
