internal import ErrorContext
internal import ReliabilityCore

/// One call of `retry` from its first failure on: asks the state machine, tells who wants to know, and waits.
@usableFromInline final class RetryRun {
  enum Outcome {
    case error(any Error)
    case refusedResult
  }

  private let values: RetrySettings.Values
  private var machine: RetryStateMachine
  private var attemptStarted: ContinuousClock.Instant?
  let fileID: String
  let line: UInt
  /// How it is tried, for the error context.
  private let method: String?

  init(
    _ settings: RetrySettings?, isIdempotent: Bool, started: Duration?, _ fileID: String,
    _ line: UInt, _ method: String? = nil
  ) {
    (self.fileID, self.line, self.method) = (fileID, line, method)
    let started = started.map { ContinuousClock.Instant(sinceOrigin: $0) }
    values = settings.orDefault.values
    machine = RetryStateMachine(values, isIdempotent: isIdempotent, started: started)
    attemptStarted = started
  }

  var attempt: Int { machine.attempt }

  /// Waits until the next attempt is due.
  ///
  /// - Returns: Whether there is to be one.
  /// - Throws: `CancellationError` when the task is cancelled during the wait.
  nonisolated(nonsending) func waitForNextAttempt(
    after outcome: Outcome
  ) async throws(CancellationError) -> Bool {
    let clock = values.clock
    let now = clock.now
    let elapsed = attemptStarted.map { $0.duration(to: now) }
    guard let failure = describe(outcome) else {
      tell(.stopped(.cancelled), outcome, category: nil, elapsed)
      return false
    }
    guard case .wait(let delay) = decide(failure, outcome, now: now, elapsed: elapsed) else {
      return false
    }
    if CompositionMonitor.isObserved { lookForTraps(outcome, delay) }
    record(outcome, failure.category, elapsed: elapsed, delay: delay)
    tell(.retrying, outcome, category: failure.category, elapsed, delay: delay)
    do {
      try await clock.wait(until: now.saturatingAdvanced(by: delay))
    } catch {
      values.budget?.refund()
      tell(.stopped(.cancelled), outcome, category: failure.category, elapsed)
      throw error
    }
    machine.nextAttempt()
    attemptStarted = clock.now
    return true
  }

  func succeeded() {
    guard values.observer != nil else { return }
    let elapsed = attemptStarted.map { $0.duration(to: values.clock.now) }
    tell(.recovered, .refusedResult, category: nil, elapsed)
  }

  private func decide(
    _ failure: RetryStateMachine.Failure, _ outcome: Outcome, now: ContinuousClock.Instant,
    elapsed: Duration?
  ) -> RetryStateMachine.Action {
    var action = machine.attemptFailed(failure, now: now, deadline: Deadline.current)
    if case .wait = action, let budget = values.budget, !budget.withdraw() {
      action = .stop(.budgetExhausted)
    }
    if case .stop(let reason) = action {
      record(outcome, failure.category, elapsed: elapsed, delay: nil)
      tell(.stopped(reason), outcome, category: failure.category, elapsed)
    }
    return action
  }

  /// - Returns: `nil` for a cancellation: then nothing else is asked.
  private func describe(_ outcome: Outcome) -> RetryStateMachine.Failure? {
    if Task.isCancelled { return nil }
    guard case .error(let error) = outcome else { return .refusedResult }
    let classification = (values.classifier ?? .default).classify(error)
    if classification.category == .cancelled { return nil }
    return RetryStateMachine.Failure(
      category: classification.category, retryability: classification.retryability,
      opinion: values.shouldRetry.flatMap { $0((error as? ContextualError)?.underlying ?? error) })
  }

  private func record(
    _ outcome: Outcome, _ category: ErrorCategory?, elapsed: Duration?, delay: Duration?
  ) {
    guard AttemptJournal.isActive else { return }
    let record =
      switch outcome {
      case .error(let error):
        AttemptRecord(
          number: attempt, failure: error, category: category ?? .unknown,
          elapsed: elapsed, delay: delay, method: method)
      case .refusedResult:
        AttemptRecord(
          number: attempt, error: "the result was refused", category: .unknown, at: .now,
          elapsed: elapsed, delay: delay, method: method)
      }
    AttemptJournal.record(record)
  }

  private func tell(
    _ kind: RetryEvent.Kind, _ outcome: Outcome, category: ErrorCategory?, _ elapsed: Duration?,
    delay: Duration? = nil
  ) {
    guard let observer = values.observer else { return }
    var error: (any Error)?
    if case .error(let thrown) = outcome { error = thrown }
    observer(
      RetryEvent(
        kind: kind, attempt: attempt, maxAttempts: values.maxAttempts, delay: delay, error: error,
        category: category, elapsed: elapsed))
  }
}
