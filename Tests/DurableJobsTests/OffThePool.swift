import Dispatch
import ReliabilityCore
import Testing

/// Runs tests that compute for seconds without a pause, or block their thread, one at a time on a thread of their own.
///
/// On the cooperative pool, which has as many threads as the machine has processors, they would hold up every other
/// test: waits that are limited by real time would end before their tasks are resumed.
struct OffThePool: SuiteTrait, TestTrait, TestScoping {
  var isRecursive: Bool { true }

  func provideScope(
    for test: Test, testCase: Test.Case?,
    performing function: @Sendable @concurrent () async throws -> Void
  ) async throws {
    await Self.turns.take()
    defer { Self.turns.giveBack() }
    try await withTaskExecutorPreference(SingleThread()) { try await function() }
  }

  private static let turns = Turns()

  /// One test at a time.
  private final class Turns: Sendable {
    private let state = Lock((isTaken: false, waiting: [CheckedContinuation<Void, Never>]()))

    func take() async {
      await withCheckedContinuation { continuation in
        let isFree = state.withLock { state in
          if state.isTaken {
            state.waiting.append(continuation)
            return false
          }
          state.isTaken = true
          return true
        }
        if isFree { continuation.resume() }
      }
    }

    func giveBack() {
      let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
        if state.waiting.isEmpty {
          state.isTaken = false
          return nil
        }
        return state.waiting.removeFirst()
      }
      next?.resume()
    }
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
