internal import ErrorContext
internal import ReliabilityCore

/// The task that made a hedged call: starts attempts, waits for news, decides, ends what lost.
struct HedgeDriver {
  private struct Attempt {
    var started: Int64
    var hasEnded = false
  }

  private let call: HedgeCall
  private let values: HedgeSettings.Values
  private var machine: HedgeStateMachine
  private var attempts: [Attempt] = []
  private var alarm: HedgeAlarm?
  private var toldStop = false
  private var lastError: (any Error)?
  /// The last error that came from beyond the gatekeepers here.
  private var lastRealError: (any Error)?
  private let deadline = Deadline.current
  private let place: (fileID: String, line: UInt)

  init(_ call: HedgeCall, isIdempotent: Bool, _ fileID: String, _ line: UInt) {
    self.call = call
    values = call.settings.values
    machine = HedgeStateMachine(maxAttempts: isIdempotent ? values.maxAttempts : 1)
    place = (fileID, line)
  }

  private var now: Int64 { call.settings.clock.now }

  /// Goes on from where the first attempt has been started.
  ///
  /// - Parameters:
  ///   - firstStarted: When.
  ///   - abandonsLosers: Whether to go on without those that lost.
  ///   - start: Starts the task of an attempt.
  /// - Returns: What to throw when no attempt has put a result down.
  nonisolated(nonsending) mutating func run(
    firstStarted: Int64, abandonsLosers: Bool, _ start: (_ attempt: Int) -> Task<Void, Never>
  ) async -> any Error {
    noteStart(.first, at: firstStarted)
    while true {
      scheduleNext()
      var action = decide(on: await call.nextNews())
      while case .start(let cause) = action {
        action = begin(cause, start)
      }
      tellStop()
      if action == .end { break }
    }
    takeAlarmBack()
    return await finish(abandonsLosers: abandonsLosers)
  }

  private mutating func decide(on news: HedgeCall.News) -> HedgeStateMachine.Action {
    switch news {
    case .succeeded: return machine.attemptSucceeded()
    case .cancelled: return machine.callerCancelled()
    case .delayPassed:
      return machine.delayPassed(now: instant(now), deadline: deadline)
    case .failed(let failure):
      let described = describe(failure.error)
      let action = machine.attemptFailed(described, now: instant(now), deadline: deadline)
      note(failure, described)
      if described.isRejection, action == .start(.failure), CompositionMonitor.isObserved {
        CompositionMonitor.shared.tell(
          CompositionEvent(.rejectionHedged, at: place.fileID, place.line))
      }
      return action
    }
  }

  private mutating func begin(
    _ cause: HedgeCause, _ start: (_ attempt: Int) -> Task<Void, Never>
  ) -> HedgeStateMachine.Action {
    if let budget = values.budget, !budget.withdraw() { return machine.startRefused() }
    let number = machine.started + 1
    noteStart(cause, at: now)
    if CompositionMonitor.isObserved {
      Repetition.$isInProgress.withValue(true) { call.add(start(number), number) }
    } else {
      call.add(start(number), number)
    }
    return .wait
  }

  private mutating func noteStart(_ cause: HedgeCause, at time: Int64) {
    machine.attemptStarted()
    attempts.append(Attempt(started: time))
    tell(.started(cause), attempts.count)
  }

  /// Sees to it that the delay after the last start is noticed.
  private mutating func scheduleNext() {
    guard alarmIsOutdated else { return }
    takeAlarmBack()
    guard let delay = values.delay.current else { return }
    let last = attempts.count
    let due = machine.nextDue(delay, from: instant(attempts[last - 1].started), deadline: deadline)
    tellStop()
    guard let due else { return }
    call.awaitDelay(after: last)
    guard due > instant(now) else { return call.delayPassed(after: last) }
    let alarm = HedgeAlarm(call, after: last)
    self.alarm = alarm
    values.clock.schedule(alarm, at: due)
  }

  /// Whether an attempt has started since the delay was scheduled.
  private var alarmIsOutdated: Bool { scheduledAfter != attempts.count }
  private var scheduledAfter = 0

  private mutating func takeAlarmBack() {
    scheduledAfter = attempts.count
    guard let alarm else { return }
    call.awaitDelay(after: nil)
    values.clock.cancel(alarm)
    self.alarm = nil
  }
}

