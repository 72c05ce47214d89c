import AtomicStore
import DurableJobs

/// What it costs that no acknowledged job is ever lost.
enum DurableJobBenchmarks {
  static let all: [Benchmark] = [enqueueOne, enqueueMany, completeMany, recover]

  /// A job whose record takes about 200 bytes, as the records of the log's benchmarks do.
  private struct Transcode: DurableJob {
    static let kind = "transcode"
    static let payload =
      Array(#"{"video":42,"title":""#.utf8)
      + [UInt8](repeating: 0x61, count: 70) + Array(#""}"#.utf8)
    init() {}
    func encodedPayload() throws -> [UInt8] { Self.payload }
    init(encodedPayload: [UInt8]) throws {}
  }

  private static func open(
    _ directory: ScratchDirectory, _ durability: Durability = .full
  ) async throws -> FileJobStore {
    var options = FileJobStore.Options()
    options.limits.capacity = 2_000_000
    options.durability = durability
    return try await FileJobStore(directory.path + "/jobs", options: options)
  }

  private static func makeQueue(_ store: FileJobStore, workers: Int = 64) -> JobQueue {
    var configuration = JobQueue.Configuration(name: "bench")
    configuration.workers = workers
    return JobQueue(store, configuration: configuration) { $0.handle(Transcode.self) { _, _ in } }
  }

  /// Put in one after the other, each synced.
  private static let enqueueOne = Benchmark(name: "jobs/durable-1") {
    let directory = try ScratchDirectory()
    defer { directory.remove() }
    let queue = makeQueue(try await open(directory))
    let log = try await AppendLog(directory.path + "/log")
    let record =
      Array(#"{"pad":""#.utf8) + [UInt8](repeating: 0x61, count: 190) + Array(#""}"#.utf8)
    var samples: [Double] = []
    var yardstick: [Double] = []
    for _ in 0..<41 {
      yardstick.append(
        try await rate(of: 50) { for _ in 0..<50 { try await log.append(record) } })
      samples.append(
        try await rate(of: 50) { for _ in 0..<50 { try await queue.enqueue(Transcode()) } })
    }
    var result = Result(name: "jobs/durable-1", unit: .rate("jobs/s"), summary: Summary(samples))
    result.yardstick = ("log/append-1", Summary(yardstick))
    return result
  }

  /// Put in by sixty-four tasks at once, each job synced when its call returns.
  private static let enqueueMany = Benchmark(name: "jobs/durable-64-enqueue") {
    let directory = try ScratchDirectory()
    defer { directory.remove() }
    let store = try await open(directory)
    let queue = makeQueue(store)
    var samples: [Double] = []
    let before = CPUTime.now
    for _ in 0..<31 {
      samples.append(
        try await rate(of: 64 * 100) {
          try await withThrowingTaskGroup { group in
            for _ in 0..<64 {
              group.addTask { for _ in 0..<100 { try await queue.enqueue(Transcode()) } }
            }
            try await group.waitForAll()
          }
        })
    }
    var result = Result(
      name: "jobs/durable-64-enqueue", unit: .rate("jobs/s"), summary: Summary(samples))
    let counts = store.health.log.counts
    result.figures.append(("jobs_per_sync", Double(counts.records) / Double(counts.syncs)))
    result.figures.append(("cpu_ns_per_job", (CPUTime.now - before) / (31 * 6400)))
    return result
  }

  /// Claimed, run and completed by sixty-four workers; each completion synced before its worker goes on.
  private static let completeMany = Benchmark(name: "jobs/durable-64-complete") {
    let directory = try ScratchDirectory()
    defer { directory.remove() }
    let store = try await open(directory)
    let queue = makeQueue(store)
    let batch = (0..<1000).map { _ in Transcode() }
    var samples: [Double] = []
    var (work, syncs) = (0.0, 0)
    for _ in 0..<21 {
      for _ in 0..<10 { try await queue.enqueue(contentsOf: batch) }
      let before = (CPUTime.now, store.health.log.counts.syncs)
      samples.append(try await rate(of: 10_000) { try await withJobQueue(queue) { _ in } })
      work += CPUTime.now - before.0
      syncs += store.health.log.counts.syncs - before.1
    }
    var result = Result(
      name: "jobs/durable-64-complete", unit: .rate("jobs/s"), summary: Summary(samples))
    result.figures.append(("jobs_per_sync", 210_000 / Double(syncs)))
    result.figures.append(("cpu_ns_per_job", work / 210_000))
    return result
  }

  /// A store with a million live jobs, opened until it can be asked.
  private static let recover = Benchmark(name: "jobs/recover") {
    let directory = try ScratchDirectory()
    defer { directory.remove() }
    let store = try await open(directory, .none)
    let queue = makeQueue(store)
    let batch = (0..<1000).map { _ in Transcode() }
    for _ in 0..<1000 { try await queue.enqueue(contentsOf: batch) }
    try await store.close()
    var samples: [Double] = []
    var bytes = 0.0
    let clock = ContinuousClock()
    for _ in 0..<5 {
      let before = Memory.heapBytes
      let start = clock.now
      let store = try await open(directory)
      if try await store.figures().live != 1_000_000 { throw RawFileError(code: 0) }
      samples.append((clock.now - start) / .nanoseconds(1))
      bytes = Memory.heapBytes - before
      try await store.close()
    }
    var result = Result(
      name: "jobs/recover", unit: .nanoseconds, summary: Summary(samples))
    result.figures.append(("seconds", result.summary.min / 1e9))
    result.figures.append(("heap_bytes_per_job", bytes / 1e6))
    return result
  }

  /// Operations per second.
  private static func rate(
    of count: Int, _ body: () async throws -> Void
  ) async throws -> Double {
    let clock = ContinuousClock()
    let start = clock.now
    try await body()
    return Double(count) / ((clock.now - start) / .seconds(1))
  }
}
