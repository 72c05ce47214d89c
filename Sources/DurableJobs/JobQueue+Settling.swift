internal import ErrorContext
internal import ReliabilityCore
internal import TimeoutManager

extension JobQueue {
  /// Stores that a run has succeeded, and claims the next job with the same call.
  ///
  /// Does what settling, finishing and looking do one after the other, with a third of the locks and half of the commits.
  ///
  /// - Parameters:
  ///   - plan: What may be claimed.
  ///   - now: When the body ended.
  /// - Returns: What this task does next.
  func complete(
    _ run: JobRun, elapsed: Duration, at now: Int64, next plan: Plan
  ) async -> Step {
    let settlement = JobSettlement(run.item.lease, .completed(note: nil))
    let turn: JobTurn
    do {
      turn = try await store.settle(
        [settlement],
        claiming: JobClaimRequest(
          limit: 1, kinds: plan.allowances, lease: configuration.lease))
    } catch {
      let accepted = await persistently(run.item.lease, after: error) {
        try await self.store.settle([settlement])
      }
      turn = JobTurn(accepted: accepted ?? [], claim: nil)
    }
    let isAccepted = turn.accepted.first ?? false
    let item = turn.claim?.items.first
    let kind = item.flatMap { kindIndex(of: $0.job.kind) }
    let hasMore = turn.claim?.hasMore ?? false
    let (startsMore, endWaiters) = shell.withLock { shell -> (Bool, [JobWaiter]) in
      shell.runs[run.item.lease.token] = nil
      shell.kinds[run.kind].running -= 1
      var endWaiters: [JobWaiter] = []
      if isAccepted {
        shell.count(.succeeded, elapsed: elapsed, at: now)
        if !shell.endWaiters.isEmpty {
          endWaiters = shell.endWaiters.removeValue(forKey: run.id) ?? []
        }
      } else {
        shell.counts.late += 1
      }
      guard let kind else { return (false, endWaiters) }
      shell.kinds[kind].running += 1
      return (hasMore && takeSlot(&shell), endWaiters)
    }
    tell(
      JobEvent(
        isAccepted ? .completed(note: nil) : .lateResultRefused, id: run.id,
        jobKind: run.item.job.kind))
    for waiter in endWaiters { waiter.resume() }
    if startsMore { startWorker() }
    if let item, let kind { return .run(item, kind: kind) }
    guard let claim = turn.claim else { return .look }
    return foundNothing(claim, plan)
  }

  /// Stores what became of a run, and says so.
  func settle(_ run: JobRun, _ result: Result<Void, any Error>, elapsed: Duration) async {
    let item = run.item
    switch result {
    case .success:
      let note =
        run.isFallback ? "Job timeout after \(run.limit.asSeconds)s (fallback executed)" : nil
      guard await put(item.lease, .completed(note: note)) else { return refused(item) }
      count(.succeeded, elapsed: elapsed)
      tell(JobEvent(.completed(note: note), id: run.id, jobKind: item.job.kind))
      hasEnded(run.id)
    case .failure(let error) where run.isFallback:
      let timeout = TimeoutError(limit: run.limit, elapsed: run.firstElapsed, cause: error)
      await fail(item, run.kind, timeout, elapsed: run.firstElapsed.saturatingAdd(elapsed))
    case .failure(let error):
      if let postponed = error.underlying(as: JobPostponedError.self) {
        await release(item, after: postponed.delay)
        return wake(in: max(.zero, postponed.delay))
      }
      guard classifier.isCancellation(error) else {
        return await fail(item, run.kind, error, elapsed: elapsed)
      }
      let reason = "its body ended with a cancellation"
      guard await put(item.lease, .cancelled(reason: reason)) else { return refused(item) }
      count(.cancelled, elapsed: elapsed)
      tell(JobEvent(.cancelled(reason: reason), id: run.id, jobKind: item.job.kind))
      hasEnded(run.id)
    }
  }

  private var classifier: ErrorClassifier { configuration.classifier ?? .default }

