import CircuitBreaker
import RateLimiting
import ReliabilityCore
import ReliabilityTesting
import Testing
import TimeoutManager

@testable import DurableJobs

/// Cancelled, stopped, lost: ways to end that are no failures of the work.
@Suite(.timeLimit(.minutes(10))) struct QueueEndingTests {
  @Test func cancelledJobIsNeverRunAgain() async throws {
    let gate = Gate()
    let lab = Lab {
      $0.handle(Work.self) { job, _ in
        if job.number == 0 { await gate.pass() }
        throw Trouble()
      }
    }
    try await lab.run { queue in
      let running = try await queue.enqueue(Work()).id
      await lab.started()
      #expect(try await queue.cancel(running, reason: "mistake"))
      #expect(try await !queue.cancel(running))
      #expect(try await queue.end(of: running)?.note == "mistake")
      gate.open()
      // Wins over a retry that waits.
      let retried = try await queue.enqueue(Work(number: 1)).id
      let delay = await lab.retrying()
      #expect(try await queue.cancel(retried))
      lab.clock.advance(by: delay + .seconds(100))
      var later = JobOptions()
      later.start = .after(.seconds(5))
      let scheduled = try await queue.enqueue(Work(number: 2), options: later).id
      #expect(try await queue.status(of: scheduled)?.state == .scheduled)
      #expect(try await queue.cancel(scheduled))
      #expect(try await !queue.cancel(JobID(rawValue: 99)))
      try await queue.drain()
      #expect(try await queue.metrics().jobsCancelled == 3)
      #expect(try await queue.metrics().store.states == [.cancelled: 3])
    }
  }

  @Test func bodyThatEndsWithItsOwnCancellationIsCancelled() async throws {
    let lab = Lab { $0.handle(Work.self) { _, _ in throw CancellationError() } }
    try await lab.run { queue in
      let id = try await queue.enqueue(Work()).id
      #expect(try await queue.end(of: id)?.state == .cancelled)
    }
  }

  @Test func stoppedQueueGivesJobsBackWithoutBurningAttempts() async throws {
    let lab = Lab {
      $0.handle(Work.self) { _, _ in try await forever() }
    }
    var id = JobID(rawValue: 0)
    try await lab.run { queue in
      id = try await queue.enqueue(Work()).id
      await lab.started()
    }
    let job = try await lab.queue.status(of: id)
    #expect(job?.state == .pending && job?.attempts == 0 && job?.crashes == 0)
    #expect(try await lab.queue.metrics().jobsReleased == 1)
  }

  @Test func stoppedQueueLetsJobsEndWithinTheGrace() async throws {
    let gate = Gate()
    let lab = Lab { $0.handle(Work.self) { _, _ in await gate.pass() } }
    lab.queue.begin(until: nil)
    let id = try await lab.queue.enqueue(Work()).id
    await lab.started()
    async let stopped: Void = lab.queue.stop(grace: .seconds(60))
    gate.open()
    await stopped
    #expect(try await lab.queue.status(of: id)?.state == .completed)
    // And it can run again.
    try await withJobQueue(lab.queue) { _ = try await $0.enqueue(Work()) }
  }

  @Test func stoppedQueueAbandonsABodyThatListensToNobody() async throws {
    let gate = Gate()
    let lab = Lab { $0.handle(Work.self) { _, _ in await gate.pass() } }
    lab.queue.begin(until: nil)
    let id = try await lab.queue.enqueue(Work()).id
    await lab.started()
    // The queue's own alarm, and the limit of the job.
    await lab.clock.scheduled(atLeast: 2)
    async let stopped: Void = lab.queue.stop(grace: .zero)
    await lab.clock.scheduled(atLeast: 3)
    lab.clock.advance(by: .seconds(30))
    await stopped
    #expect(try await lab.queue.status(of: id)?.state == .pending)
    gate.open()
  }

  @Test func cancelledRunStopsTheQueue() async throws {
    let lab = Lab {
      $0.shutdownGrace = .zero
    } handlers: {
      $0.handle(Work.self) { _, _ in try await forever() }
    }
    let queue = lab.queue
    try await queue.enqueue(Work())
    let running = Task { await queue.run() }
    await lab.started()
    running.cancel()
    await running.value
    #expect(try await queue.metrics().jobsReleased == 1)
    #expect(try await queue.metrics().store.states == [.pending: 1])
  }

  @Test func lostWorkersJobRunsAgainAndAPoisonousOneIsQuarantined() async throws {
    let lab = Lab { $0.handle(Work.self) { _, _ in } }
    let request = JobClaimRequest(limit: 1, kinds: [.init(kind: "work")], lease: .seconds(1))
    let id = try await lab.queue.enqueue(Work()).id
    let other = try await lab.queue.enqueue(Work()).id
    // Workers that are never heard of again.
    for crash in 1...3 {
      let claim = try await lab.store.claim(request)
      #expect(claim.items[0].job.id == id && claim.items[0].job.crashes == crash)
      if crash == 1 { #expect(try await lab.store.cancel(other, reason: "") == .pending) }
      lab.clock.advance(by: .seconds(1))
      #expect(try await lab.store.recover() == [id])
    }
    try await lab.run { queue in
      let error = await lab.failed().error
      #expect(error as? JobEndedError == JobEndedError(.quarantined(crashes: 3)))
      let state = try await queue.status(of: id)?.state
      #expect(state == .failed)
    }
  }

  @Test func leaseIsRenewedWhileTheBodyRuns() async throws {
    let gate = Gate()
    let lab = Lab { $0.handle(Work.self) { _, _ in await gate.pass() } }
    try await lab.run { queue in
      try await queue.enqueue(Work())
      await lab.started()
      for _ in 0..<20 {
        await lab.clock.scheduled(atLeast: 2)
        lab.clock.advance(by: .seconds(20))
      }
      await lab.clock.scheduled(atLeast: 2)
      gate.open()
      _ = await lab.completed()
      #expect(try await queue.metrics().leasesExpired == 0)
    }
  }
}
