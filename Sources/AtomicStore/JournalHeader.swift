internal import BackoffLock
internal import ReliabilityIO

/// What a journal begins with: format, version, and from which records on it counts.
///
/// It is kept twice, at 0 and at 4096, and written in turns: a write that is cut off leaves the other one. Layout,
/// little-endian: `RLJH`, major version (2 bytes), minor version (2), generation (8), salt (8), last transaction
/// before the first record (8), highest token's epoch (4) and turn (8), CRC-32C of all before (4).
struct JournalHeader: Hashable, Sendable {
  /// Grows by one with every checkpoint; the valid copy with the higher one counts.
  var generation: UInt64
  /// Records with another salt are left over from before.
  var salt: UInt64
  var lastTransaction: UInt64
  /// The highest token whose holder has written.
  var token: FencingToken

  static let magic: [UInt8] = Array("RLJH".utf8)
  static let major: UInt16 = 1
  static let minor: UInt16 = 0
  static let size = 48
  /// Where the second copy is; a write to one never touches the other's block.
  static let stride = 4096
  /// Where the first record is.
  static let area = 2 * stride

  /// Where this generation is kept.
  var offset: Int64 { generation.isMultiple(of: 2) ? 0 : Int64(JournalHeader.stride) }

  var encoded: [UInt8] {
    var out = JournalWriter(capacity: JournalHeader.size)
    out.raw(JournalHeader.magic)
    out.integer(JournalHeader.major)
    out.integer(JournalHeader.minor)
    out.integer(generation)
    out.integer(salt)
    out.integer(lastTransaction)
    out.integer(token.epoch)
    out.integer(token.turn)
    out.integer(CRC32C(out.content.span).value)
    return out.content
  }

  /// What the beginning of a journal says.
  enum Reading: Equatable {
    case header(JournalHeader)
    /// Written by a later major version: to be read by that one only.
    case newer(major: UInt16)
    case damaged
  }

  /// Reads both copies.
  static func read(_ area: [UInt8]) -> Reading {
    var best: JournalHeader?
    for start in [0, stride] {
      guard start + size <= area.count else { continue }
      switch readCopy(area[start..<(start + size)]) {
      case .newer(let major): return .newer(major: major)
      case .header(let header):
        if header.generation >= best?.generation ?? 0 { best = header }
      case .damaged: continue
      }
    }
    return best.map { .header($0) } ?? .damaged
  }

  private static func readCopy(_ bytes: ArraySlice<UInt8>) -> Reading {
    var reader = JournalReader(bytes)
    guard reader.literal(magic), let major = reader.integer(UInt16.self),
      reader.integer(UInt16.self) != nil, let generation = reader.integer(UInt64.self),
      let salt = reader.integer(UInt64.self), let last = reader.integer(UInt64.self),
      let epoch = reader.integer(UInt32.self), let turn = reader.integer(UInt64.self),
      let checksum = reader.integer(UInt32.self)
    else { return .damaged }
    // The checksum stays where it is in every version; a torn version number is no version.
    let checked = bytes.prefix(size - 4)
    guard CRC32C(checked.span).value == checksum else { return .damaged }
    if major > JournalHeader.major { return .newer(major: major) }
    return .header(
      JournalHeader(
        generation: generation, salt: salt, lastTransaction: last,
        token: FencingToken(epoch: epoch, turn: turn)))
  }
}
