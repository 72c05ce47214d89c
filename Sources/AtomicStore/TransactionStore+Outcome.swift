/// What a commit has achieved; without effect it throws instead.
///
///     let outcome = try await store.commit(transaction)
///     if case .committedPendingApply(_, let reason) = outcome {
///       print("saved, but not visible yet: \(reason)")
///     }
public enum TransactionOutcome: Hashable, Sendable {
  /// It is durable, and every reader sees it.
  case committed(transaction: UInt64)

  /// It is durable, but some or all of its changes are not in the files yet.
  ///
  /// The next commit, the next opening and ``TransactionStore/recover(_:)`` try again, and until one succeeds nothing
  /// else is committed. It must not be committed a second time.
  case committedPendingApply(transaction: UInt64, reason: StoreError)

  /// The transaction's number in its store: 1 for the first.
  public var transaction: UInt64 {
    switch self {
    case .committed(let transaction), .committedPendingApply(let transaction, _): transaction
    }
  }

  /// Whether every reader sees it.
  public var isApplied: Bool { if case .committed = self { true } else { false } }
}

/// What a journal says to someone who only reads.
public struct JournalStatus: Hashable, Sendable {
  /// How many transactions are in the journal.
  ///
  /// They may all be applied: the journal is emptied lazily.
  public var transactions: Int

  /// The number of the last one that was committed; 0 when none ever was.
  public var lastTransaction: UInt64

  /// Whether the last transactions may be missing in the files, in whole or in part, until a store is opened.
  ///
  /// `false` only when all are applied for sure. After a power cut a journal may say so wrongly until the store is
  /// opened.
  public var needsRecovery: Bool
}
