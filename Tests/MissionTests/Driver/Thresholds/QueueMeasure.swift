import Reliability

/// Jobs in and out, their progress, and hits of the cache.
enum QueueMeasure {
  struct Work: DurableJob {
    static let kind = "work"
    var number = 0
  }

  static func run(_ scratch: Scratch, _ findings: Findings) async throws {
    var limits = JobStoreOptions()
    limits.capacity = 10_000
    try await jobs(in: MemoryJobStore(options: limits), "in memory", findings)
    var options = FileJobStore.Options()
    options.limits = limits
    let store = try await FileJobStore(scratch.file("jobs.jsonl"), options: options)
    try await jobs(in: store, "durable", findings)
    try await store.close()
    try await progress(findings)
    await cache(findings)
  }

  private static func jobs(
    in store: some JobStore, _ word: String, _ findings: Findings
  ) async throws {
    let queue = JobQueue(store) { $0.handle(Work.self) { _, _ in } }
    let enqueue = try await Times.measure(1000) { try await queue.enqueue(Work()) }
    findings.add(.time("enqueue, \(word)", below: 1, enqueue, tolerance: 200))
    let request = JobClaimRequest(
      limit: 1, kinds: [JobKindAllowance(kind: Work.kind)], lease: .seconds(60))
    let dequeue = try await Times.measure(1000) {
      let claim = try await store.claim(request)
      precondition(claim.items.count == 1)
    }
    findings.add(.time("dequeue, \(word)", below: 1, dequeue, tolerance: 200))
  }

  /// From a body's report to the moment at which whoever listens has it.
  private static func progress(_ findings: Findings) async throws {
    let times = Lock(Times())
    let heard = Tally()
    var configuration = JobQueue.Configuration()
    configuration.observer = { event in if case .progressed = event.kind { heard.add() } }
    let queue = JobQueue(MemoryJobStore(), configuration: configuration) {
      $0.handle(Work.self) { _, context in
        let measured = await Times.measure(1000) {
          context.report(progress: 0.5, "half of it")
        }
        times.withLock { $0 = measured }
      }
    }
    try await withJobQueue(queue) { queue in _ = try await queue.enqueue(Work()) }
    findings.expect(heard.value == 1000, "\(heard.value) of 1000 reports were heard")
    findings.add(.time("progress update", below: 5, times.withLock { $0 }))
  }

  private static func cache(_ findings: Findings) async {
    let cache = ResilientCache<String, Int>(name: "thresholds")
    cache.set(1, for: "key")
    let hits = await Times.measure(1000, batch: 100) { precondition(cache.value(for: "key") == 1) }
    findings.add(.time("cache hit", below: 1, hits))
  }
}