  /// Stores a failed attempt: another one follows, or none.
  func fail(
    _ item: JobClaim.Item, _ kind: Int, _ error: any Error, elapsed: Duration,
    mayRetry: Bool = true
  ) async {
    let job = item.job
    let options = job.options
    let attempt = job.attempts + 1
    let classification = classifier.classify(error)
    let record = AttemptRecord(
      number: attempt, failure: error, category: classification.category,
      at: configuration.wallClock(), elapsed: elapsed)
    let failure = JobFailure(
      attempt: attempt, error: record.error, category: record.category,
      endedAt: record.at.nanosecondsSince1970, milliseconds: elapsed.nanoseconds / 1_000_000)
    if mayRetry, attempt < options.maxAttempts, classification.retryability.isRetryable {
      var generator = configuration.randomness.makeGenerator()
      var delay = options.backoff.delay(afterAttempt: attempt, using: &generator)
      if let asked = classification.retryability.retryAfter {
        delay = max(delay, min(asked, configuration.longestRequestedDelay))
      }
      guard await put(item.lease, .retry(after: delay, failure)) else { return refused(item) }
      count(.retried, elapsed: elapsed)
      wake(in: delay)
      tell(
        JobEvent(
          .retrying(attempt: attempt, of: options.maxAttempts, after: delay, error: error),
          id: job.id, jobKind: job.kind))
      return
    }
    if let sink = configuration.deadLetters {
      let dead = DeadJob(
        job: job, error: error, category: classification.category, report: ErrorReport(error),
        attempts: job.failures.map(AttemptRecord.init) + [record])
      guard await persistently(item.lease, { try await sink.add(dead) }) != nil else { return }
    }
    let isDead = configuration.deadLetters != nil
    guard await put(item.lease, .failed(failure, isDead: isDead)) else { return refused(item) }
    count(isDead ? .dead : .failed, elapsed: elapsed)
    tell(JobEvent(.failed(error: error, isDead: isDead), id: job.id, jobKind: job.kind))
    hasEnded(job.id)
  }

  /// Gives a job back as if it had not been claimed.
  func release(_ item: JobClaim.Item, after delay: Duration = .zero) async {
    guard await put(item.lease, .released(after: delay)) else { return refused(item) }
    shell.withLock { $0.counts.released += 1 }
    tell(JobEvent(.released, id: item.job.id, jobKind: item.job.kind))
  }

  /// The store didn't take a result: the job was cancelled, or somebody else has it.
  private func refused(_ item: JobClaim.Item) {
    shell.withLock { $0.counts.late += 1 }
    tell(JobEvent(.lateResultRefused, id: item.job.id, jobKind: item.job.kind))
  }

  private func put(_ lease: JobLease, _ outcome: JobSettlement.Outcome) async -> Bool {
    let settlement = [JobSettlement(lease, outcome)]
    do {
      return try await store.settle(settlement).first ?? false
    } catch {
      let answer = await persistently(lease, after: error) {
        try await self.store.settle(settlement)
      }
      return answer?.first ?? false
    }
  }

  /// Tries until it works, with a growing delay, or until the queue has been stopped in vain.
  ///
  /// The job's lease is renewed all the while: a full disk must not have it run again.
  ///
  /// - Returns: `nil` when it never worked.
  private func persistently<Answer: Sendable>(
    _ lease: JobLease, after first: (any Error)? = nil,
    _ body: @Sendable () async throws -> Answer
  ) async -> Answer? {
    shell.withLock { $0.settlingLeases[lease.token] = lease }
    defer { shell.withLock { _ = $0.settlingLeases.removeValue(forKey: lease.token) } }
    var delays = Backoff.exponential(
      base: .milliseconds(50), cap: .seconds(5), jitter: .equal
    ).delays(using: configuration.randomness)
    var error = first
    while true {
      if let error {
        tell(JobEvent(.storeFailed(error: error)))
        if shell.withLock({ $0.isCutOff }) { return nil }
        try? await configuration.clock.wait(for: delays.next() ?? .seconds(5))
      }
      do {
        return try await body()
      } catch let failure {
        error = failure
      }
    }
  }
}

extension AttemptRecord {
  fileprivate init(_ failure: JobFailure) {
    self.init(
      number: failure.attempt, error: failure.error, category: failure.category,
      at: WallTime(nanosecondsSince1970: failure.endedAt),
      elapsed: .milliseconds(failure.milliseconds))
  }
}

extension Duration {
  /// Seconds as people write them: whole ones without a fraction.
  fileprivate var asSeconds: String {
    let milliseconds = nanoseconds / 1_000_000
    if milliseconds % 1000 == 0 { return "\(milliseconds / 1000)" }
    return "\(milliseconds / 1000).\(Int(milliseconds % 1000).padded(3))"
  }
}
