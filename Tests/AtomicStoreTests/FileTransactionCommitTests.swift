import BackoffLock
import ReliabilityIO
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import AtomicStore

/// When a commit can still be called off, and what it costs when nobody else was there.
@Suite(.offThePool) struct FileTransactionCommitTests {
  /// Cancels a task from a disk thread, once.
  private final class Canceller: Sendable {
    private let task = Lock<Task<TransactionOutcome, any Error>?>(nil)
    func arm(_ new: Task<TransactionOutcome, any Error>) { task.withLock { $0 = new } }
    func fire() { task.withLock { $0.take() }?.cancel() }
  }

  /// - Returns: What a commit comes to whose task is cancelled just before its first call of a name.
  private func commit(cancelledAt call: String, _ scratch: ScratchDirectory) async throws
    -> (Result<TransactionOutcome, any Error>, wasCancelled: Bool)
  {
    let canceller = Canceller()
    let isArmed = Lock(false)
    let disk = FaultyFileSystem(before: { name in
      if name == call, isArmed.withLock({ $0 }) { canceller.fire() }
    })
    let store = try await TransactionStore(
      scratch.path, fileSystem: disk.fileSystem, clock: ManualClock())
    // The lock is kept from now on: all calls are the store's.
    try await store.append("a", "before")
    let (start, go) = AsyncStream<Void>.makeStream()
    let task = Task {
      for await _ in start { break }
      return try await store.commit { transaction in
        try transaction.append("a", "after")
        try transaction.replace("b", with: bytes("new"))
      }
    }
    canceller.arm(task)
    isArmed.withLock { $0 = true }
    go.yield()
    let result = await task.result
    return (result, task.isCancelled)
  }

  @Test func aCommitThatIsCancelledBeforeItsRecordIsWrittenHasNotHappened() async throws {
    let scratch = ScratchDirectory()
    let (result, wasCancelled) = try await commit(cancelledAt: "fstatat", scratch)
    #expect(wasCancelled)
    #expect(throws: CancellationError.self) { try result.get() }
    #expect(scratch.read("a") == "before\n" && scratch.read("b") == nil)
    let store = try await TransactionStore(scratch.path)
    #expect(try await store.commit(FileTransaction()).transaction == 1)
  }

  /// At the write of the record, at its sync, and while the files are changed.
  @Test(arguments: ["write", "fsync", "rename"])
  func aCommitThatIsCancelledAfterThatIsCompletedAndReported(call: String) async throws {
    let scratch = ScratchDirectory()
    let (result, wasCancelled) = try await commit(cancelledAt: call, scratch)
    #expect(wasCancelled)
    #expect(try result.get() == .committed(transaction: 2))
    #expect(scratch.read("a") == "before\nafter\n" && scratch.read("b") == "new")
  }

  @Test func aStoreThatNobodyInterruptsLooksAtNothingTwice() async throws {
    let scratch = ScratchDirectory()
    let clock = ManualClock()
    let disk = FaultyFileSystem()
    let store = try await TransactionStore(
      scratch.path, fileSystem: disk.fileSystem, clock: clock)
    func calls() async throws -> [String] {
      let before = disk.calls.count
      try await store.append("a", "x")
      // Whether another process waits for the lock is asked now and then.
      return disk.calls[before...].filter { $0 != "fcntl" }
    }
    _ = try await calls()
    _ = try await calls()
    // The journal's name and the file; the record and its sync; the file again, the line, the mark.
    let alone = ["fstatat", "fstatat", "write", "fsync", "fstatat", "write", "write"]
    #expect(try await calls() == alone)
    #expect(try await calls() == alone)

    let other = try await TransactionStore(scratch.path, clock: clock)
    try await other.append("a", "y")
    let after = try await calls()
    #expect(after.count > alone.count)
    #expect(after.contains("read"), "the other's record was not looked for")
    #expect(scratch.read("a") == "x\nx\nx\nx\ny\nx\n")
    #expect(try await calls() == alone)
  }
}
