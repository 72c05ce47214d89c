import ReliabilityTesting
import RetryKit
import Testing
import TimeoutManager

/// The example of the guide of `ReliabilityTesting`.
@Suite struct TestingGuideTests {
  @Test func aRetryThatFailsHangsAndSucceedsTakesNoTime() async throws {
    let clock = ManualClock()
    let flaky = ScriptedFailures([.fail(HTTPStatusError(503)), .hang], clock: clock)
    var patient = RetryPolicy(backoff: .constant(.seconds(1)))
    patient.clock = clock
    let policy = patient

    async let answer = retry(policy) { attempt in
      try await withTimeout(.seconds(5), clock: clock) { try await flaky.call { "answer" } }
    }
    await clock.advanceToNext()
    await clock.scheduled(atLeast: 2)
    clock.advance(by: .seconds(5))
    await clock.advanceToNext()
    #expect(try await answer == "answer")
    #expect(flaky.callCount == 3)
  }
}
