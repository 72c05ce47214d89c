import CircuitBreaker
import RateLimiting
import ReliabilityCore
import ReliabilityTesting
import Testing
import TimeoutManager

@testable import DurableJobs

@Suite(.timeLimit(.minutes(5))) struct QueueTests {
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
    #expect(names.isSuperset(of: ["jobs_total", "jobs", "job_oldest_age_seconds"]))
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
