internal import ReliabilityCore

extension CircuitBreaker {
  /// What a call says about the health of the other side.
  public enum Verdict: Hashable, Sendable {
    /// The other side answered as it should.
    case success
    /// The other side failed.
    case failure
    /// The other side lives and asks for patience.
    ///
    /// Counts toward the thresholds like a failure. When the breaker opens by it, `after` is the open time (up to
    /// ``Configuration/longestServerHint``), and a probe that is throttled does not make the open times grow: it is not
    /// down.
    case throttled(after: Duration? = nil)
    /// Nothing is known: counted nowhere, a probe's slot is returned.
    case ignored
    /// The caller gave up: as ``ignored``, but shown apart in the metrics.
    case cancelled
  }
}

extension CircuitBreaker.Verdict {
  /// What an error says when nobody has an opinion of their own.
  ///
  /// | error | verdict |
  /// |---|---|
  /// | `CancellationError`, category `cancelled` | cancelled |
  /// | a `LocalRejection`: an inner breaker, limiter or pool turned the call away | ignored |
  /// | `HTTPStatusError` of category `validation` (400, 401, 404 …) | success: the server answered |
  /// | any other `HTTPStatusError` with `Retry-After`, and 429 | throttled |
  /// | any other error of category `validation` | ignored: the call may never have left |
  /// | category `overload`, or any error that names a time to wait | throttled |
  /// | everything else, also an error nobody has classified | failure |
  ///
  /// An error inside a `ContextualError` is judged, not its wrapper.
  ///
  /// - Parameter error: What the call threw.
  public init(judging error: any Error) {
    let error = error.withoutStory
    if let status = error as? HTTPStatusError {
      self.init(status)
    } else if error is CancellationError {
      self = .cancelled
    } else if let classified = error as? any ClassifiedError {
      self.init(classified)
    } else {
      self = .failure
    }
  }

  private init(_ status: HTTPStatusError) {
    if status.category == .validation {
      self = .success
    } else if status.retryAfter != nil || status.category == .overload {
      self = .throttled(after: status.retryAfter)
    } else {
      self = .failure
    }
  }

  private init(_ error: any ClassifiedError) {
    let category = error.category
    if category == .cancelled {
      self = .cancelled
    } else if error is any LocalRejection || category == .validation {
      self = .ignored
    } else if let hint = error.retryability.retryAfter {
      self = .throttled(after: hint)
    } else {
      self = category == .overload ? .throttled() : .failure
    }
  }

  var outcome: BreakerStateMachine.Outcome {
    switch self {
    case .success: .success
    case .failure: .failure
    case .throttled(let hint): .throttled(hint: hint.map(BreakerTime.nanoseconds))
    case .ignored, .cancelled: .neither
    }
  }
}
