internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// Downloads the files of a plan, several at once; each succeeds or fails by itself.
final class DownloadRun: Sendable {
  private let plan: DownloadPlan
  private let directory: String
  private let options: Options
  private let display: ProgressDisplay
  private let state: StateDirectory?

  /// Makes a run.
  ///
  /// - Parameters:
  ///   - plan: What to download.
  ///   - directory: Where to; it must exist.
  ///   - options: How.
  ///   - display: Shows how it goes.
  ///   - state: Where the jobs are kept; in memory when `nil`.
  init(
    plan: DownloadPlan, directory: String, options: Options, display: ProgressDisplay,
    state: StateDirectory? = nil
  ) {
    self.plan = plan
    self.directory = directory
    self.options = options
    self.display = display
    self.state = state
  }

  /// Downloads everything.
  ///
  /// When the task is cancelled, what is under way is given up and cleaned away; with a state directory it is done by the
  /// next run.
  func perform() async -> RunSummary {
    var summary = RunSummary()
    summary.files = plan.items.count
    summary.durability = options.durability
    let start = ContinuousClock.now
    let manifest = await openManifest()
    let tracker = DownloadTracker(display: display, failuresKept: .max)
    do {
      let downloads = try await makeQueue(manifest, tracker)
      do { try await run(downloads) } catch is CancellationError {}
      tracker.forgetAll()
      // Not cancelled with this task: what is in memory has to reach the disk.
      try await Task { [state] in
        try await manifest?.flush()
        try await state?.close(downloads)
      }.value
    } catch {
      summary.failures.append(ErrorReport(error))
    }
    display.close()
    summary.take(tracker.counts)
    summary.seconds = (ContinuousClock.now - start) / .seconds(1)
    summary.orphanedTemporaryFiles = Self.temporaryFiles(in: directory).count
    return summary
  }

  private func openManifest() async -> Manifest? {
    guard state != nil || options.keepsManifest else { return nil }
    return Manifest(in: directory) { [display] in display.note("     manifest: \($0)") }
  }

  private func makeQueue(_ manifest: Manifest?, _ tracker: DownloadTracker) async throws
    -> DownloadQueue
  {
    var worker = DownloadWorker.Configuration(directory: directory)
    worker.method = BuiltInTransfer(
      limits: options.limits,
      durability: options.durability, policy: options.policy, alwaysDigests: manifest != nil
    ).behind(options.tool)
    worker.rate = options.rate
    // The demo's server fails on purpose, and often.
    if options.isDemo {
      worker.breaker = CircuitBreaker.Configuration(
        consecutiveFailures: nil, failureRate: 0.95, minimumVolume: 50)
    }
    var jobs = JobOptions()
    jobs.maxAttempts = options.attempts
    jobs.backoff = .exponential(base: options.backoff)
    jobs.timeout = nil
    var queue = JobQueue.Configuration(name: "downloads")
    queue.workers = max(1, min(options.workers, plan.items.count))
    queue.shutdownGrace = .zero
    // Whoever kills it and gives the same command again wants the rest, not a quarantine.
    queue.maxCrashes = 1000
    let parts = DownloadWorker(worker, manifest: manifest, tracker: tracker)
    guard let state else {
      // Nobody reads them after the run: more failures than fit must not hold it up.
      var letters = DeadLetterConfiguration()
      letters.overflow = .dropOldest
      return DownloadQueue(
        store: MemoryJobStore(options: storeOptions),
        letters: DeadLetterQueue(configuration: letters), worker: parts, defaults: jobs,
        configuration: queue)
    }
    return DownloadQueue(
      store: try await state.openStore(storeOptions, durability: options.durability),
      letters: try await state.openLetters(),
      worker: parts, defaults: jobs, configuration: queue)
  }

  private var storeOptions: JobStoreOptions {
    var store = JobStoreOptions()
    store.capacity = max(options.queueCapacity, plan.items.count)
    return store
  }

  private func run(_ downloads: DownloadQueue) async throws {
    // Before the work begins: a job that an earlier run left, and that ended meanwhile, would be put in again.
    let ids = try await enqueue(in: downloads)
    try await withJobQueue(downloads.queue) { queue in
      // Also those that wait for their time, which draining would leave.
      for id in ids { _ = try await queue.end(of: id) }
    }
  }

  private func enqueue(in downloads: DownloadQueue) async throws -> [JobID] {
    if state == nil {
      let jobs = plan.items.map { DownloadJob($0) }
      return try await downloads.queue.enqueue(contentsOf: jobs).map(\.id)
    }
    var ids: [JobID] = []
    for item in plan.items {
      var options = downloads.defaults
      options.unique = UniqueKey(item.url.absoluteString)
      ids.append(try await downloads.queue.enqueue(DownloadJob(item), options: options).id)
    }
    return ids
  }

  /// The summary when nothing could be tried at all.
  func refused(_ error: any Error) -> RunSummary {
    var summary = RunSummary()
    summary.files = plan.items.count
    summary.failed = summary.files
    summary.failures = [ErrorReport(error)]
    return summary
  }

  /// The temporary files of this process that lie in the output directory.
  private static func temporaryFiles(in directory: String) -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    let process = ".\(String(ProcessInfo.processInfo.processIdentifier, radix: 16))."
    return names.filter {
      $0.hasPrefix(".") && $0.hasSuffix(".rtmp") && $0.contains(process)
    }
  }
}

extension RunSummary {
  fileprivate mutating func take(_ counts: DownloadTracker.Counts) {
    succeeded = counts.succeeded
    failed = counts.failed
    // With a state directory, jobs that an earlier run left are done too.
    files = max(files, succeeded + failed)
    verified = counts.verified
    retries = counts.retries
    timeouts = counts.timeouts
    resumptions = counts.resumptions
    bytes = counts.bytes
    failures += counts.failures
    skipped = counts.skipped
    served = counts.served
  }
}
