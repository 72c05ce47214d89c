import ReliabilityTesting
import RetryKit
import Testing

/// The example of the guide of `ReliabilityTesting`.
@Suite(.timeLimit(.minutes(10))) struct TestingGuideTests {
  @Test func aRetryThatFailsTwiceAndSucceedsTakesNoTime() async throws {
    let clock = ManualClock()
    let flaky = ScriptedFailures(
      [.fail(HTTPStatusError(503)), .fail(HTTPStatusError(503))], clock: clock)
    var patient = RetryPolicy(backoff: .constant(.seconds(1)))
    patient.clock = clock
    let policy = patient

    async let answer = retry(policy) { _ in try await flaky.call { "answer" } }
    await clock.advanceToNext()
    await clock.advanceToNext()
    #expect(try await answer == "answer")
    #expect(flaky.callCount == 3)
  }
}
