import BackoffLock
import ReliabilityIO

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
