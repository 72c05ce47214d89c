import BackoffLock
import ReliabilityIO
import ReliabilityTestSupport

@testable import AtomicStore

/// Tokens as a lock gives them out: each higher than the last.
struct Turns: Sendable {
  private var turn: UInt64 = 0

  mutating func next() -> FencingToken {
    turn += 1
    return FencingToken(epoch: 1, turn: turn << 16)
  }
}

extension TransactionStoreCore.Options {
  /// Small, so that a test is not about zeros.
  static let small = TransactionStoreCore.Options(
    checkpointSize: 1 << 20, journalRoom: 4096, sideThreshold: 1 << 20)
}

/// A transaction put together in one expression.
func transaction(
  _ build: (inout FileTransaction) throws(StoreError) -> Void
) throws(StoreError) -> FileTransaction {
  var transaction = FileTransaction()
  try build(&transaction)
  return transaction
}

extension ScratchDirectory {
  /// The store of this directory, opened with the next token and without a lock.
  func openCore(
    _ turns: inout Turns, options: TransactionStoreCore.Options = .small,
    fileSystem: FileSystem = .real
  ) throws -> TransactionStoreCore {
    try TransactionStoreCore.open(
      path, token: turns.next(), options: options, fileSystem: fileSystem)
  }
}
