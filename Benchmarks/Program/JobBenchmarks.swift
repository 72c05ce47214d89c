import DurableJobs

/// What a job costs beside its work.
enum JobBenchmarks {
  static let all: [Benchmark] = [memory]

  /// A job whose payload is its own coding, so that the queue is measured and not JSON.
  private struct NoOperation: DurableJob {
    static let kind = "no-operation"
    init() {}
    func encodedPayload() throws -> [UInt8] { [] }
    init(encodedPayload: [UInt8]) throws {}
  }

  /// Put in, claimed, run and completed, with a body that does nothing.
  private static let memory = Benchmark(name: "jobs/memory") {
    var options = JobStoreOptions()
    options.capacity = 100_000
    var configuration = JobQueue.Configuration(name: "bench")
    configuration.workers = 2
    let queue = JobQueue(MemoryJobStore(options: options), configuration: configuration) {
      $0.handle(NoOperation.self) { _, _ in }
    }
    let batch = (0..<1000).map { _ in NoOperation() }
    var samples: [Double] = []
    let clock = ContinuousClock()
    let before = CPUTime.now
    for _ in 0..<21 {
      let start = clock.now
      try await withJobQueue(queue) { queue in
        for _ in 0..<20 { try await queue.enqueue(contentsOf: batch) }
      }
      samples.append(20_000 / ((clock.now - start) / .seconds(1)))
    }
    var result = Result(name: "jobs/memory", unit: .rate("jobs/s"), summary: Summary(samples))
    // What it takes of the processors, whoever else uses them meanwhile.
    result.figures.append(("cpu_ns_per_job", (CPUTime.now - before) / (21 * 20_000)))
    return result
  }
}