extension HedgeDriver {
  /// Ends what still runs, and says how everything ended.
  private nonisolated(nonsending) mutating func finish(abandonsLosers: Bool) async -> any Error {
    let decided = now
    // A result that comes from now on is too late: it is that of an attempt which is about to be cancelled, and may hold what
    // the cancellation destroys. Only a caller that gave up gets what there is, unless it does not even wait.
    if abandonsLosers || !call.callerIsCancelled, !call.claim() {
      // Somebody has won, and may be between the claim and the word.
      while call.winner == nil {
        if case .failed(let failure) = await call.nextNews() { noteLate(failure) }
      }
    }
    let tasks = call.tasks
    let winner = call.winner
    for (index, task) in tasks.enumerated() where index + 1 != winner { task.cancel() }
    if !abandonsLosers {
      for task in tasks { await task.value }
    }
    for failure in call.remainingFailures() { noteLate(failure) }
    settle(winner: call.winner, decided: decided)
    if abandonsLosers, call.callerIsCancelled { return CancellationError() }
    return lastRealError ?? lastError ?? CancellationError()
  }

  /// Tells of every attempt that has no outcome yet.
  private mutating func settle(winner: Int?, decided: Int64) {
    let isCancelled = call.callerIsCancelled
    for index in attempts.indices where !attempts[index].hasEnded {
      let number = index + 1
      attempts[index].hasEnded = true
      let elapsed = Duration.nanoseconds(decided - attempts[index].started)
      if number == winner {
        tell(.won, number, elapsed: elapsed)
      } else {
        tell(isCancelled && winner == nil ? .cancelled : .lost, number, elapsed: elapsed)
      }
      // A first attempt that lost was slower than this.
      if number == 1, winner != nil { call.settings.durations?.record(elapsed) }
    }
  }

  /// An attempt failed before the call was decided, or by failing decided it.
  private mutating func note(
    _ failure: HedgeCall.Failure, _ described: HedgeStateMachine.Failure
  ) {
    lastError = failure.error
    if !described.isRejection || described.opinion == false { lastRealError = failure.error }
    let attempt = failure.attempt
    attempts[attempt - 1].hasEnded = true
    let elapsed = Duration.nanoseconds(failure.at - attempts[attempt - 1].started)
    tell(
      described.isCancellation ? .cancelled : .failed, attempt, error: failure.error,
      elapsed: elapsed)
    guard AttemptJournal.isActive, !described.isCancellation else { return }
    AttemptJournal.record(
      AttemptRecord(
        number: attempt, failure: failure.error,
        category: (values.classifier ?? .default).classify(failure.error).category,
        elapsed: elapsed, method: attempt > 1 ? "hedge" : nil))
  }

  /// An attempt failed after the call was decided: mostly because it was cancelled.
  private mutating func noteLate(_ failure: HedgeCall.Failure) {
    // A cancelled caller gets what its cancellation led to; an answer to all stays the answer.
    if call.callerIsCancelled || lastError == nil {
      lastRealError = failure.error
    }
  }

  private func describe(_ error: any Error) -> HedgeStateMachine.Failure {
    if call.callerIsCancelled { return .init(isCancellation: true) }
    let classification = (values.classifier ?? .default).classify(error)
    if classification.category == .cancelled { return .init(isCancellation: true) }
    let bare = error.withoutStory
    return .init(
      retryability: classification.retryability, isRejection: bare is any LocalRejection,
      opinion: values.shouldContinue.flatMap { $0(bare) })
  }

  private mutating func tellStop() {
    guard !toldStop, let reason = machine.stopReason else { return }
    toldStop = true
    tell(.stopped(reason), attempts.count)
  }

  private func tell(
    _ kind: HedgeEvent.Kind, _ attempt: Int, error: (any Error)? = nil, elapsed: Duration? = nil
  ) {
    values.observer?(
      HedgeEvent(kind: kind, attempt: attempt, error: error, elapsed: elapsed))
  }

  private func instant(_ nanoseconds: Int64) -> ContinuousClock.Instant {
    ContinuousClock.Instant(sinceOrigin: .nanoseconds(nanoseconds))
  }
}
