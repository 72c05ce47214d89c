extension DeadLetterQueue {
  /// Does the work of dead letters again: what succeeds leaves, what fails stays with one more redrive to its name.
  ///
  ///     var options = DeadLetter.RedriveOptions()
  ///     options.maximumFailuresInARow = 5
  ///     let report = try await queue.redrive(.fingerprint(group.fingerprint), options: options) { order, letter in
  ///       try await charge(order, idempotencyKey: "dead-letter-\(letter.id)")
  ///     }
  ///
  /// The letters are those that match when the call begins. None is tried twice, and none that comes meanwhile is tried, so
  /// it ends even if everything fails again. Two redrives at once share the letters between them.
  ///
  /// **At least once.** A letter leaves after the body has returned. If the program or the disk fails between the two, the
  /// letter is still here and is redriven again: make the body idempotent. That a redrive began is noted before, so
  /// ``DeadLetter/redriveCount`` counts those too that took the program down.
  ///
  /// **Third outcomes.** A cancellation and a rejection before the call (`LocalRejection`: an open circuit, an empty
  /// limiter) leave the letter as it was and count nothing; a rejection ends the redrive.
  ///
  /// - Parameters:
  ///   - filter: Which letters.
  ///   - options: Pace, budget, attempts, dry run.
  ///   - body: The work. Runs where the caller runs, one letter at a time.
  /// - Returns: What became of the letters; also told to the observer, in every case.
  /// - Throws: `CancellationError`; `RateLimitedError` when the limiter's turn would come after the deadline; `StoreError` with the
  ///   path when the disk fails, which loses no letter; ``DeadLetterError``.
  @discardableResult
  public nonisolated(nonsending) func redrive(
    _ filter: DeadLetter.Filter = .all,
    options: DeadLetter.RedriveOptions = DeadLetter.RedriveOptions(),
    _ body: nonisolated(nonsending) (Payload, DeadLetter) async throws -> Void
  ) async throws -> DeadLetter.RedriveReport {
    if !options.isDryRun { try core.requireWritable() }
    let ids = try await core.allIDs(matching: filter, order: options.order)
      .prefix(max(0, options.maximumCount))
    var report = DeadLetter.RedriveReport()
    report.selected = ids.count
    report.isDryRun = options.isDryRun
    do {
      var failuresInARow = 0
      for id in ids {
        try Task.checkCancellation()
        let failedBefore = report.failed
        try await redrive(id, options, &report, body)
        failuresInARow = report.failed > failedBefore ? failuresInARow + 1 : 0
        if let most = options.maximumFailuresInARow, failuresInARow >= max(1, most) {
          report.ending = .failing
        }
        if report.ending != .completed { break }
      }
      try Task.checkCancellation()
    } catch {
      report.ending = error is CancellationError ? .cancelled : .stopped
      core.tell(.redriveEnded(report))
      throw error
    }
    core.tell(.redriveEnded(report))
    return report
  }

  private nonisolated(nonsending) func redrive(
    _ id: UInt64, _ options: DeadLetter.RedriveOptions, _ report: inout DeadLetter.RedriveReport,
    _ body: nonisolated(nonsending) (Payload, DeadLetter) async throws -> Void
  ) async throws {
    guard let found = try await core.letter(id) else {
      report.skipped += 1
      return
    }
    var letter = found.letter
    let payload: Payload
    do {
      payload = try letter.payload(as: Payload.self)
    } catch {
      report.undecodable += 1
      core.countUndecodable(letter.id, error)
      return
    }
    if options.isDryRun {
      report.succeeded += 1
      return
    }
    try await options.limiter?.acquire()
    if let budget = options.budget, !budget.withdraw() {
      options.limiter?.giveBack()
      report.ending = .budgetSpent
      return
    }
    let number: Int?
    do {
      number = try await core.beginRedrive(id)
    } catch {
      options.giveBack()
      throw error
    }
    guard let number else {
      options.giveBack()
      report.skipped += 1
      return
    }
    letter.redriveCount = number
    let failure: any Error
    var attempts: [AttemptRecord] = []
    do {
      try await attempt(payload, letter, options.retry, &attempts, body)
    } catch {
      failure = error
      return try await settle(failure, found.record, number, attempts, options, &report)
    }
    try await core.finishRedrive(id)
    report.succeeded += 1
  }

  /// Runs the body as often as the policy says, and writes down its failures.
  private nonisolated(nonsending) func attempt(
    _ payload: Payload, _ letter: DeadLetter, _ policy: RetryPolicy?,
    _ attempts: inout [AttemptRecord],
    _ body: nonisolated(nonsending) (Payload, DeadLetter) async throws -> Void
  ) async throws {
    var failures: [AttemptRecord] = []
    defer { attempts = failures }
    try await retry(policy ?? RetryPolicy(maxAttempts: 1)) { number in
      let start = core.clock.now
      do {
        try await body(payload, letter)
      } catch {
        failures.append(
          AttemptRecord(
            number: number, failure: error,
            category: ErrorClassifier.default.classify(error).category,
            at: WallTime(nanosecondsSince1970: core.moment.wall),
            elapsed: .nanoseconds(LetterMachine.age(start, core.clock.now)), method: "redrive"))
        // As many as a letter keeps, whatever the policy is.
        let (first, last) = LetterContent.attemptsKept
        if failures.count > first + last { failures.remove(at: first) }
        throw error
      }
    }
  }

  /// Decides what a failure of the body means for the letter.
  private nonisolated(nonsending) func settle(
    _ failure: any Error, _ record: LetterRecord, _ number: Int, _ attempts: [AttemptRecord],
    _ options: DeadLetter.RedriveOptions, _ report: inout DeadLetter.RedriveReport
  ) async throws {
    let isCancelled = Task.isCancelled || ErrorClassifier.default.isCancellation(failure)
    if isCancelled || failure.withoutStory is any LocalRejection {
      await core.cancelRedrive(record.id)
      report.cancelled += 1
      if Task.isCancelled { throw CancellationError() }
      if !isCancelled {
        // It never reached the other side.
        options.giveBack()
        report.ending = .turnedAway
      }
      return
    }
    try await core.failRedrive(
      record, number: number,
      report: ErrorReport(failure, options: configuration.reports), attempts: attempts)
    report.failed += 1
  }
}

extension DeadLetter.RedriveOptions {
  /// Gives back what was taken for a letter that was not redriven after all.
  func giveBack() {
    limiter?.giveBack()
    budget?.refund()
  }
}
