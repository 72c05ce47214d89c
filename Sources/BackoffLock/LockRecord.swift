internal import ReliabilityIO

/// One of the records of a lock file.
///
/// The guide "Formats" has the layout. Bytes this version does not know are kept.
///
/// A power cut may tear any sector that was being written, so each kind has sectors of its own:
///
/// | record | written | torn |
/// |---|---|---|
/// | header | once, before the file gets its name | never |
/// | two epochs | in turns, and synced before they count | the other one still stands |
/// | turn | at every change of the holder, never synced | a new epoch begins |
struct LockRecord: Equatable {
  static let size = 64
  static let headerOffset: Int64 = 0
  static let epochOffsets: [Int64] = [512, 1024]
  /// The owner's line follows in the same sector.
  static let turnOffset: Int64 = 1536
  static let magic = Array("reliability-lock".utf8)
  static let majorVersion: UInt16 = 1

  private var bytes: [UInt8]

  /// The record of a file that nobody used yet.
  init() {
    bytes = [UInt8](repeating: 0, count: Self.size)
    bytes.replaceSubrange(0..<16, with: Self.magic)
    store(UInt64(Self.majorVersion), at: 16, width: 2)
  }

  enum Problem: Error, Equatable {
    case foreign, newer(UInt16), damaged
  }

  /// Reads a record, or makes a new one when the file is empty or all zeros, as a power cut may leave it.
  init(_ bytes: [UInt8]) throws(Problem) {
    self.init()
    if bytes.allSatisfy({ $0 == 0 }) { return }
    // A file that holds something else is a document whose path was given by mistake: never write into it.
    guard bytes.count >= 18, bytes.starts(with: Self.magic) else { throw .foreign }
    self.bytes.replaceSubrange(0..<bytes.count, with: bytes)
    let version = UInt16(load(at: 16, width: 2))
    if version > Self.majorVersion { throw .newer(version) }
    guard bytes.count == Self.size, load(at: 60, width: 4) == UInt64(checksum) else {
      throw .damaged
    }
  }

  /// Which start of the machine; 0 in a new file.
  var epoch: UInt32 {
    get { UInt32(load(at: 20, width: 4)) }
    set { store(UInt64(newValue), at: 20, width: 4) }
  }

  /// The start of the machine that the epoch stands for.
  var bootIdentifier: [UInt8] {
    get { Array(bytes[24..<40]) }
    set { bytes.replaceSubrange(24..<40, with: newValue) }
  }

  /// Whether its epoch stands for this start of the machine and was synced.
  func isSettled(for bootIdentifier: [UInt8]) -> Bool {
    isDurable && bytes[24..<40] == bootIdentifier[...]
  }

  /// How often the lock went from one process to another.
  var turn: UInt64 {
    get { load(at: 40, width: 8) }
    set { store(newValue, at: 40, width: 8) }
  }

  /// When the present holder's turn began, nearly.
  var since: WallTime {
    get { WallTime(nanosecondsSince1970: Int64(bitPattern: load(at: 48, width: 8))) }
    set { store(UInt64(bitPattern: newValue.nanosecondsSince1970), at: 48, width: 8) }
  }

  /// Whether epoch and boot identifier were synced.
  var isDurable: Bool {
    get { bytes[56] == 1 }
    set { bytes[56] = newValue ? 1 : 0 }
  }

  /// The bytes to write.
  var encoded: [UInt8] {
    var copy = self
    copy.store(UInt64(checksum), at: 60, width: 4)
    return copy.bytes
  }

  private var checksum: UInt32 { CRC32C(bytes.span.extracting(0..<60)).value }

  private func load(at offset: Int, width: Int) -> UInt64 {
    var value: UInt64 = 0
    for i in offset..<(offset + width) { value = value << 8 | UInt64(bytes[i]) }
    return value
  }

  private mutating func store(_ value: UInt64, at offset: Int, width: Int) {
    for i in 0..<width {
      bytes[offset + i] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(width - 1 - i)))
    }
  }
}
