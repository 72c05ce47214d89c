internal import AtomicStore

/// What a call did to the table, and what of it is to be written.
struct JobChange<Answer: Sendable>: Sendable {
  var answer: Answer
  var records: [[UInt8]]
  /// Whether the answer may only be given when what it is made of is safe.
  var waits = true
  /// `nil` for the store's own.
  var durability: Durability?
  /// The claims that were settled.
  var settled: [JobLease] = []
  /// Whether the file is to be compacted to what the table is by then.
  var wantsSnapshot = false

  init(_ answer: Answer, record: [UInt8]? = nil, waits: Bool = true) {
    self.answer = answer
    records = record.map { [$0] } ?? []
    self.waits = waits
  }
}

/// Changes that are written together.
struct JobCommit {
  var records: [[UInt8]] = []
  var durability = Durability.none
  var waiters: [CommitWaiter] = []
  /// What jobs were before, to take the changes back when they can't be written.
  var history: [JobMemento] = []
  var settled: [JobLease] = []
  /// Whether the file is to be compacted to what the table is with these changes.
  var wantsSnapshot = false
  var snapshot: JobSnapshotPlan?
}

/// A task that waits for its changes to be written; resumed once.
@safe struct CommitWaiter: Sendable {
  enum Turn: Sendable {
    /// They are.
    case written
    /// They are not, and were taken back.
    case failed(any Error)
    /// Nobody writes: this one does it for all that wait.
    case lead
  }

  private let continuation: UnsafeContinuation<Turn, Never>

  init(_ continuation: UnsafeContinuation<Turn, Never>) { unsafe self.continuation = continuation }

  func resume(_ turn: Turn) { unsafe continuation.resume(returning: turn) }
}
