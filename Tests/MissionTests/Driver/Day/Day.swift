import Reliability
import ReliabilityTesting

/// A day of a service in a second: a queue, retries, a breaker, a cache, health checks, alerts and dead letters on a clock that a
/// mover pushes from alarm to alarm, with troubles by the hour.
final class Day: Sendable {
  struct Work: DurableJob {
    static let kind = "work"
    var number: Int
  }

  /// What came of it.
  struct Record: Sendable {
    var enqueued = 0
    var completed = 0
    var dead = 0
    var live = 0
    /// Dead letters that came, that were removed as too old, and that are there at the end.
    var letters = (added: 0, expired: 0, kept: 0)
    var redriven = 0
    var checks = 0
    var alerts = 0
    var openings = 0
    /// Alarms that wait when everything was stopped.
    var alarmsLeft = 0
    /// The most alarms that waited at once, in the first and in the last quarter of the day.
    var mostAlarms = (first: 0, last: 0)
    /// Of everything that happened, in its order.
    var digest: UInt64 = 14_695_981_039_346_656_037

    mutating func mix(_ text: String) {
      for byte in text.utf8 { digest = (digest ^ UInt64(byte)) &* 1_099_511_628_211 }
    }
  }

  private static let length = Duration.seconds(86_400)

  private let seed: UInt64
  private let pause: Int
  private let clock = ManualClock(now: ContinuousClock.Instant(sinceOrigin: .seconds(1_000_000)))
  private let record = Lock(Record())

  /// - Parameters:
  ///   - seed: Of all chance.
  ///   - pause: How many seconds pass between two jobs, about.
  static func run(seed: UInt64, pause: Int) throws -> Record {
    try OneThread.run { try await Day(seed: seed, pause: pause).live() }
  }

  private init(seed: UInt64, pause: Int) { (self.seed, self.pause) = (seed, pause) }

  private func note(_ text: String) { record.withLock { $0.mix(text) } }

  private func live() async throws -> Record {
    let start = clock.now
    let letters = DeadLetterQueue<Work>(configuration: letterConfiguration(from: start))
    let breaker = CircuitBreaker(name: "far", configuration: breakerConfiguration())
    let dependency = Dependency(seed: seed, clock: clock)
    let queue = makeQueue(letters, breaker, dependency, start)
    let monitor = makeMonitor(queue, letters, dependency)
    let working = Task { await queue.run() }
    let watching = Task { await monitor.run() }
    let end = start + Self.length
    let producer = Task { try await produce(queue, until: end) }
    let clerk = Task { try await redrive(letters, queue, until: end) }
    await move(until: end)
    // The evening: what is still there is finished.
    let evening = Task {
      try await producer.value
      try await clerk.value
      try await queue.drain()
    }
    await move(until: end + .seconds(4 * 3600))
    try await evening.value
    watching.cancel()
    await watching.value
    let metrics = try await queue.metrics()
    let stopping = Task { await queue.stop(grace: .seconds(60)) }
    await move(until: clock.now + .seconds(120))
    await stopping.value
    await working.value
    let statistics = letters.statistics
    try await letters.close()
    await OneThread.idle()
    let alarms = clock.scheduledCount
    return record.withLock { record in
      record.enqueued = metrics.jobsQueued
      record.completed = metrics.jobsSucceeded
      record.dead = metrics.jobsDeadLettered
      record.live = metrics.store.live
      record.letters = (statistics.counts.added, statistics.counts.expired, statistics.count)
      record.alarmsLeft = alarms
      return record
    }
  }

  /// Moves time from alarm to alarm, each only when nothing can happen before.
  private func move(until end: ContinuousClock.Instant) async {
    let quarter = clock.now + Self.length / 4
    let lastQuarter = clock.now + Self.length * 3 / 4
    while true {
      await OneThread.idle()
      let now = clock.now
      let alarms = clock.scheduledCount
      record.withLock { record in
        if now < quarter { record.mostAlarms.first = max(record.mostAlarms.first, alarms) }
        if now > lastQuarter { record.mostAlarms.last = max(record.mostAlarms.last, alarms) }
      }
      guard alarms > 0 else { return clock.advance(to: end) }
      let next = await clock.nextScheduled()
      if next > end { return clock.advance(to: end) }
      clock.advance(to: next)
    }
  }

  private func produce(_ queue: JobQueue, until end: ContinuousClock.Instant) async throws {
    var chance = SeededGenerator(seed: seed ^ 1)
    var number = 0
    while clock.now < end {
      var options = JobOptions(
        priority: JobPriority.allCases.randomElement(using: &chance) ?? .normal)
      options.timeout = .seconds(20)
      options.backoff = .exponential(base: .seconds(2), cap: .seconds(600), jitter: .equal)
      try await queue.enqueue(Work(number: number), options: options)
      number += 1
      try await clock.wait(for: .milliseconds(Int.random(in: 1...(2000 * pause), using: &chance)))
    }
  }

