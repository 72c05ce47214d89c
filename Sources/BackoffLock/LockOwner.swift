internal import ReliabilityIO

/// Who holds a lock, as the holder wrote it into the lock file: for people, nothing is decided by it.
///
///     if let owner = try await lock.owner() {
///       print(owner)  // pid 4242 (importer, "nightly") since 14:02:31
///     }
public struct LockOwner: Hashable, Sendable {
  /// The process.
  public var processIdentifier: Int32

  /// When the process started, in clock ticks after the machine did: tells it from a later process of that number.
  ///
  /// `nil` where the system does not say.
  public var processStart: UInt64?

  /// Which table of process numbers it is in (`pid:[4026531836]`), `nil` where there is only one.
  public var processNamespace: String?

  /// The machine.
  public var host: String

  /// The program.
  public var program: String

  /// What the lock is for, by ``BackoffLock/Configuration/label``.
  public var label: String?

  /// Since when the process has the lock, by the wall clock and within a second.
  ///
  /// A process that takes the lock again before any other keeps its turn: then this is when it last looked at the
  /// clock, at most a second before the present hold began.
  public var since: WallTime
}

extension LockOwner: CustomStringConvertible {
  /// Process, program, label and since when, by the clock in UTC.
  public var description: String {
    let time = CivilTime(since)
    let clock = "\(time.hour.padded(2)):\(time.minute.padded(2)):\(time.second.padded(2))"
    let purpose = label.map { ", \"\($0)\"" } ?? ""
    return "pid \(processIdentifier) (\(program)\(purpose)) since \(clock)"
  }
}

extension LockOwner {
  /// The line in the lock file, without the time: tab-separated, so that `cut` reads it.
  var line: [UInt8] {
    let fields = [
      "pid=\(processIdentifier)", processStart.map { "start=\($0)" },
      processNamespace.map { "namespace=\(Self.cut($0, to: 40))" },
      "host=\(Self.cut(host, to: 100))", "program=\(Self.cut(program, to: 100))",
      label.map { "label=\(Self.cut($0, to: 100))" },
    ]
    return Array((fields.compactMap(\.self).joined(separator: "\t") + "\n").utf8)
  }

  /// Reads the line; `nil` when it is not one.
  init?(line: [UInt8], since: WallTime) {
    guard let text = String(validating: line, as: UTF8.self) else { return nil }
    var fields: [Substring: String] = [:]
    for field in text.dropLast().split(separator: "\t") {
      guard let sign = field.firstIndex(of: "=") else { continue }
      fields[field[..<sign]] = String(field[field.index(after: sign)...])
    }
    guard let pid = fields["pid"].flatMap({ Int32($0) }) else { return nil }
    self.init(
      processIdentifier: pid, processStart: fields["start"].flatMap { UInt64($0) },
      processNamespace: fields["namespace"], host: fields["host"] ?? "unknown",
      program: fields["program"] ?? "unknown", label: fields["label"], since: since)
  }

  private static func cut(_ text: String, to count: Int) -> String {
    var result = ""
    var size = 0
    for scalar in text.unicodeScalars {
      // One field a line, whatever is in a name.
      let scalar = scalar.value < 0x20 ? " " : scalar
      size += UTF8.width(scalar)
      if size > count { break }
      result.unicodeScalars.append(scalar)
    }
    return result
  }
}

/// What stands behind the record of a lock file: the owner's line with its length and a checksum, read only when
/// somebody asks.
struct LockOwnerField: Sendable {
  /// With the record before it, one sector.
  static let size = 512 - LockRecord.size
  /// Length and checksum.
  private static let headSize = 8
  /// The most bytes of the line.
  static let maximumLine = size - headSize

  let bytes: [UInt8]
  /// Since when, which the record says.
  private let since: WallTime

  /// What is to be written.
  init(_ owner: LockOwner) {
    let line = owner.line
    let checksum = CRC32C(line.span).value
    var bytes = [UInt8(line.count >> 8), UInt8(line.count & 0xFF), 0, 0]
    bytes += (0..<4).map { UInt8(truncatingIfNeeded: checksum >> (24 - 8 * UInt32($0))) }
    bytes += line
    self.bytes = bytes + [UInt8](repeating: 0, count: Self.size - bytes.count)
    since = owner.since
  }

  /// What was read, perhaps while it was being written.
  init(_ bytes: ArraySlice<UInt8>, since: WallTime) {
    self.bytes = Array(bytes)
    self.since = since
  }

  /// `nil` when nobody has written it, or not all of it.
  var owner: LockOwner? {
    guard bytes.count == Self.size else { return nil }
    let count = Int(bytes[0]) << 8 | Int(bytes[1])
    guard count <= Self.maximumLine else { return nil }
    let line = Array(bytes[Self.headSize..<(Self.headSize + count)])
    let checksum = bytes[4..<8].reduce(0) { $0 << 8 | UInt32($1) }
    guard checksum == CRC32C(line.span).value else { return nil }
    return LockOwner(line: line, since: since)
  }
}
