import Reliability

/// Twenty-four workers on one durable queue under a mix of faults, and other processes that save the same manifest meanwhile.
final class Mix: Sendable {
  /// What came of it.
  struct Record: Sendable {
    var metrics: JobQueueMetrics
    var letters: DeadLetterStatistics
    var lock: LockStatistics
    var saves = 0
    var saveFailures = 0
    var saveTimes = HistogramSnapshot()
    var troubled = 0
    var troubledButDone = 0
    var needy = 0
    var steppedDown = 0
    var emptyReports = 0
    var orphans = 0
    var seconds = 0.0
    /// Bytes that a thousand jobs left on the heap, after the first third.
    var growth = 0.0
  }

  private let work: MixWork
  private let workers: Int
  private let findings: Findings
  private let emptyReports = Tally()
  private let heap = Lock<[(done: Int, bytes: Int)]>([])

  init(seed: UInt64, workers: Int, scratch: Scratch, _ findings: Findings) {
    work = MixWork(seed: seed, scratch: scratch)
    self.workers = workers
    self.findings = findings
    heap.withLock { $0.reserveCapacity(4000) }
  }

  func run(for duration: Duration, processes: Int) async throws -> Record {
    let clock = ContinuousClock()
    let start = clock.now
    let letters = try await DeadLetterQueue<MixJob>(
      work.scratch.file("letters.jsonl"), configuration: letterConfiguration)
    var options = FileJobStore.Options()
    options.limits.endedKept = 200
    options.compactionSlack = 256 << 10
    let store = try await FileJobStore(work.scratch.file("jobs.jsonl"), options: options)
    let queue = makeQueue(store, letters)
    try await withThrowingTaskGroup { group in
      group.addTask { await queue.run() }
      group.addTask { try await self.produce(queue, until: start + duration) }
      for index in 0..<processes {
        group.addTask { try await self.saveElsewhere(index, until: start + duration) }
      }
      group.addTask { await self.watchHeap(until: start + duration) }
      // The queue runs until it is stopped.
      for _ in 0..<processes + 2 { try await group.next() }
      try await queue.drain()
      await queue.stop(grace: .seconds(60))
      try await group.waitForAll()
    }
    var record = Record(
      metrics: try await queue.metrics(), letters: letters.statistics, lock: work.lock.statistics)
    record.seconds = (clock.now - start).milliseconds / 1000
    try await checkLetters(letters)
    await work.stop()
    try await letters.close()
    try await store.close()
    try await checkFiles(processes: processes)
    fill(&record)
    return record
  }

  private var letterConfiguration: DeadLetterConfiguration {
    var configuration = DeadLetterConfiguration()
    configuration.retention.maximumCount = 500
    return configuration
  }

  private func makeQueue(
    _ store: FileJobStore, _ letters: DeadLetterQueue<MixJob>
  ) -> JobQueue {
    var configuration = JobQueue.Configuration(name: "mix")
    configuration.workers = workers
    configuration.deadLetters = letters
    return JobQueue(store, configuration: configuration) {
      var options = JobKindOptions()
      options.defaults.backoff = .exponential(
        base: .milliseconds(2), cap: .milliseconds(50), jitter: .equal)
      $0.handle(MixJob.self, options: options) { job, context in
        try await self.work.perform(job, attempt: context.attempt, self.findings)
        context.report(progress: 1)
      }
    }
  }

  /// Keeps the queue supplied, in numbers that it can take.
  private func produce(_ queue: JobQueue, until end: ContinuousClock.Instant) async throws {
    var number = 0
    while ContinuousClock.now < end {
      if try await queue.metrics().store.live > 400 {
        try await ContinuousClock().wait(for: .milliseconds(5))
        continue
      }
      try await queue.enqueue(contentsOf: (number..<number + 20).map { MixJob(number: $0) })
      number += 20
    }
  }

