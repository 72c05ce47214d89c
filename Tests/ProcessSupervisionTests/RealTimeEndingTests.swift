import ReliabilityCore
import ReliabilityTestSupport
import Testing

@testable import ProcessSupervision

/// Waiting for the end of a child while others end it and cancel the wait: threads that race, so real time.
@Suite(.realTime, .timeLimit(.minutes(10))) struct RealTimeEndingTests {
  private static let report: ProcessReport = {
    let launcher = ProcessLauncher(
      command: "none", arguments: [], configuration: ProcessConfiguration(),
      clock: NanosecondClock(ContinuousClock()))
    return ProcessReport(notStarted: launcher, nil)
  }()

  @Test func endAndCancellationAtTheSameTimeResumeEachWaiterOnce() async throws {
    var (ended, cancelled) = (0, 0)
    for round in 0..<2_000 {
      let ending = ProcessEnding()
      let waiters = (0..<3).map { _ in
        Task {
          do {
            _ = try await ending.waitUnlessCancelled()
            return true
          } catch {
            return false
          }
        }
      }
      let patient = Task { await ending.wait().command }
      // In every order, from before the waiters have begun to long after.
      if round.isMultiple(of: 2) { await Task.yield() }
      let cancel = Task.detached { for waiter in waiters { waiter.cancel() } }
      let finish = Task.detached { ending.finish(Self.report) }
      if round.isMultiple(of: 3) { patient.cancel() }
      for waiter in waiters {
        if await waiter.value { ended += 1 } else { cancelled += 1 }
      }
      // Whose cancellation ends the child waits for that all the same.
      #expect(await patient.value == "none")
      _ = await (cancel.value, finish.value)
    }
    #expect(ended + cancelled == 6_000)
  }

  @Test func whoIsCancelledBeforeTheEndIsNotHeldUp() async throws {
    let ending = ProcessEnding()
    let waiter = Task { try await ending.waitUnlessCancelled() }
    waiter.cancel()
    await #expect(throws: CancellationError.self) { try await waiter.value }
    ending.finish(Self.report)
    #expect(ending.report != nil)
    // After the end even a cancelled task learns of it.
    let late = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      return try await ending.waitUnlessCancelled().command
    }
    #expect(try await late.value == "none")
  }
}

@Suite struct FileLookTests {
  @Test func oneLookIsUnderWayAtATime() {
    var look = FileLook()
    let begun = [look.begin(), look.begin(), look.begin()]
    #expect(begun == [true, false, false])
    let isStale = look.end()
    #expect(isStale, "what was seen may be older than the question")
    let second = (begun: look.begin(), isStale: look.end())
    #expect(second == (true, false))
  }

  @Test func aLookIsStaleOnceHoweverOftenItWasAskedFor() {
    var look = FileLook()
    for _ in 0..<10 { _ = look.begin() }
    let first = look.end()
    let second = (begun: look.begin(), isStale: look.end())
    #expect(first && second == (true, false))
  }
}
