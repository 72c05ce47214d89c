import Dispatch
package import Testing

/// Runs tests that compute for seconds without a pause, or block their thread, two at a time on threads of their own.
///
/// On the cooperative pool, which has as many threads as the machine has processors, they would hold up every other
/// test: waits that are limited by real time would end before their tasks are resumed.
package struct OffThePool: SuiteTrait, TestTrait, TestScoping {
  package var isRecursive: Bool { true }

  package func provideScope(
    for test: Test, testCase: Test.Case?,
    performing function: @Sendable @concurrent () async throws -> Void
  ) async throws {
    await Self.turns.take()
    defer { Self.turns.giveBack() }
    try await withTaskExecutorPreference(OwnThreads()) { try await function() }
  }

  /// Two tests at a time, of all targets together: enough to keep a small machine busy, and not more.
  private static let turns = TestTurns(2)

  /// Runs every piece of work on whatever thread is free, and on a new one when none is.
  ///
  /// One thread would not do: the testing library blocks the one it is on while a test waits for another process, and
  /// what else the test does meanwhile may be what that process waits for.
  private final class OwnThreads: TaskExecutor {
    func enqueue(_ job: consuming ExecutorJob) {
      let job = UnownedJob(job)
      // A serial queue of its own: unlike work of concurrent queues, that never waits for a processor to be idle.
      DispatchQueue(label: "long-test").async {
        unsafe job.runSynchronously(on: self.asUnownedTaskExecutor())
      }
    }
  }
}

extension Trait where Self == OffThePool {
  /// On threads of its own; see ``OffThePool``.
  package static var offThePool: Self { Self() }
}
