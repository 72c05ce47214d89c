import Dispatch
import Testing

/// Runs a test that computes for seconds without a pause, or blocks its thread, on a thread of its own.
///
/// On the cooperative pool, which has as many threads as the machine has processors, they would hold up every other
/// test: waits that are limited by real time would end before their tasks are resumed.
struct OffThePool: SuiteTrait, TestTrait, TestScoping {
  var isRecursive: Bool { true }

  func provideScope(
    for test: Test, testCase: Test.Case?,
    performing function: @Sendable @concurrent () async throws -> Void
  ) async throws {
    try await withTaskExecutorPreference(SingleThread()) { try await function() }
  }

  private final class SingleThread: TaskExecutor {
    private let queue = DispatchQueue(label: "long-test")

    func enqueue(_ job: consuming ExecutorJob) {
      let job = UnownedJob(job)
      queue.async { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
  }
}

extension Trait where Self == OffThePool {
  /// On a thread of its own; see ``OffThePool``.
  static var offThePool: Self { Self() }
}
