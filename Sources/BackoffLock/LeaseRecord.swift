internal import ReliabilityCore

/// What a claim says of its holder: one line of JSON.
///
/// The token comes last, right-aligned in a field of fixed width, so that it can be written in place once it is known:
/// the claim itself must be complete when it appears.
struct LeaseRecord: Hashable, Sendable {
  static let format = "reliability-lease"
  static let version: Int64 = 1
  /// More than any record: what is longer is not one.
  static let maximumSize = 4096
  /// As many digits as a `UInt64` can have.
  private static let tokenWidth = 20

  var owner: ProcessIdentity
  /// Tells two claims of one process apart, and one that lies in a reused inode.
  var nonce: UInt64
  var duration: Duration
  /// When the owner began to ask for the lease, by its own wall clock: for people.
  var since: WallTime
  var label: String?
  /// 0 while the holder has not drawn it.
  var token: UInt64 = 0

  var bytes: [UInt8] {
    var json = JSONWriter()
    json.object { json in
      json.member("format", LeaseRecord.format)
      json.member("version", LeaseRecord.version)
      json.member("lease_ms", duration.nanoseconds / 1_000_000)
      json.member("nonce", String(nonce, radix: 16))
      owner.write(to: &json)
      json.member("since_ms", since.nanosecondsSince1970 / 1_000_000)
      json.member("label", label.map { LeaseRecord.shortened($0) })
    }
    return json.finish().dropLast() + Array(",\"token\":".utf8) + tokenField + Array("}\n".utf8)
  }

  /// The digits alone, with spaces before them, which JSON allows.
  var tokenField: [UInt8] {
    let digits = Array(String(token).utf8)
    let spaces = [UInt8](
      repeating: UInt8(ascii: " "), count: LeaseRecord.tokenWidth - digits.count)
    return spaces + digits
  }

  /// Where ``tokenField`` is in ``bytes``.
  var tokenOffset: Int64 { Int64(bytes.count - LeaseRecord.tokenWidth - 2) }

  /// As much of a label as is worth showing.
  private static func shortened(_ label: String) -> String { String(label.prefix(200)) }

  enum Reading: Hashable, Sendable {
    case record(LeaseRecord)
    /// Written by a later version of this package, whose rules are not known here.
    case newerVersion(Int64)
    case unreadable
  }

  static func read(_ bytes: [UInt8]) -> Reading {
    guard let line = JSONLine(bytes), line.string("format") == format,
      let version = line.integer("version")
    else { return .unreadable }
    if version > LeaseRecord.version { return .newerVersion(version) }
    guard let owner = ProcessIdentity(line),
      let nonce = line.string("nonce").flatMap({ UInt64($0, radix: 16) }),
      let milliseconds = line.integer("lease_ms"), milliseconds > 0
    else { return .unreadable }
    let since = (line.integer("since_ms") ?? 0).multipliedReportingOverflow(by: 1_000_000)
    return .record(
      LeaseRecord(
        owner: owner, nonce: nonce, duration: .milliseconds(milliseconds),
        since: WallTime(nanosecondsSince1970: since.overflow ? .max : since.partialValue),
        label: line.string("label"), token: line.unsigned("token") ?? 0))
  }
}
