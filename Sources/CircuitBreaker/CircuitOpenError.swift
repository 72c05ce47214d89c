public import ReliabilityCore

/// A circuit breaker turned a call away: what it protects is down, or was closed off by a person.
///
///     do {
///       hits = try await breaker.run { try await search(query) }
///     } catch let error as CircuitOpenError {
///       hits = cache.stale(query)  // error.remainingOpenTime says until when
///     }
///
/// Made once for each opening and thrown again and again, so that a rejection costs no allocation. `retry` waits as long as
/// the breaker is still open, if that is worth it.
public struct CircuitOpenError: LocalRejection {
  // One word, so that the error fits the box that is thrown.
  let opening: Opening

  final class Opening: Sendable {
    let label: BreakerName
    let state: CircuitBreaker.State
    let cause: CircuitBreaker.Cause
    let era: UInt64
    let until: Int64?
    let lastFailure: (any Error)?
    let clock: NanosecondClock

    init(
      label: BreakerName, state: CircuitBreaker.State, cause: CircuitBreaker.Cause, era: UInt64,
      until: Int64?, lastFailure: (any Error)?, clock: NanosecondClock
    ) {
      self.label = label
      self.state = state
      self.cause = cause
      self.era = era
      self.until = until
      self.lastFailure = lastFailure
      self.clock = clock
    }
  }

  init(
    label: BreakerName, state: CircuitBreaker.State, cause: CircuitBreaker.Cause, era: UInt64,
    until: Int64?, lastFailure: (any Error)?, clock: NanosecondClock
  ) {
    opening = Opening(
      label: label, state: state, cause: cause, era: era, until: until, lastFailure: lastFailure,
      clock: clock)
  }

  /// The name of the breaker.
  public var name: String { opening.label.text }

  /// The state it was in: open, forced open, or half-open with all probes out.
  public var state: CircuitBreaker.State { opening.state }

  /// Why it was in that state.
  public var cause: CircuitBreaker.Cause { opening.cause }

  /// Which opening it was.
  public var era: UInt64 { opening.era }

  /// How much of the open time is left at the moment of asking, zero at least.
  ///
  /// `nil` when no end is known: half-open, forced open.
  public var remainingOpenTime: Duration? {
    opening.until.map { .nanoseconds(max(0, $0 - opening.clock.now)) }
  }

  /// The last error that was counted as a failure, when there is one.
  public var lastFailure: (any Error)? { opening.lastFailure }

  /// Always `ErrorCategory.dependency`.
  public var category: ErrorCategory { .dependency }

  /// Retryable, after what is left of the open time.
  public var retryability: Retryability { .retryable(after: remainingOpenTime) }

  /// Says that the service is not available.
  public var userMessage: String? { "\(name) is not available at the moment." }

  /// Suggests to try again later.
  public var suggestedActions: [String] { ["Try again later."] }
}

extension CircuitOpenError: CustomStringConvertible {
  /// The name, the state, and what is left of the open time.
  ///
  /// The last failure is left out: it may say more than a log should.
  public var description: String {
    "circuit breaker \(name) is \(state)"
      + (remainingOpenTime.map { " for another \($0)" } ?? "") + " (\(cause))"
  }
}
