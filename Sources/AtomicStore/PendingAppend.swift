/// Records that wait for their turn.
///
/// Unchecked: made by one task; from the moment it is in the queue, touched under the lock of the log's shared state,
/// and its records only by the disk thread that took it.
final class PendingAppend: @unchecked Sendable {
  enum Turn: Sendable {
    case lead, finished
  }

  let durability: Durability
  /// Whether the log is closed after it.
  var isLast = false
  /// When it came, since the origin of instants.
  var arrived = Duration.zero
  private var records: [(payload: [UInt8], checksum: UInt32)] = []
  /// The bytes of its lines, or one or two more.
  private(set) var byteCount = 0
  private(set) var count = 0

  var waiter: Waiter?
  var outcome: Result<AppendLog.Receipt, any Error>?
  /// Whether a round has it.
  var isTaken = false

  init(_ durability: Durability) { self.durability = durability }

  func add(_ record: [UInt8], format: AppendLog.Format) {
    records.append((record, format == .checked ? LogLine.checksum(of: record) : 0))
    count += 1
    byteCount += record.count + (format == .checked ? LogLine.overhead + 1 : 1)
  }

  func appendLines(to buffer: inout [UInt8], format: AppendLog.Format) {
    for (payload, checksum) in records {
      switch format {
      case .checked: LogLine.append(payload, checksum: checksum, to: &buffer)
      case .plain:
        buffer.append(contentsOf: payload)
        buffer.append(LogLine.newline)
      }
    }
    records = []
  }

  func result() throws -> AppendLog.Receipt {
    guard let outcome else { preconditionFailure("an append was resumed unfinished") }
    return try outcome.get()
  }
}

/// A task that waits; resumed once.
@safe struct Waiter: Sendable {
  private let continuation: UnsafeContinuation<PendingAppend.Turn, Never>

  init(_ continuation: UnsafeContinuation<PendingAppend.Turn, Never>) {
    unsafe self.continuation = continuation
  }

  func resume(_ turn: PendingAppend.Turn) { unsafe continuation.resume(returning: turn) }
}
