internal import ErrorContext
internal import ReliabilityCore

/// The decisions of one hedged call, without clock, task and side effects.
///
/// | event | another may start | something runs | action |
/// |---|---|---|---|
/// | an attempt succeeds | | | end |
/// | an attempt fails with the answer to all (not retryable, a cancellation) | | | end |
/// | an attempt fails, another may not | yes | | start at once |
/// | an attempt fails, another may not | no | yes | wait |
/// | an attempt fails, another may not | no | no | end |
/// | the delay has passed | yes | yes | start |
/// | the caller is cancelled | | | end |
struct HedgeStateMachine {
  enum Action: Hashable {
    /// Start the next attempt, if the budget has a token for it.
    case start(HedgeCause)
    /// Wait for what runs.
    case wait
    /// The call is decided: cancel what still runs.
    case end
  }

  /// What is known of an attempt that failed.
  struct Failure: Hashable {
    var isCancellation = false
    var retryability = Retryability.retryable()
    /// It was turned away here.
    var isRejection = false
    /// What ``HedgePolicy/shouldContinue`` said.
    var opinion: Bool?
  }

  private(set) var started = 0
  private(set) var running = 0
  private(set) var stopReason: HedgeStopReason?
  private(set) var isDecided = false
  let maxAttempts: Int

  init(maxAttempts: Int) {
    self.maxAttempts = maxAttempts
  }

  private var mayStartAnother: Bool {
    !isDecided && stopReason == nil && started < maxAttempts
  }

  mutating func attemptStarted() {
    started += 1
    running += 1
  }

  /// When the next attempt is due, if nothing else happens.
  mutating func nextDue(
    _ delay: Duration, from start: ContinuousClock.Instant, deadline: Deadline?
  ) -> ContinuousClock.Instant? {
    guard mayStartAnother else { return nil }
    // Only the delay comes too late: a failure may still start another in time.
    if let deadline, !deadline.allows(delay, from: start) { return nil }
    return start.saturatingAdvanced(by: delay)
  }

  mutating func delayPassed(now: ContinuousClock.Instant, deadline: Deadline?) -> Action {
    startAnother(.delay, now: now, deadline: deadline)
  }

  mutating func attemptSucceeded() -> Action {
    running -= 1
    isDecided = true
    return .end
  }

  mutating func attemptFailed(
    _ failure: Failure, now: ContinuousClock.Instant, deadline: Deadline?
  ) -> Action {
    running -= 1
    if isDecided { return .end }
    if failure.isCancellation { return end() }
    switch failure.opinion {
    case false?: return end()
    case true?: break
    case nil:
      // To be turned away here is no answer: it never ends what has reached the other side.
      if failure.isRejection {
        stop(.rejected)
      } else if !failure.retryability.isRetryable {
        return end()
      } else if let wait = failure.retryability.retryAfter, wait > .zero {
        stop(.pushback)
      }
    }
    return startAnother(.failure, now: now, deadline: deadline)
  }

  /// The budget has no token for the attempt that was to start.
  mutating func startRefused() -> Action {
    stop(.budgetExhausted)
    return waitOrEnd()
  }

  mutating func callerCancelled() -> Action { end() }

  private mutating func startAnother(
    _ cause: HedgeCause, now: ContinuousClock.Instant, deadline: Deadline?
  ) -> Action {
    guard mayStartAnother else { return waitOrEnd() }
    if let deadline, !deadline.allows(.zero, from: now) {
      stop(.deadline)
      return waitOrEnd()
    }
    return .start(cause)
  }

  private mutating func stop(_ reason: HedgeStopReason) {
    if mayStartAnother { stopReason = reason }
  }

  private mutating func waitOrEnd() -> Action {
    isDecided || running == 0 ? end() : .wait
  }

  private mutating func end() -> Action {
    isDecided = true
    return .end
  }
}
