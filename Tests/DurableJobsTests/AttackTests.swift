import ReliabilityCore
import ReliabilityTesting
import Testing

@testable import DurableJobs

@Suite(.timeLimit(.minutes(10))) struct AttackTests {
  @Test func jobCancelledBetweenItsClaimAndItsStartNeverStarts() async throws {
    let ran = Log<Int>()
    let store = HookedStore()
    let lab = Lab(store: store) { $0.handle(Work.self) { job, _ in ran.append(job.number) } }
    store.afterClaim.withLock { hook in
      hook = { [queue = lab.queue] id in _ = try await queue.cancel(id) }
    }
    try await lab.run { queue in
      let id = try await queue.enqueue(Work()).id
      #expect(try await queue.end(of: id)?.state == .cancelled)
      store.afterClaim.withLock { $0 = nil }
      let next = try await queue.enqueue(Work(number: 1)).id
      #expect(try await queue.end(of: next)?.state == .completed)
      #expect(ran.all == [1])
      #expect(queue.shell.withLock { $0.cancelledEarly.isEmpty })
    }
  }

  @Test func runningJobIsStoppedAtItsDeadline() async throws {
    let lab = Lab {
      $0.wallClock = { WallTime(secondsSince1970: 1000) }
    } handlers: {
      $0.handle(Work.self, fallback: { _, _ in Issue.record("no time for a fallback") }) { _, _ in
        try await forever()
      }
    }
    var options = JobOptions()
    options.deadline = WallTime(secondsSince1970: 1005)
    try await lab.run { queue in
      try await queue.enqueue(Work(), options: options)
      await lab.started()
      await lab.clock.scheduled(atLeast: 2)
      lab.clock.advance(by: .seconds(5))
      let error = await lab.failed().error
      #expect(error as? JobEndedError == JobEndedError(.deadlinePassed))
      #expect(try await queue.metrics().jobsRetried == 0)
    }
  }

  @Test func twoQueuesShareAStoreAndEveryJobRunsOnce() async throws {
    let ran = Log<Int>()
    let store = MemoryJobStore()
    let gate = Gate()
    let queues = (0..<2).map { number in
      JobQueue(store, configuration: .init(name: "q\(number)")) {
        $0.handle(Work.self) { job, _ in
          await Task.yield()
          ran.append(job.number)
          if ran.all.count == 300 { gate.open() }
        }
      }
    }
    for queue in queues { queue.begin(until: nil) }
    for number in 0..<300 { try await queues[number % 2].enqueue(Work(number: number)) }
    await gate.pass()
    for queue in queues { await queue.stop(grace: .seconds(600)) }
    #expect(ran.all.sorted() == Array(0..<300))
    #expect(try await store.figures().states == [.completed: 300])
  }

  @Test func endThatSomebodyElseCausedIsNoticed() async throws {
    let lab = Lab { $0.handle(Work.self) { _, _ in } }
    let made = try await lab.store.insert([JobSubmission(kind: "stranger", payload: [])])
    try await lab.run { queue in
      async let end = queue.end(of: made[0].id)
      while queue.shell.withLock({ $0.endWaiters.isEmpty }) { await Task.yield() }
      _ = try await lab.store.cancel(made[0].id, reason: "elsewhere")
      await lab.clock.nextScheduled()
      lab.clock.advance(by: .seconds(20))
      #expect(try await end?.note == "elsewhere")
    }
  }

  @Test @MainActor func queueIsUsedFromTheMainActor() async throws {
    var made: [JobID] = []
    let lab = Lab { $0.handle(Work.self) { _, _ in } }
    let count = try await withJobQueue(lab.queue) { queue in
      made.append(try await queue.enqueue(Work()).id)
      MainActor.assertIsolated()
      return made.count
    }
    #expect(count == 1)
  }

  @Test func bodyOfWithJobQueueThatThrowsStopsTheQueue() async throws {
    let lab = Lab {
      $0.shutdownGrace = .zero
    } handlers: {
      $0.handle(Work.self) { _, _ in try await forever() }
    }
    await #expect(throws: Trouble.self) {
      try await withJobQueue(lab.queue) { queue in
        try await queue.enqueue(Work())
        throw Trouble()
      }
    }
    #expect(try await lab.queue.metrics().store.live == 1)
    #expect(lab.queue.shell.withLock { $0.workers } == 0)
  }

  @Test func fallbackOfAJobThatIsCancelledWhileItsBodyEndsDoesNotRun() async throws {
    let gate = Gate()
    let ran = Log<Int>()
    let lab = Lab { handlers in
      handlers.handle(Work.self, fallback: { job, _ in ran.append(job.number) }) { _, _ in
        try? await forever()
        await gate.pass()
        throw Trouble()
      }
    }
    var options = JobOptions()
    options.timeout = .seconds(90)
    try await lab.run { queue in
      let id = try await queue.enqueue(Work(number: 7), options: options).id
      await lab.started()
      await lab.clock.scheduled(atLeast: 2)
      lab.clock.advance(by: .seconds(90))
      await lab.happened { if case .timedOut = $0 { true } else { false } }
      try await queue.cancel(id)
      gate.open()
    }
    #expect(ran.all.isEmpty)
    #expect(try await lab.queue.metrics().store.states == [.cancelled: 1])
  }

  @Test(.timeLimit(.minutes(10))) func withJobQueueReturnsWhenSomebodyElseStopsTheQueue()
    async throws
  {
    let lab = Lab {
      $0.handle(Work.self) { _, _ in try await forever() }
    }
    try await withJobQueue(lab.queue) { queue in
      try await queue.enqueue(Work())
      await lab.started()
      await queue.stop(grace: .zero)
    }
    #expect(try await lab.queue.metrics().store.live == 1)
  }

  @Test(.timeLimit(.minutes(10))) func anOldRunDoesNotStopANewOne() async throws {
    let lab = Lab { $0.handle(Work.self) { _, _ in } }
    for _ in 0..<50 {
      let old = Task { await lab.queue.run() }
      while lab.queue.shell.withLock({ $0.mode != .running }) { await Task.yield() }
      await lab.queue.stop(grace: .zero)
      try await withJobQueue(lab.queue) { queue in
        await old.value
        try await queue.enqueue(Work())
      }
    }
    #expect(try await lab.queue.metrics().store.states == [.completed: 50])
  }

  @Test func drainCanBeCancelled() async throws {
    let gate = Gate()
    let lab = Lab { $0.handle(Work.self) { _, _ in await gate.pass() } }
    try await lab.run { queue in
      try await queue.enqueue(Work())
      await lab.started()
      let draining = Task { try await queue.drain() }
      draining.cancel()
      await #expect(throws: CancellationError.self) { try await draining.value }
      #expect(queue.shell.withLock { $0.changeWaiters.isEmpty })
      gate.open()
      try await queue.drain()
    }
  }

  @Test func queueThatIsDroppedGoesAway() async throws {
    let clock = ManualClock()
    weak var dropped: JobQueue?
    do {
      let lab = Lab(clock: clock) { $0.handle(Work.self) { _, _ in } }
      lab.queue.begin(until: nil)
      try await lab.queue.enqueue(Work())
      _ = await lab.completed()
      await lab.queue.stop(grace: .zero)
      dropped = lab.queue
    }
    while dropped != nil { await Task.yield() }
    #expect(clock.scheduledCount == 0)
  }

  @Test func snapshotSurvivesItsJSON() async throws {
    let lab = Lab { $0.handle(Work.self) { _, _ in throw Trouble(retryability: .notRetryable) } }
    var options = JobOptions(priority: .high)
    options.tags = ["a"]
    try await lab.run { queue in
      let id = try await queue.enqueue(Work(), options: options).id
      let end = try #require(try await queue.end(of: id))
      let box = Wrapped(snapshot: end)
      let copy = try Wrapped(encodedPayload: box.encodedPayload())
      #expect(copy.snapshot == end)
      #expect(end.failures.count == 1 && end.priority == .high)
    }
  }

  struct Wrapped: DurableJob {
    static let kind = "wrapped"
    var snapshot: JobSnapshot
  }

  @Test func valuesOutOfRangeAreRefusedByField() {
    var options = JobOptions()
    options.maxAttempts = 0
    #expect(throws: ConfigurationError.self) { try options.validate() }
    options = JobOptions()
    options.timeout = .zero
    #expect(throws: ConfigurationError.self) { try options.validate() }
    var configuration = JobQueue.Configuration()
    configuration.workers = 0
    #expect(throws: ConfigurationError.self) { try configuration.validate() }
    var store = JobStoreOptions()
    store.capacity = 0
    #expect(throws: ConfigurationError.self) { try store.validate() }
    var kind = JobKindOptions()
    kind.concurrency = 0
    #expect(throws: ConfigurationError.self) { try kind.validate() }
  }

  @Test func extremeOptionsDoNotTrap() async throws {
    let lab = Lab(workers: Int.max) {
      $0.lease = .seconds(Int64.max)
      $0.patience = .seconds(Int64.max)
      $0.cleanupInterval = .seconds(Int64.max)
    } handlers: {
      $0.handle(Work.self) { _, _ in }
    }
    var options = JobOptions()
    options.timeout = .seconds(Int64.max)
    options.deadline = WallTime(nanosecondsSince1970: .max)
    options.maxAttempts = 1_000_000_000
    try await lab.run { queue in
      try await queue.enqueue(Work(), options: options)
      _ = await lab.completed()
      options.start = .after(.seconds(Int64.max))
      try await queue.enqueue(Work(), options: options)
      options.start = .at(WallTime(nanosecondsSince1970: .min))
      try await queue.enqueue(Work(), options: options)
      _ = await lab.completed()
      #expect(try await queue.enqueue(contentsOf: [Work]()).isEmpty)
      var query = JobQuery()
      query.limit = -1
      #expect(try await queue.jobs(query).isEmpty)
    }
  }

  /// A memory store that lets a test do something right after a claim.
  final class HookedStore: WrappingStore {
    let inner = MemoryJobStore()
    let afterClaim = Lock<(@Sendable (JobID) async throws -> Void)?>(nil)

    func claim(_ request: JobClaimRequest) async throws -> JobClaim {
      let claim = try await inner.claim(request)
      let hook = afterClaim.withLock { $0 }
      for item in claim.items { try await hook?(item.job.id) }
      return claim
    }
  }
}
