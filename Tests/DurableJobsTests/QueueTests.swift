import CircuitBreaker
import RateLimiting
import ReliabilityCore
import ReliabilityTesting
import Testing
import TimeoutManager

@testable import DurableJobs

@Suite(.timeLimit(.minutes(10))) struct QueueTests {
  @Test func everyJobRunsOnceAndIsCompleted() async throws {
    let done = Log<Int>()
    let lab = Lab { $0.handle(Work.self) { job, _ in done.append(job.number) } }
    let made = try await withJobQueue(lab.queue) { queue in
      try await queue.enqueue(contentsOf: (0..<200).map { Work(number: $0) })
    }
    #expect(done.all.sorted() == Array(0..<200))
    let last = try #require(try await lab.queue.status(of: made[199].id))
    #expect(last.state == .completed && last.attempts == 0 && last.endedAt != nil)
    let metrics = try await lab.queue.metrics()
    #expect(metrics.jobsQueued == 200 && metrics.jobsSucceeded == 200)
    #expect(metrics.successRatePercent == 100)
    #expect(metrics.store.states == [.completed: 200])
  }

  @Test func failedAttemptsAreRetriedUntilOneSucceeds() async throws {
    let lab = Lab {
      $0.handle(Work.self) { _, context in if context.attempt < 4 { throw Trouble() } }
    }
    try await lab.run { queue in
      let id = try await queue.enqueue(Work()).id
      for attempt in 1...3 {
        let delay = await lab.retrying()
        let full = Duration.milliseconds(500 << (attempt - 1))
        #expect(delay <= full && delay >= full / 2)
        #expect(try await queue.status(of: id)?.state == .retrying)
        lab.clock.advance(by: delay)
      }
      _ = await lab.completed()
      let job = try await queue.status(of: id)
      #expect(job?.attempts == 3 && job?.failures.count == 3)
      #expect(job?.failures.first?.category == .network)
    }
  }

  @Test func attemptsAreBoundedAndARedrivenJobHasThemAllAgain() async throws {
    let runs = Log<Int>()
    let lab = Lab {
      $0.handle(Work.self) { _, context in
        runs.append(context.attempt)
        throw Trouble()
      }
    }
    var options = JobOptions()
    options.maxAttempts = 3
    try await lab.run { queue in
      let id = try await queue.enqueue(Work(), options: options).id
      for round in 0..<2 {
        for _ in 0..<2 { lab.clock.advance(by: await lab.retrying()) }
        #expect(await lab.failed().isDead == false)
        #expect(try await queue.status(of: id)?.state == .failed)
        if round == 0 { #expect(try await queue.redrive(id)) }
      }
      #expect(runs.all == [1, 2, 3, 1, 2, 3])
      #expect(try await queue.status(of: id)?.redrives == 1)
    }
  }

  @Test func errorThatCannotBeRetriedEndsTheJobAtOnce() async throws {
    let lab = Lab {
      $0.handle(Work.self) { _, _ in throw Trouble(retryability: .notRetryable) }
    }
    try await lab.run { queue in
      let id = try await queue.enqueue(Work()).id
      _ = await lab.failed()
      #expect(try await queue.status(of: id)?.attempts == 1)
    }
  }

  @Test func errorMayAskForALongerWaitWithinBounds() async throws {
    let lab = Lab {
      $0.handle(Work.self) { job, _ in
        throw Trouble(retryability: .retryable(after: .seconds(job.number)))
      }
    }
    try await lab.run { queue in
      try await queue.enqueue(Work(number: 60))
      #expect(await lab.retrying() == .seconds(60))
      try await queue.enqueue(Work(number: 100_000))
      #expect(await lab.retrying() == .seconds(300))
    }
  }

  @Test func fallbackRunsWhenTheBodyTakesTooLong() async throws {
    let lab = Lab { handlers in
      handlers.handle(
        Work.self,
        fallback: { job, context in
          #expect(context.isFallback && job.number == 7 && !Task.isCancelled)
        }
      ) { _, _ in try await forever() }
    }
    var options = JobOptions()
    options.timeout = .seconds(90)
    try await lab.run { queue in
      let id = try await queue.enqueue(Work(number: 7), options: options).id
      await lab.started()
      lab.clock.advance(by: .seconds(30))
      await lab.clock.scheduled(atLeast: 2)
      lab.clock.advance(by: .seconds(60))
      #expect(await lab.completed() == "Job timeout after 90s (fallback executed)")
      let job = try await queue.status(of: id)
      #expect(job?.state == .completed && job?.attempts == 0)
    }
  }

  @Test func failedFallbackIsTheCauseOfTheTimeout() async throws {
    let lab = Lab { handlers in
      handlers.handle(Work.self, fallback: { _, _ in throw Trouble() }) { _, _ in
        try await forever()
      }
    }
    var options = JobOptions()
    options.timeout = .seconds(10)
    options.maxAttempts = 1
    try await lab.run { queue in
      try await queue.enqueue(Work(), options: options)
      await lab.started()
      await lab.clock.scheduled(atLeast: 2)
      lab.clock.advance(by: .seconds(10))
      let error = try #require(await lab.failed().error as? TimeoutError)
      #expect(error.cause is Trouble)
      #expect(error.limit == .seconds(10))
    }
  }

  @Test(arguments: [JobQueue.Configuration.AbandonedSlot.held, .freed])
  func bodyThatIgnoresCancellationIsAbandoned(
    slot: JobQueue.Configuration.AbandonedSlot
  ) async throws {
    let gate = Gate()
    let lab = Lab(workers: 1) {
      $0.patience = .seconds(5)
      $0.abandonedSlot = slot
    } handlers: {
      $0.handle(Work.self) { job, _ in if job.number == 0 { await gate.pass() } }
    }
    var options = JobOptions()
    options.timeout = .seconds(10)
    options.maxAttempts = 1
    try await lab.run { queue in
      let id = try await queue.enqueue(Work(), options: options).id
      await lab.started()
      await lab.clock.scheduled(atLeast: 2)
      lab.clock.advance(by: .seconds(10))
      await lab.happened { if case .timedOut = $0 { true } else { false } }
      lab.clock.advance(by: .seconds(5))
      #expect(await lab.failed().error is TimeoutError)
      #expect(try await queue.status(of: id)?.state == .failed)
      try await queue.enqueue(Work(number: 1))
      if slot == .freed {
        _ = await lab.completed()
        gate.open()
        await lab.happened { if case .lateResultRefused = $0 { true } else { false } }
      } else {
        // The only slot is taken by a body that nobody waits for.
        #expect(try await queue.metrics().store.states[.pending] == 1)
        gate.open()
        _ = await lab.completed()
      }
      #expect(try await queue.status(of: id)?.state == .failed)
      let metrics = try await queue.metrics()
      #expect(metrics.jobsAbandoned == 1 && metrics.lateResults == 1)
    }
  }
}