  /// Every eight hours somebody looks at the dead letters, and has those done again that are an hour old; by then the oldest
  /// are too old and gone.
  private func redrive(
    _ letters: DeadLetterQueue<Work>, _ queue: JobQueue, until end: ContinuousClock.Instant
  ) async throws {
    while clock.now + .seconds(8 * 3600) < end {
      try await clock.wait(for: .seconds(8 * 3600))
      var filter = DeadLetter.Filter.all
      filter.olderThan = .seconds(3600)
      let report = try await letters.redrive(filter) { work, _ in try await queue.enqueue(work) }
      record.withLock { $0.redriven += report.succeeded }
    }
  }
}

// MARK: The parts

extension Day {
  private func wall(from start: ContinuousClock.Instant) -> @Sendable () -> WallTime {
    { [clock] in
      WallTime(nanosecondsSince1970: 1_700_000_000_000_000_000 + (clock.now - start).nanoseconds)
    }
  }

  private func letterConfiguration(from start: ContinuousClock.Instant) -> DeadLetterConfiguration {
    var configuration = DeadLetterConfiguration()
    configuration.clock = clock
    configuration.retention.maximumAge = .seconds(6 * 3600)
    let wall = wall(from: start)
    configuration.moments = { [clock] in
      PersistedMoment(
        wall: wall().nanosecondsSince1970, bootID: "day",
        sinceBoot: (clock.now - start).nanoseconds)
    }
    return configuration
  }

  private func breakerConfiguration() -> CircuitBreaker.Configuration {
    var configuration = CircuitBreaker.Configuration.recommended
    configuration.clock = clock
    configuration.randomness = .seeded(seed ^ 2)
    configuration.observer = { event in
      self.record.withLock { record in
        if event.to == .open { record.openings += 1 }
        record.mix("\(event)")
      }
    }
    return configuration
  }

  private func makeQueue(
    _ letters: DeadLetterQueue<Work>, _ breaker: CircuitBreaker, _ dependency: Dependency,
    _ start: ContinuousClock.Instant
  ) -> JobQueue {
    var limits = JobStoreOptions()
    limits.capacity = 100_000
    limits.endedKept = 500
    limits.endedAge = .seconds(7200)
    let store = MemoryJobStore(options: limits, clock: clock, wallClock: wall(from: start))
    var configuration = JobQueue.Configuration(name: "day")
    configuration.workers = 20
    configuration.clock = clock
    configuration.wallClock = wall(from: start)
    configuration.randomness = .seeded(seed ^ 3)
    configuration.deadLetters = letters
    configuration.cleanupInterval = .seconds(600)
    configuration.observer = { [clock] event in
      let id = event.id.map { "\($0)" } ?? ""
      self.note("\((clock.now - start).nanoseconds) \(id) \(Self.word(event.kind))")
    }
    var policy = RetryPolicy(
      maxAttempts: 2, backoff: .exponential(base: .seconds(1), jitter: .full))
    policy.clock = clock
    policy.randomness = .seeded(seed ^ 4)
    var caching = CachePolicy(capacity: 200, timeToLive: .seconds(1800))
    caching.clock = clock
    caching.randomness = .seeded(seed ^ 5)
    let cache = ResilientCache<Int, Int>(name: "day", policy: caching, era: { breaker.era })
    return JobQueue(store, configuration: configuration) { [policy] in
      var options = JobKindOptions()
      options.breaker = breaker
      $0.handle(Work.self, options: options) { job, _ in
        // What no attempt helps.
        if job.number % 50 == 7 { throw ValidationError("not a number of this day") }
        _ = try await cache.value(for: job.number % 300) {
          // Limited by the queue: `withTimeout` cancels on a thread that is not the one of this day.
          try await retry(policy) { try await dependency.call() }
          return job.number
        }
      }
    }
  }

  private func makeMonitor(
    _ queue: JobQueue, _ letters: DeadLetterQueue<Work>, _ dependency: Dependency
  ) -> HealthMonitor {
    var configuration = HealthMonitor.Configuration(
      rules: [
        AlertRule("dead letters", .above(10), clearsAt: 5, for: .seconds(60)) {
          Double(letters.count)
        }
      ], alertInterval: .seconds(60))
    configuration.clock = clock
    configuration.observer = { event in
      self.record.withLock { record in
        if event.kind == .alertRaised { record.alerts += 1 }
        record.mix("\(event.kind) \(event.name)")
      }
    }
    return HealthMonitor(
      [
        HealthCheck("far", interval: .seconds(30), timeout: .seconds(5)) {
          self.record.withLock { $0.checks += 1 }
          try await dependency.call()
          return .pass
        }
      ], configuration: configuration)
  }

  private static func word(_ kind: JobEvent.Kind) -> String {
    switch kind {
    case .enqueued: "enqueued"
    case .started(let attempt, let waited): "started \(attempt) \(waited)"
    case .completed: "completed"
    case .retrying(let attempt, _, let after, _): "retrying \(attempt) \(after)"
    case .failed(_, let isDead): "failed \(isDead)"
    case .timedOut: "timed out"
    case .held(let time): "held \(String(describing: time))"
    default: "other"
    }
  }
}
