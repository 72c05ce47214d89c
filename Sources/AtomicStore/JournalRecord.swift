internal import BackoffLock
internal import ReliabilityIO

/// One committed transaction in the journal.
///
/// Layout, all numbers little-endian: `RLJ1`, version (2 bytes), flags (2), salt (8), transaction (8), token epoch
/// (4), token turn (8), payload length (4), CRC-32C of all other bytes of header and payload (4), payload, zeros up
/// to a multiple of 8.
struct JournalRecord: Hashable, Sendable {
  var transaction: UInt64
  var token: FencingToken
  var operations: [JournalOperation]

  static let magic: [UInt8] = Array("RLJ1".utf8)
  static let version: UInt16 = 1
  static let headerSize = 44
  static let lengthOffset = 36
  static let checksumOffset = 40
  /// Records begin at multiples of this.
  static let alignment = 8
  /// The most bytes of operations in one record.
  static let maximumPayload = 16 << 20

  /// - Returns: `nil` when the operations need more than ``maximumPayload``.
  func encoded(salt: UInt64) -> [UInt8]? {
    var out = JournalWriter(capacity: JournalRecord.headerSize + sizeEstimate)
    out.raw(JournalRecord.magic)
    out.integer(JournalRecord.version)
    out.integer(UInt16(0))
    out.integer(salt)
    out.integer(transaction)
    out.integer(token.epoch)
    out.integer(token.turn)
    out.integer(UInt32(0))
    out.integer(UInt32(0))
    out.integer(UInt32(operations.count))
    for operation in operations { operation.encode(into: &out) }
    let length = out.content.count - JournalRecord.headerSize
    guard length <= JournalRecord.maximumPayload else { return nil }
    out.patch(UInt32(length), at: JournalRecord.lengthOffset)
    out.patch(JournalRecord.checksum(out.content[...]), at: JournalRecord.checksumOffset)
    out.pad(toMultipleOf: JournalRecord.alignment)
    return out.content
  }

  private var sizeEstimate: Int {
    operations.reduce(16) { sum, operation in
      let bytes =
        switch operation {
        case .append(_, _, _, let bytes), .replace(_, _, let bytes): bytes.count
        case .replaceFromSide, .remove: 64
        }
      return sum + bytes + operation.path.utf8.count + 32
    }
  }

  /// The checksum of a record without its own bytes.
  private static func checksum(_ record: ArraySlice<UInt8>) -> UInt32 {
    let span = record.span
    var checksum = CRC32C()
    checksum.update(span.extracting(0..<checksumOffset))
    checksum.update(span.extracting(headerSize..<span.count))
    return checksum.value
  }

  /// What stands at the beginning of some bytes.
  enum Reading {
    case record(JournalRecord, size: Int)
    /// A record that is whole, but that a newer version of this package wrote.
    case unknown
    /// The header may be one, and so many bytes are needed to tell.
    case incomplete(size: Int)
    case none
  }

  /// Reads the record at the beginning of some bytes.
  static func read(_ bytes: ArraySlice<UInt8>, salt: UInt64) -> Reading {
    var header = JournalReader(bytes)
    guard header.literal(magic), let version = header.integer(UInt16.self),
      header.integer(UInt16.self) != nil, header.integer(UInt64.self) == salt,
      let transaction = header.integer(UInt64.self), let epoch = header.integer(UInt32.self),
      let turn = header.integer(UInt64.self), let length = header.integer(UInt32.self),
      let checksum = header.integer(UInt32.self), length <= maximumPayload
    else { return .none }
    let size = headerSize + Int(length)
    guard size <= bytes.count else { return .incomplete(size: size) }
    let whole = bytes.prefix(size)
    guard JournalRecord.checksum(whole) == checksum else { return .none }
    guard version == JournalRecord.version else { return .unknown }

    var payload = JournalReader(whole.dropFirst(headerSize))
    guard let count = payload.integer(UInt32.self) else { return .unknown }
    var operations: [JournalOperation] = []
    for _ in 0..<count {
      guard let operation = JournalOperation(from: &payload) else { return .unknown }
      operations.append(operation)
    }
    guard payload.isAtEnd else { return .unknown }
    let record = JournalRecord(
      transaction: transaction, token: FencingToken(epoch: epoch, turn: turn),
      operations: operations)
    return .record(record, size: aligned(size))
  }

  static func aligned(_ size: Int) -> Int { (size + alignment - 1) / alignment * alignment }
}

/// Says behind the last record that all transactions up to it have been applied.
///
/// Written without a sync, for other processes of the same start of the machine; the next record overwrites it. After
/// a power cut nobody believes it: every opener makes all changes of the journal again.
struct AppliedMark: Hashable, Sendable {
  var salt: UInt64
  var transaction: UInt64

  static let magic: [UInt8] = Array("RLJA".utf8)
  static let size = 24

  var encoded: [UInt8] {
    var out = JournalWriter(capacity: AppliedMark.size)
    out.raw(AppliedMark.magic)
    out.integer(salt)
    out.integer(transaction)
    out.integer(CRC32C(out.content.span).value)
    return out.content
  }

  func isAt(_ bytes: ArraySlice<UInt8>) -> Bool {
    bytes.prefix(AppliedMark.size).elementsEqual(encoded)
  }
}
