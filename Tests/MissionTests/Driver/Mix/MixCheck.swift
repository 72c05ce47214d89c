import Reliability

/// The mix for some time: nothing is lost, nothing is left, nothing grows.
enum MixCheck {
  static func run(_ arguments: Arguments, _ findings: Findings) async throws {
    let workers = arguments.int("workers", default: 24)
    let processes = arguments.int("processes", default: 2)
    // A short one first: it starts every thread there will be.
    try await once(arguments.seed, for: .milliseconds(500), workers, processes, arguments, findings)
    let before = (descriptors: Process.descriptors, threads: Process.threads)
    let record = try await once(
      arguments.seed &+ 1, for: arguments.duration, workers, processes, arguments, findings)
    let isClosed = await Process.settles { Process.descriptors <= before.descriptors }
    findings.expect(isClosed, "\(Process.descriptors) descriptors after \(before.descriptors)")
    // Eight disk threads at most are made as they are needed, and as many as there are processors for the tasks.
    let isEnded = await Process.settles { Process.threads <= before.threads + 8 }
    findings.expect(isEnded, "\(Process.threads) threads after \(before.threads)")
    add(record, findings)
  }

  @discardableResult
  private static func once(
    _ seed: UInt64, for duration: Duration, _ workers: Int, _ processes: Int,
    _ arguments: Arguments, _ findings: Findings
  ) async throws -> Mix.Record {
    let scratch = Scratch(arguments)
    let mix = Mix(seed: seed, workers: workers, scratch: scratch, findings)
    let record = try await mix.run(for: duration, processes: processes)
    let metrics = record.metrics
    findings.note(
      "seed \(seed): \(metrics.jobsQueued) jobs by \(workers) workers in \(Int(record.seconds)) s: "
        + "\(metrics.jobsSucceeded) done, \(metrics.jobsDeadLettered) dead, \(metrics.jobsRetried) retries; "
        + "\(record.saves) saves of the manifest, \(record.lock.acquisitions) holds of the lock")
    return record
  }

  private static func add(_ record: Mix.Record, _ findings: Findings) {
    let metrics = record.metrics
    func share(_ part: Int, of whole: Int) -> Double { 100 * Double(part) / Double(max(1, whole)) }
    func count(
      _ name: String, _ rule: Figure.Rule, _ bound: Double, _ unit: String, _ value: Double
    ) {
      findings.add(.count(name, rule, bound, unit, value))
    }
    findings.add(.time("lock wait, 24 workers", below: 100, record.lock.wait))
    findings.add(.time("manifest save, 24 workers and processes", below: 500, record.saveTimes))
    count(
      "save failures", .below, 0.1, "%",
      share(record.saveFailures, of: record.saves + record.saveFailures))
    count(
      "lock timeouts, for a day", .below, 1, "",
      Double(record.lock.timeouts) * 86_400 / record.seconds)
    count("orphaned temporary files", .atMost, 0, "", Double(record.orphans))
    count("jobs lost", .atMost, 0, "", Double(metrics.store.live))
    count(
      "jobs done under the fault mix", .atLeast, 99.5, "%",
      share(metrics.jobsSucceeded, of: metrics.jobsSucceeded + metrics.jobsDeadLettered))
    count(
      "failures overcome without anybody", .atLeast, 80, "%",
      share(record.troubledButDone, of: record.troubled))
    count(
      "memory failures cut by the ladder", .atLeast, 90, "%",
      share(record.steppedDown, of: record.needy))
    count("empty error messages", .atMost, 0, "", Double(record.emptyReports))
    count("memory growth in 1,000 jobs", .below, 5, "MB", record.growth / 1_048_576)
  }
}
