extension CircuitBreaker {
  /// Where a breaker stands.
  public enum State: String, Hashable, Sendable, Codable, CaseIterable {
    /// Every call is admitted; results are counted.
    case closed
    /// Every call is rejected until the open time is over.
    case open
    /// A few calls, the probes, are admitted to find out whether the other side is back.
    case halfOpen
    /// A person had it opened: every call is rejected until somebody says otherwise.
    case forcedOpen
    /// Every call is admitted and nothing is counted toward the thresholds.
    case disabled
    /// Every call is admitted and counted, and it never opens: to try out thresholds.
    case metricsOnly
  }

  /// Why a breaker is in its state: a word of low cardinality, fit for a metric label.
  public struct Cause: Hashable, Sendable {
    // A byte: a text would be counted by reference in every decision.
    private enum Word: String {
      case initial, consecutiveFailures, failureRate, slowCallRate, openTimeOver, probeFailed
      case probeSlow, probeThrottled, probesSucceeded, manual, restored
    }

    private let word: Word

    /// The cause as a word.
    public var rawValue: String { word.rawValue }

    /// It was made in this state.
    public static var initial: Cause { Cause(word: .initial) }
    /// So many calls in a row failed.
    public static var consecutiveFailures: Cause { Cause(word: .consecutiveFailures) }
    /// Too large a part of the calls failed.
    public static var failureRate: Cause { Cause(word: .failureRate) }
    /// Too large a part of the calls was slow; those still in flight are counted.
    public static var slowCallRate: Cause { Cause(word: .slowCallRate) }
    /// The open time is over.
    public static var openTimeOver: Cause { Cause(word: .openTimeOver) }
    /// A probe failed.
    public static var probeFailed: Cause { Cause(word: .probeFailed) }
    /// A probe took longer than a slow call may, whether it has ended or not.
    public static var probeSlow: Cause { Cause(word: .probeSlow) }
    /// A probe was answered with a request for patience.
    public static var probeThrottled: Cause { Cause(word: .probeThrottled) }
    /// Enough probes succeeded.
    public static var probesSucceeded: Cause { Cause(word: .probesSucceeded) }
    /// A person wanted it.
    public static var manual: Cause { Cause(word: .manual) }
    /// It was restored from a snapshot.
    public static var restored: Cause { Cause(word: .restored) }
  }

  /// A change of state, for the observer.
  ///
  ///     configuration.observer = { event in
  ///       print(event)  // search: closed -> open for 60.0 seconds (consecutiveFailures)
  ///     }
  public struct Event: Sendable {
    /// The name of the breaker.
    public var name: String { label.text }
    let label: BreakerName
    /// The state it left.
    public let from: State
    /// The state it entered.
    public let to: State
    /// Why.
    public let cause: Cause
    /// The era that begins; grows from event to event.
    public let era: UInt64
    /// How long it stays open when it opened for a time, otherwise `nil`.
    public let openTime: Duration?
    /// The last error that was counted as a failure, when there is one.
    public let lastFailure: (any Error)?
  }
}

extension CircuitBreaker.State: CustomStringConvertible {
  /// The word for the state.
  public var description: String { rawValue }
}

extension CircuitBreaker.Cause: CustomStringConvertible {
  /// The word itself.
  public var description: String { rawValue }
}

extension CircuitBreaker.Event: CustomStringConvertible {
  /// One line for a log, without the error's message.
  public var description: String {
    "\(name): \(from) -> \(to)" + (openTime.map { " for \($0)" } ?? "") + " (\(cause))"
  }
}
