package import Testing

/// Lets tests that depend on real time go before all others.
///
/// The testing library begins all tests at once, thousands of tasks in the line of the cooperative pool. Whoever awaits something goes to
/// the end of that line, seconds away, and a limit of real time has passed before its task is resumed. Tasks of a higher priority have
/// a line, and threads, of their own.
package struct RealTime: SuiteTrait, TestTrait, TestScoping {
  package var isRecursive: Bool { true }

  package func provideScope(
    for test: Test, testCase: Test.Case?,
    performing function: @Sendable @concurrent () async throws -> Void
  ) async throws {
    try await withoutActuallyEscaping(function) { function in
      try await withThrowingTaskGroup { group in
        group.addTask(priority: .high) { try await function() }
        try await group.waitForAll()
      }
    }
  }
}

extension Trait where Self == RealTime {
  /// Before the tests that only compute; see ``RealTime``.
  package static var realTime: Self { Self() }
}
