import ReliabilityTesting
import Testing

@Suite struct ScriptedFailuresTests {
  @Test func callsTakeTheStepsInOrderAndThenTheLastWord() async throws {
    let script = ScriptedFailures(
      [.fail(HTTPStatusError(503)), .succeed], afterwards: .fail(HTTPStatusError(404)))
    await #expect(throws: HTTPStatusError(503)) { try await script.call { 1 } }
    #expect(try await script.call { 2 } == 2)
    await #expect(throws: HTTPStatusError(404)) { try await script.call { 3 } }
    await #expect(throws: HTTPStatusError(404)) { try await script.call { 4 } }
    #expect(script.callCount == 4)
  }

  @Test func delayPassesOnTheClockAndAHangEndsWithACancellation() async throws {
    let clock = ManualClock()
    let script = ScriptedFailures([.delay(.seconds(3)), .hang], clock: clock)
    async let slow = script.call { "slow" }
    #expect(await clock.nextScheduled() == clock.now + .seconds(3))
    clock.advance(by: .seconds(3))
    #expect(try await slow == "slow")

    let hung = Task { try await script.call { "never" } }
    await clock.nextScheduled()
    clock.advance(by: .seconds(86_400 * 365))
    hung.cancel()
    await #expect(throws: CancellationError.self) { try await hung.value }
  }
}