  /// Other processes, one after the other, with entries of their own.
  private func saveElsewhere(_ index: Int, until end: ContinuousClock.Instant) async throws {
    while ContinuousClock.now < end {
      try await Process.run([
        "save", "--manifest", work.manifest.path, "--count", "5", "--label", "process \(index)",
      ])
      work.saves.add(5)
    }
  }

  /// What is on the heap, twenty times a second: the least of many moments is what stays.
  private func watchHeap(until end: ContinuousClock.Instant) async {
    while ContinuousClock.now < end {
      heap.withLock { samples in
        samples.append((work.done.value, Process.heapBytes))
        // Bounded, so that a run of hours doesn't grow by itself.
        if samples.count == 4000 {
          samples = stride(from: 0, to: 4000, by: 2).map { samples[$0] }
          samples.reserveCapacity(4000)
        }
      }
      try? await ContinuousClock().wait(for: .milliseconds(50))
    }
  }
}

// MARK: What must hold

extension Mix {
  private func checkLetters(_ letters: DeadLetterQueue<MixJob>) async throws {
    var cursor: DeadLetter.Cursor?
    repeat {
      let page = try await letters.letters(after: cursor, limit: 100)
      for letter in page.letters {
        let texts = [letter.reason, letter.category.rawValue, letter.kind, letter.fingerprint]
        if texts.contains(where: \.isEmpty) || letter.attempts.isEmpty { emptyReports.add() }
      }
      cursor = page.next
    } while cursor != nil
  }

  private func checkFiles(processes: Int) async throws {
    let scratch = work.scratch
    findings.expect(scratch.temporaries.isEmpty, "temporary files: \(scratch.temporaries)")
    findings.expect(work.connections.value == 0, "\(work.connections.value) connections are open")
    let saves = try await work.manifest.load().value?.saves.values.reduce(0, +) ?? 0
    findings.expect(
      saves == work.saves.value, "\(saves) saves in the manifest, \(work.saves.value) acknowledged")
    for index in 0..<100 {
      guard let bytes = scratch.read("file \(index)") else { continue }
      findings.expect(bytes.count == 3000, "file \(index) has \(bytes.count) bytes")
    }
  }

  private func fill(_ record: inout Record) {
    let metrics = record.metrics
    record.saves = work.saves.value
    record.saveFailures = work.saveFailures.value
    record.saveTimes = work.saveTimes.snapshot()
    record.troubled = work.troubled.value
    record.troubledButDone = work.troubledButDone.value
    record.needy = work.needy.value
    record.steppedDown = work.steppedDown.value
    record.emptyReports = emptyReports.value
    record.orphans = work.scratch.temporaries.count
    record.growth = growth
    findings.expect(metrics.store.live == 0, "\(metrics.store.live) jobs never ended")
    findings.expect(
      metrics.jobsSucceeded + metrics.jobsDeadLettered == metrics.jobsQueued,
      "\(metrics.jobsQueued) jobs: \(metrics.jobsSucceeded) done, \(metrics.jobsDeadLettered) dead")
    findings.expect(
      record.letters.counts.added == metrics.jobsDeadLettered,
      "\(record.letters.counts.added) letters, \(metrics.jobsDeadLettered) dead jobs")
    findings.expect(
      work.done.value == metrics.jobsSucceeded,
      "\(work.done.value) bodies were done, and \(metrics.jobsSucceeded) jobs")
  }

  /// Bytes for a thousand jobs: the least of the last third of the time against the least of the second.
  private var growth: Double {
    let samples = heap.withLock { $0 }
    guard samples.count >= 30 else { return 0 }
    let third = samples.count / 3
    let middle = samples[third..<2 * third].min { $0.bytes < $1.bytes }
    let last = samples[(2 * third)...].min { $0.bytes < $1.bytes }
    guard let middle, let last, last.done > middle.done else { return 0 }
    return Double(max(0, last.bytes - middle.bytes)) / Double(last.done - middle.done) * 1000
  }
}
