import Dispatch
import Testing

/// Runs tests that compute for seconds without a pause one after the other on a thread of their own.
///
/// On the cooperative pool, which has as many threads as the machine has processors, they would hold up every other
/// test: waits that are limited by real time would end before their tasks are resumed.
struct OffThePool: SuiteTrait, TestTrait, TestScoping {
  var isRecursive: Bool { true }

  func provideScope(
    for test: Test, testCase: Test.Case?,
    performing function: @Sendable @concurrent () async throws -> Void
  ) async throws {
    try await withTaskExecutorPreference(SingleThread.shared) { try await function() }
  }

  private final class SingleThread: TaskExecutor {
    static let shared = SingleThread()
    private let queue = DispatchQueue(label: "long-tests")

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
