internal import Reliability
internal import ReliabilityExampleSupport

/// What is done with one download job, and everything that guards the servers it comes from.
///
/// Each server has a breaker, and a rate when one is set; all share one retry budget. A job that may not be tried now
/// is postponed without burning an attempt.
final class DownloadWorker: Sendable {
  /// How it works.
  struct Configuration: Sendable {
    /// Where the files go.
    var directory: String
    /// How files are fetched.
    var method: any FileTransferMethod = BuiltInTransfer()
    /// When a server's breaker opens.
    var breaker = CircuitBreaker.Configuration.default
    /// How often a server is asked at most.
    var rate: RateLimit?
    /// Whether jobs wait for a server whose breaker is open, for as long as it takes; else that is a failed attempt.
    var waitsForServers = false
  }

  let configuration: Configuration
  let breakers: KeyedCircuitBreaker<String>
  let limiter: KeyedRateLimiter<String>?
  let budget = RetryBudget(name: "downloads")
  let manifest: Manifest?
  let tracker: DownloadTracker

  /// - Parameters:
  ///   - configuration: How it works.
  ///   - manifest: Where published files are written down.
  ///   - tracker: Told how the downloads get on.
  init(_ configuration: Configuration, manifest: Manifest?, tracker: DownloadTracker) {
    self.configuration = configuration
    self.manifest = manifest
    self.tracker = tracker
    breakers = KeyedCircuitBreaker(name: "server", configuration: configuration.breaker)
    limiter = configuration.rate.map { KeyedRateLimiter($0, name: "server") }
    tracker.display.show { [breakers, tracker] in
      let counts = tracker.counts
      let open = breakers.samples().filter { sample in
        sample.name == "breakers"
          && sample.labels.contains { $0.value == "open" || $0.value == "halfOpen" }
      }.reduce(0) { $0 + Int($1.value) }
      return "\(counts.retries) retries"
        + (open > 0 ? ", \(open) breakers open" : "")
        + (counts.failed > 0 ? ", \(counts.failed) dead letters" : "")
    }
  }

  /// Works on a job: one attempt, and the publication when it brought the file.
  ///
  /// - Throws: What went wrong; `JobPostponedError` when it may not be tried now.
  func perform(_ job: DownloadJob, _ context: JobContext) async throws {
    let item = try await namedItem(of: job)
    if let entry = await manifest?.published(item) {
      tracker.skip(context.id, item, bytes: entry.bytes)
      return
    }
    try admit(item, context)
    let work = tracker.begin(context, item) { path, progress in
      configuration.method.transfer(
        of: item, to: "\(configuration.directory)/\(path)", progress: progress)
    }
    do {
      try await withErrorContext(
        "download", ["url": .public(item.url), "file": .public(item.name)]
      ) {
        try await breakers.run(for: item.address.server) { try await work.transfer.attempt() }
        try await manifest?.willPublish(item, work.transfer.outcome)
        try await work.transfer.publish()
        manifest?.didPublish(item)
      }
      tracker.succeeded(work)
    } catch {
      tracker.stopped(work)
      if configuration.waitsForServers, let open = error.underlying(as: CircuitOpenError.self) {
        throw postponement(open)
      }
      throw error
    }
  }

  /// The file, under a name of its own when another address has the one it asks for.
  private func namedItem(of job: DownloadJob) async throws -> DownloadItem {
    var item = try job.item()
    if let manifest, !(await manifest.claim(item)) {
      item.name = DownloadService.distinctName(of: item)
    }
    return item
  }

  /// Asks everybody who may object to an attempt now.
  private func admit(_ item: DownloadItem, _ context: JobContext) throws {
    if context.attempt > 1, !budget.withdraw() {
      throw JobPostponedError(for: .seconds(1), "the retry budget is spent")
    }
    do {
      if configuration.waitsForServers {
        // Only to ask: dropped at once, it counts as nothing and gives back a probe's slot.
        do { _ = try breakers.admit(for: item.address.server) } catch let open as CircuitOpenError {
          throw postponement(open)
        }
      }
      if let decision = limiter?.tryAcquire(for: item.address.server), !decision.isAllowed {
        throw JobPostponedError(
          for: decision.retryAfter ?? .seconds(60), "the rate of the server is used up")
      }
    } catch {
      if context.attempt > 1 { budget.refund() }
      throw error
    }
    if context.attempt == 1 { budget.deposit() }
  }

  private func postponement(_ open: CircuitOpenError) -> JobPostponedError {
    // A little later than the others, so that not all of them ask at the same moment.
    JobPostponedError(
      for: max(.milliseconds(100), open.remainingOpenTime ?? .seconds(1)),
      "the circuit of \(open.name) is open")
  }
}
