package import Testing

/// For tests that hold threads of the process's disk executor until something else has happened: one at a time.
///
/// One that holds a thread while it saves to another file, and one that waits until it holds all of them, would wait for each other for
/// ever.
package struct HoldsDiskThreads: TestTrait, TestScoping {
  package func provideScope(
    for test: Test, testCase: Test.Case?,
    performing function: @Sendable @concurrent () async throws -> Void
  ) async throws {
    await Self.turns.take()
    defer { Self.turns.giveBack() }
    try await function()
  }

  private static let turns = TestTurns(1)
}

extension Trait where Self == HoldsDiskThreads {
  /// One at a time; see ``HoldsDiskThreads``.
  package static var holdsDiskThreads: Self { Self() }
}
