import Reliability

/// Many operations of each primitive: once it is warm, the heap does not grow at all.
///
/// The mission allows five megabytes for 1,000 operations. Here a single byte that an operation keeps is found: what is
/// compared is what the program holds from malloc, before and after, while nothing is going on.
enum MemoryCheck {
  /// One primitive: a body that does so many operations.
  struct Subject: Sendable {
    var name: String
    /// What one operation costs, in operations of the others: those that touch a disk are done less often.
    var weight = 1
    var body: @Sendable (_ count: Int) async throws -> Void
  }

  /// What the allocator itself may keep for later, whatever the number of operations.
  private static let slack = 48 << 10

  static func run(_ arguments: Arguments, _ findings: Findings) async throws {
    let scratch = Scratch(arguments)
    let count = arguments.int("operations", default: 100_000)
    var worst = 0.0
    for subject in try await MemorySubjects.all(scratch) {
      let operations = max(200, count / subject.weight)
      try await subject.body(max(100, operations / 5))
      var growth = Int.max
      // What grows in every round is kept; a table that doubles does so once.
      for _ in 0..<3 where growth > slack {
        let before = await Process.settledHeapBytes()
        try await subject.body(operations)
        growth = await Process.settledHeapBytes() - before
      }
      findings.expect(
        growth <= slack, "\(subject.name): \(growth) bytes in \(operations) operations")
      worst = max(worst, Double(max(0, growth)) / Double(operations) * 1000 / 1_048_576)
      findings.note("\(subject.name): \(operations) operations, \(growth) bytes more")
    }
    findings.add(.count("memory growth in 1,000 operations", .below, 5, "MB", worst))
  }
}

/// What is measured.
enum MemorySubjects {
  struct Work: DurableJob {
    static let kind = "work"
    var number: Int
  }

  static func all(_ scratch: Scratch) async throws -> [MemoryCheck.Subject] {
    calls() + keyed() + (try await queues()) + files(scratch)
  }

  private static func calls() -> [MemoryCheck.Subject] {
    var policy = RetryPolicy(maxAttempts: 3, backoff: .none)
    policy.shouldRetry = { _ in true }
    let breaker = CircuitBreaker(name: "memory")
    let limiter = RateLimiter(
      RateLimit(100_000_000, per: .seconds(1), burst: 1_000_000), name: "memory")
    let pool = ResourcePool(name: "memory", create: { 1 }, close: { _ in })
    let counter = Counter("memory_total", help: "Counts")
    let histogram = Histogram("memory_seconds", help: "Times")
    return [
      MemoryCheck.Subject(name: "retry") { [policy] count in
        for _ in 0..<count {
          try await retry(policy) { attempt in if attempt < 2 { throw NetworkError("gone") } }
        }
      },
      MemoryCheck.Subject(name: "breaker") { count in
        for number in 0..<count {
          try? await breaker.run { if number.isMultiple(of: 2) { throw NetworkError("gone") } }
        }
      },
      MemoryCheck.Subject(name: "timeout") { count in
        for _ in 0..<count { try await withTimeout(.seconds(3600)) { await Task.yield() } }
      },
      MemoryCheck.Subject(name: "rate limiter") { count in
        for _ in 0..<count { try await limiter.acquire() }
      },
      MemoryCheck.Subject(name: "pool") { count in
        for _ in 0..<count { try await pool.withResource { _ in } }
      },
      MemoryCheck.Subject(name: "metrics") { count in
        for number in 0..<count {
          counter.increment()
          histogram.record(Double(number % 1000))
        }
      },
      MemoryCheck.Subject(name: "error reports", weight: 10) { count in
        for _ in 0..<count {
          do {
            try withErrorContext("memory", ["id": "1"]) { throw NetworkError("gone") }
          } catch {
            precondition(!ErrorReport(error).title.isEmpty)
          }
        }
      },
    ]
  }

  private static func keyed() -> [MemoryCheck.Subject] {
    let cache = ResilientCache<Int, String>(name: "memory", policy: CachePolicy(capacity: 100))
    let breakers = KeyedCircuitBreaker<Int>(name: "memory", capacity: 100)
    let limiters = KeyedRateLimiter<Int>(.perClient, capacity: 100, name: "memory")
    let next = Tally()
    return [
      MemoryCheck.Subject(name: "cache with ever new keys", weight: 2) { count in
        for _ in 0..<count { _ = try await cache.value(for: next.add()) { "a value" } }
      },
      MemoryCheck.Subject(name: "breakers with ever new keys") { count in
        for _ in 0..<count { try await breakers.breaker(for: next.add()).run {} }
      },
      MemoryCheck.Subject(name: "rate limiters with ever new keys") { count in
        for _ in 0..<count { _ = limiters.tryAcquire(for: next.add()) }
      },
    ]
  }

  private static func queues() async throws -> [MemoryCheck.Subject] {
    var limits = JobStoreOptions()
    limits.endedKept = 100
    let store = MemoryJobStore(options: limits)
    var kept = DeadLetterConfiguration()
    kept.capacity = 100
    kept.overflow = .dropOldest
    let letters = DeadLetterQueue<Work>(configuration: kept)
    return [
      MemoryCheck.Subject(name: "job queue", weight: 5) { count in
        let queue = JobQueue(store) { $0.handle(Work.self) { _, _ in } }
        try await withJobQueue(queue) { queue in
          for number in 0..<count {
            try await queue.enqueue(Work(number: number))
            if number.isMultiple(of: 100) { try await queue.drain() }
          }
        }
      },
      MemoryCheck.Subject(name: "dead letters", weight: 10) { count in
        for number in 0..<count {
          try await letters.add(Work(number: number), kind: "work", error: NetworkError("gone"))
        }
      },
    ]
  }

  private static func files(_ scratch: Scratch) -> [MemoryCheck.Subject] {
    let lock = BackoffLock(scratch.file("lock"))
    let document = AtomicDocument<[String: Int]>(scratch.file("document.json"))
    return [
      MemoryCheck.Subject(name: "lock", weight: 20) { count in
        for _ in 0..<count { try await lock.withLock { _ in } }
      },
      MemoryCheck.Subject(name: "saves", weight: 50) { count in
        for _ in 0..<count {
          try await AtomicFile.replace(scratch.file("file"), with: [1, 2, 3])
        }
      },
      MemoryCheck.Subject(name: "manifest updates", weight: 100) { count in
        for _ in 0..<count { try await document.update(default: [:]) { $0["n", default: 0] += 1 } }
      },
      MemoryCheck.Subject(name: "transactions", weight: 100) { count in
        let store = try await TransactionStore(scratch.path)
        for number in 0..<count {
          try await store.commit { transaction in
            try transaction.replace("last", with: Array("\(number)".utf8))
          }
        }
        try await store.close()
      },
    ]
  }
}
