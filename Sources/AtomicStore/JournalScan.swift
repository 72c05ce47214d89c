internal import BackoffLock

/// What a journal says: the transactions that count, in order.
struct JournalScan: Hashable, Sendable {
  var records: [JournalRecord] = []
  /// How many bytes they take.
  var size = 0
  /// Whether whoever wrote the last record has also applied it.
  var isMarkedApplied = false

  /// Why a journal can't be read.
  enum Damage: Error, Hashable {
    /// A record is damaged and a later one is not: this is no write that was cut off.
    case corrupt(offset: Int)
    /// A record of a later version.
    case unknownRecord
  }

  /// Reads records until the first that is none.
  ///
  /// What follows was being written when the machine stopped, and never acknowledged. If there is a whole record of
  /// the same salt further on, though, the disk has lost one that was.
  ///
  /// - Parameters:
  ///   - bytes: From the first record on.
  ///   - salt: Of the records that count.
  ///   - previous: The transaction before the first.
  ///   - looksFurther: Whether to look for records behind the end.
  init(
    _ bytes: [UInt8], salt: UInt64, after previous: UInt64, looksFurther: Bool = true
  ) throws(Damage) {
    var last = previous
    reading: while true {
      switch JournalRecord.read(bytes[size...], salt: salt) {
      case .record(let record, let length) where record.transaction == last &+ 1:
        records.append(record)
        last = record.transaction
        size = min(size + length, bytes.count)
      case .unknown: throw .unknownRecord
      default: break reading
      }
    }
    let mark = AppliedMark(salt: salt, transaction: last)
    isMarkedApplied = mark.isAt(bytes[size...])
    guard looksFurther else { return }
    if let offset = JournalScan.laterRecord(in: bytes, from: size, salt: salt, after: last &+ 1) {
      throw .corrupt(offset: offset)
    }
  }

  /// Where a whole record of a later transaction is.
  private static func laterRecord(
    in bytes: [UInt8], from start: Int, salt: UInt64, after transaction: UInt64
  ) -> Int? {
    var offset = start + JournalRecord.alignment
    while offset + JournalRecord.headerSize <= bytes.count {
      if bytes[offset] == JournalRecord.magic[0] {
        switch JournalRecord.read(bytes[offset...], salt: salt) {
        case .record(let record, _) where record.transaction > transaction: return offset
        case .unknown: return offset
        default: break
        }
      }
      offset += JournalRecord.alignment
    }
    return nil
  }
}

/// Which operations of a journal still matter when they are made again.
///
/// What a later replacement or removal of the same file has overtaken is left out: its file may be gone, and to make
/// it again could only harm.
struct RecoveryPlan: Hashable, Sendable {
  struct Step: Hashable, Sendable {
    var operation: JournalOperation
    /// The start of the machine in which it was committed.
    var machineEpoch: UInt32
  }

  /// In the order of the journal.
  var steps: [Step] = []

  init(_ records: [JournalRecord]) {
    var overtaken: Set<String> = []
    for record in records.reversed() {
      for operation in record.operations.reversed() where !overtaken.contains(operation.path) {
        steps.append(Step(operation: operation, machineEpoch: record.token.epoch))
        if operation.isWhole { overtaken.insert(operation.path) }
      }
    }
    steps.reverse()
  }
}
