import ReliabilityCore
import ReliabilityTesting
import Testing

@testable import DurableJobs

@Suite(.timeLimit(.minutes(10))) struct PostponementTests {
  @Test func aPostponedJobWaitsBurnsNoAttemptAndLetsOthersPass() async throws {
    let runs = Log<Int>()
    let lab = Lab {
      $0.handle(Work.self) { job, context in
        runs.append(job.number)
        #expect(context.attempt == 1)
        if job.number == 1, runs.all.count(where: { $0 == 1 }) < 3 {
          throw JobPostponedError(for: .seconds(30), "the circuit is open")
        }
      }
    }
    try await lab.run { queue in
      let id = try await queue.enqueue(Work(number: 1)).id
      await lab.happened { if case .released = $0 { true } else { false } }
      #expect(try await queue.status(of: id)?.state == .scheduled)
      try await queue.enqueue(Work(number: 2))
      _ = await lab.completed()
      #expect(runs.all == [1, 2])
      lab.clock.advance(by: .seconds(30))
      await lab.happened { if case .released = $0 { true } else { false } }
      lab.clock.advance(by: .seconds(30))
      _ = await lab.completed()
      let job = try await queue.status(of: id)
      #expect(job?.state == .completed && job?.attempts == 0 && job?.failures == [])
      #expect(runs.all == [1, 2, 1, 1])
      #expect(try await queue.metrics().jobsReleased == 2)
    }
  }

  @Test(arguments: [Duration.zero, .seconds(-5)])
  func withoutADelayItIsReadyAtOnceBehindTheOthers(delay: Duration) async throws {
    let runs = Log<Int>()
    let lab = Lab {
      $0.handle(Work.self) { job, _ in
        runs.append(job.number)
        if runs.all.count == 1 { throw JobPostponedError(for: delay, "not yet") }
      }
    }
    try await lab.run { queue in
      let id = try await queue.enqueue(Work(number: 1)).id
      _ = await lab.completed()
      #expect(try await queue.status(of: id)?.attempts == 0)
      #expect(runs.all == [1, 1])
    }
  }
}
