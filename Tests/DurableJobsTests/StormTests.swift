import ReliabilityCore
import ReliabilityTesting
import Testing

@testable import DurableJobs

@Suite(.timeLimit(.minutes(10))) struct StormTests {
  /// Many producers, bodies that fail, cancel and end as they like, and a queue that is stopped and started in between.
  @Test(arguments: [UInt64(11), 12])
  func nothingIsLostAndNothingIsCountedTwice(seed: UInt64) async throws {
    var options = JobStoreOptions()
    options.capacity = 10_000
    options.endedKept = 10_000
    let store = MemoryJobStore(options: options)
    let finished = Log<Int>()
    var configuration = JobQueue.Configuration(name: "storm")
    configuration.workers = 6
    let queue = JobQueue(store, configuration: configuration) {
      var limits = JobKindOptions()
      limits.concurrency = 2
      limits.defaults.backoff = .none
      limits.defaults.maxAttempts = 3
      $0.handle(Work.self, options: limits) { job, context in
        await Task.yield()
        if job.number % 5 == context.attempt { throw Trouble() }
        if job.number % 17 == 0 { throw CancellationError() }
        finished.append(job.number)
      }
      var others = JobKindOptions()
      others.defaults.backoff = .none
      $0.handle(Other.self, options: others) { _, _ in throw Trouble() }
    }
    let running = Task { await queue.run() }
    try await withThrowingTaskGroup { group in
      for producer in 0..<4 {
        group.addTask {
          var random = SeededGenerator(seed: seed &+ UInt64(producer))
          for number in 0..<250 {
            let id = try await queue.enqueue(Work(number: producer * 1000 + number)).id
            if Int.random(in: 0..<10, using: &random) == 0 { try await queue.cancel(id) }
            if number % 25 == 0 { try await queue.enqueue(Other()) }
            if Int.random(in: 0..<50, using: &random) == 0 {
              queue.pause()
              queue.resume()
            }
          }
        }
      }
      try await group.waitForAll()
    }
    await queue.stop(grace: .zero)
    await running.value
    try await withJobQueue(queue) { _ in }
    let metrics = try await queue.metrics()
    let states = metrics.store.states
    #expect(metrics.jobsQueued == 1040)
    #expect(metrics.store.live == 0)
    #expect(
      metrics.jobsSucceeded + metrics.jobsFailed + metrics.jobsCancelled == metrics.jobsQueued)
    #expect(states[.completed] == metrics.jobsSucceeded)
    #expect(states[.cancelled] == metrics.jobsCancelled)
    #expect(states[.failed] == metrics.jobsFailed)
    // A body may have run and been cancelled before its result was stored.
    #expect(finished.all.count >= metrics.jobsSucceeded)
    let shell = queue.shell.withLock { ($0.workers, $0.heldSlots, $0.unsettled, $0.runs.count) }
    #expect(shell == (0, 0, 0, 0))
    #expect(queue.shell.withLock { $0.kinds.allSatisfy { $0.running == 0 && $0.reserved == 0 } })
  }

  @Test func storeThatFailsLosesNothingAndWorkGoesOn() async throws {
    let store = FlakyStore()
    let lab = Lab(store: store) { $0.handle(Work.self) { _, _ in } }
    try await lab.run { queue in
      let id = try await queue.enqueue(Work()).id
      #expect(try await queue.end(of: id)?.state == .completed)
      store.isFull.withLock { $0 = true }
      // Refused clearly, and nothing is there.
      await #expect(throws: Trouble.self) { try await queue.enqueue(Work(number: 1)) }
      store.isFull.withLock { $0 = false }
      let next = try await queue.enqueue(Work(number: 2)).id
      store.failsToSettle.withLock { $0 = 3 }
      for _ in 0..<3 {
        await lab.happened { if case .storeFailed = $0 { true } else { false } }
        await lab.clock.scheduled(atLeast: 2)
        lab.clock.advance(by: .milliseconds(400))
      }
      #expect(try await queue.end(of: next)?.state == .completed)
      #expect(try await queue.metrics().store.states == [.completed: 2])
    }
  }

  @Test func queueThatStopsOnABrokenStoreDoesNotHang() async throws {
    let store = FlakyStore()
    let lab = Lab(store: store) { $0.handle(Work.self) { _, _ in } }
    lab.queue.begin(until: nil)
    store.failsToSettle.withLock { $0 = Int.max }
    let id = try await lab.queue.enqueue(Work()).id
    await lab.happened { if case .storeFailed = $0 { true } else { false } }
    await lab.clock.scheduled(atLeast: 2)
    let mover = Task { [clock = lab.clock] in
      while !Task.isCancelled {
        await clock.nextScheduled()
        clock.advance(by: .seconds(5))
        await Task.yield()
      }
    }
    await lab.queue.stop(grace: .zero)
    mover.cancel()
    // At least once: whoever opens the store next runs it again.
    #expect(try await lab.queue.status(of: id)?.state == .running)
  }

  final class FlakyStore: WrappingStore {
    let inner = MemoryJobStore()
    let isFull = Lock(false)
    let failsToSettle = Lock(0)

    func insert(_ jobs: [JobSubmission]) async throws -> [JobInsertion] {
      if isFull.withLock({ $0 }) { throw Trouble() }
      return try await inner.insert(jobs)
    }
    func settle(_ settlements: [JobSettlement]) async throws -> [Bool] {
      let fails = failsToSettle.withLock { left in
        defer { left = max(0, left - 1) }
        return left > 0
      }
      if fails { throw Trouble() }
      return try await inner.settle(settlements)
    }
  }
}
