import CircuitBreaker
import RateLimiting
import ReliabilityCore
import ReliabilityTesting
import Testing
import TimeoutManager

@testable import DurableJobs

/// What may start, what is refused, and what users see of it.
@Suite(.timeLimit(.minutes(10))) struct QueueLimitsTests {
  @Test func jobsOfAKindWithAnOpenBreakerWaitAndBurnNothing() async throws {
    let clock = ManualClock()
    var configuration = CircuitBreaker.Configuration(consecutiveFailures: 1)
    configuration.clock = clock
    let breaker = CircuitBreaker(name: "service", configuration: configuration)
    let isDown = Lock(true)
    let lab = Lab(workers: 2, clock: clock) {
      var options = JobKindOptions()
      options.breaker = breaker
      $0.handle(Work.self, options: options) { _, _ in
        if isDown.withLock({ $0 }) { throw Trouble() }
      }
      $0.handle(Other.self) { _, _ in }
    }
    try await lab.run { queue in
      let first = try await queue.enqueue(Work()).id
      _ = await lab.retrying()
      #expect(breaker.state == .open)
      let second = try await queue.enqueue(Work()).id
      let wait = await lab.held()
      // Other kinds go on.
      try await queue.enqueue(Other())
      _ = await lab.completed()
      #expect(try await queue.status(of: second)?.state == .pending)
      isDown.withLock { $0 = false }
      clock.advance(by: wait + .milliseconds(1))
      _ = await lab.completed()
      _ = await lab.completed()
      #expect(try await queue.status(of: second)?.attempts == 0)
      #expect(try await queue.status(of: first)?.attempts == 1)
    }
  }

  @Test func kindKeepsItsConcurrencyAndOthersPassIt() async throws {
    let gate = Gate()
    let running = Lock((now: 0, most: 0))
    let lab = Lab(workers: 8) {
      var options = JobKindOptions()
      options.concurrency = 2
      $0.handle(Work.self, options: options) { _, _ in
        running.withLock { counts in
          counts.now += 1
          counts.most = max(counts.most, counts.now)
        }
        await gate.pass()
        running.withLock { $0.now -= 1 }
      }
      $0.handle(Other.self) { _, _ in }
    }
    try await lab.run { queue in
      try await queue.enqueue(contentsOf: (0..<20).map { Work(number: $0) })
      await lab.started()
      await lab.started()
      try await queue.enqueue(Other())
      _ = await lab.completed()
      gate.open()
      try await queue.drain()
      #expect(running.withLock { $0.most } == 2)
    }
  }

  @Test func kindKeepsItsRate() async throws {
    let clock = ManualClock()
    let limiter = RateLimiter(RateLimit(2, per: .seconds(10), burst: 2), clock: clock)
    let starts = Log<Int>()
    let lab = Lab(workers: 4, clock: clock) {
      var options = JobKindOptions()
      options.rateLimiter = limiter
      $0.handle(Work.self, options: options) { job, _ in starts.append(job.number) }
    }
    try await lab.run { queue in
      try await queue.enqueue(contentsOf: (0..<4).map { Work(number: $0) })
      for _ in 0..<2 {
        let wait = await lab.held()
        #expect(wait > .seconds(4) && wait <= .seconds(5))
        clock.advance(by: wait + .milliseconds(1))
      }
      try await queue.drain()
      #expect(starts.all.sorted() == [0, 1, 2, 3])
      #expect(try await queue.metrics().jobsRetried == 0)
    }
  }

  @Test func fullQueueRefusesClearly() async throws {
    let lab = Lab(capacity: 2) { $0.handle(Work.self) { _, _ in } }
    try await lab.queue.enqueue(contentsOf: [Work(), Work()])
    let error = await #expect(throws: QueueFullError.self) {
      try await lab.queue.enqueue(Work())
    }
    #expect(error?.capacity == 2 && error?.category == .overload)
    #expect(error?.retryability == .retryable(after: .seconds(1)))
    #expect(try await lab.queue.metrics().capacityUsed == 1)
    try await withJobQueue(lab.queue) { _ in }
    try await lab.queue.enqueue(Work())
  }

  @Test func unknownKindIsKeptAndReported() async throws {
    let lab = Lab { $0.handle(Work.self) { _, _ in } }
    _ = try await lab.store.insert([JobSubmission(kind: "stranger", payload: [])])
    try await lab.run { queue in
      let kind = await lab.next { event in
        if case .unknownKind(count: 1) = event.kind { event.jobKind } else { nil }
      }
      #expect(kind == "stranger")
      try await queue.drain()
      #expect(try await queue.jobs()[0].state == .pending)
    }
  }

  @Test func payloadThatCannotBeReadFailsForGood() async throws {
    let lab = Lab { $0.handle(Work.self) { _, _ in } }
    _ = try await lab.store.insert([JobSubmission(kind: "work", payload: [1, 2])])
    try await lab.run { _ in #expect(await lab.failed().error is JobPayloadError) }
  }

  @Test func progressIsShownWhileTheJobRuns() async throws {
    let gate = Gate()
    let lab = Lab {
      $0.handle(Work.self) { _, context in
        context.report(progress: .nan, "half")
        context.report(progress: 0.5, "half")
        await gate.pass()
      }
    }
    try await lab.run { queue in
      let id = try await queue.enqueue(Work()).id
      await lab.happened {
        if case .progressed(let progress) = $0 { progress.fraction == 0.5 } else { false }
      }
      #expect(
        try await queue.status(of: id)?.progress == JobProgress(fraction: 0.5, message: "half"))
      gate.open()
      _ = await lab.completed()
      #expect(try await queue.status(of: id)?.progress == nil)
    }
  }

  @Test func pausedQueueStartsNothing() async throws {
    let lab = Lab { $0.handle(Work.self) { _, _ in } }
    try await lab.run { queue in
      queue.pause()
      try await queue.enqueue(Work())
      #expect(try await queue.metrics().store.states == [.pending: 1])
      queue.resume()
      _ = await lab.completed()
    }
  }

  @Test func deadlinePassedBeforeTheStartFailsTheJob() async throws {
    let lab = Lab {
      $0.wallClock = { WallTime(secondsSince1970: 1000) }
    } handlers: {
      $0.handle(Work.self) { _, _ in }
    }
    var options = JobOptions()
    options.deadline = WallTime(secondsSince1970: 1000)
    try await lab.run { queue in
      try await queue.enqueue(Work(), options: options)
      #expect(await lab.failed().error as? JobEndedError == JobEndedError(.deadlinePassed))
    }
  }

  @Test func bodySeesItsOwnDeadlineAndNotTheEnqueuers() async throws {
    let seen = Log<Deadline?>()
    let lab = Lab { $0.handle(Work.self) { _, _ in seen.append(Deadline.current) } }
    let start = lab.clock.now
    try await lab.run { queue in
      try await withTimeout(.seconds(600)) { _ = try await queue.enqueue(Work()) }
      _ = await lab.completed()
      let deadline = try #require(seen.all[0])
      let distance = start.duration(to: deadline.instant)
      #expect(abs(distance.seconds - 3600) < 0.001)
    }
  }

  @Test func deadLetterSinkGetsTheStoryBeforeTheJobIsDead() async throws {
    let sink = Sink(failures: 2)
    let lab = Lab {
      $0.deadLetters = sink
    } handlers: {
      $0.handle(Work.self) { _, _ in throw Trouble(retryability: .notRetryable) }
    }
    try await lab.run { queue in
      let id = try await queue.enqueue(Work(number: 3)).id
      for _ in 0..<2 {
        await lab.happened { if case .storeFailed = $0 { true } else { false } }
        #expect(try await queue.status(of: id)?.state == .running)
        await lab.clock.scheduled(atLeast: 2)
        lab.clock.advance(by: .seconds(1))
      }
      #expect(await lab.failed().isDead)
      #expect(try await queue.status(of: id)?.state == .dead)
      let dead = try #require(sink.taken.all.first)
      #expect(sink.taken.all.count == 1)
      #expect(dead.job.id == id && !dead.job.payload.isEmpty && dead.category == .network)
      #expect(try await queue.metrics().jobsDeadLettered == 1)
    }
  }

  final class Sink: DeadLetterSink {
    let taken = Log<DeadJob>()
    private let left: Lock<Int>
    init(failures: Int) { left = Lock(failures) }
    func add(_ job: DeadJob) async throws {
      let fails = left.withLock { left in
        left -= 1
        return left >= 0
      }
      if fails { throw Trouble() }
      taken.append(job)
    }
  }

  @Test func observerMayUseTheQueue() async throws {
    let box = Lock<JobQueue?>(nil)
    let lab = Lab {
      $0.observer = { event in
        guard case .completed = event.kind, let queue = box.withLock({ $0 }) else { return }
        _ = queue.samples()
        _ = queue.isPaused
        queue.pause()
        queue.resume()
      }
    } handlers: {
      $0.handle(Work.self) { _, _ in }
    }
    box.withLock { $0 = lab.queue }
    try await withJobQueue(lab.queue) { _ = try await $0.enqueue(contentsOf: [Work(), Work()]) }
    box.withLock { $0 = nil }
  }

  @Test func waitForAnEndCanBeCancelledAndUnknownJobsAreNotWaitedFor() async throws {
    let lab = Lab { $0.handle(Work.self) { _, _ in } }
    #expect(try await lab.queue.end(of: JobID(rawValue: 5)) == nil)
    let id = try await lab.queue.enqueue(Work()).id
    let waiting = Task { [queue = lab.queue] in try await queue.end(of: id) }
    waiting.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    #expect(lab.queue.shell.withLock { $0.endWaiters.isEmpty })
  }

  @Test func metricsHaveTheNamesThatUsersKnow() async throws {
    let lab = Lab { $0.handle(Work.self) { _, _ in } }
    try await withJobQueue(lab.queue) { _ = try await $0.enqueue(Work()) }
    let text = String(decoding: try await lab.queue.metrics().json, as: UTF8.self)
    for name in [
      "jobs_queued", "jobs_succeeded", "jobs_failed", "jobs_retried", "jobs_dead_lettered",
      "pending_jobs", "running_jobs", "completed_jobs", "failed_jobs", "dead_letter_jobs",
      "success_rate_percent",
    ] {
      #expect(text.contains("\"\(name)\":"))
    }
    let names = Set(lab.queue.samples().map(\.name))
    #expect(names.isSuperset(of: ["jobs_total", "jobs_in_state", "job_oldest_age_seconds"]))
  }

  @Test func jobStatesAreKeptApartInAReadableForm() async throws {
    let lab = Lab { $0.handle(Work.self) { _, _ in } }
    var options = JobOptions()
    options.tags = ["a"]
    options.callerID = "caller-1"
    try await lab.queue.enqueue(Work(), options: options)
    var query = JobQuery()
    query.tag = "a"
    #expect(try await lab.queue.jobs(query).map(\.callerID) == ["caller-1"])
    query.kind = "other"
    #expect(try await lab.queue.jobs(query).isEmpty)
  }
}
