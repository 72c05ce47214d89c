internal import ReliabilityCore

extension ConcurrencyLimiter {
  /// The right to make one call.
  ///
  ///     let permit = try await limiter.acquire(timeout: .seconds(1))
  ///     let response = try await connection.send(request)  // when it throws, the permit is dropped
  ///     permit.succeed()
  ///
  /// It can't be copied, so it is given back once. Dropping it, on whatever path, gives it back and says nothing about the limit. To
  /// keep it over a callback put it into an optional and `take()` it.
  public struct Permit: ~Copyable, Sendable {
    @usableFromInline let limiter: ConcurrencyLimiter
    @usableFromInline let start: Int64
    @usableFromInline var isSettled = false

    @inlinable
    init(limiter: ConcurrencyLimiter, start: Int64) {
      self.limiter = limiter
      self.start = start
    }

    @inlinable
    deinit {
      if !isSettled { limiter.settle(.ignored, start: start) }
    }

    /// The call succeeded; how long it took counts.
    @inlinable
    public consuming func succeed() {
      isSettled = true
      limiter.succeed(start)
    }

    /// The call ended in a way of which you know what it says.
    @inlinable
    public consuming func settle(_ outcome: Outcome) {
      isSettled = true
      limiter.settle(outcome, start: start)
    }

    /// The call threw: the limiter judges what that means, as `run` does.
    @inlinable
    public consuming func settle(throwing error: any Error) {
      isSettled = true
      limiter.fail(start, throwing: error)
    }
  }

  /// What the end of a call says about how many the other side bears.
  public enum Outcome: Hashable, Sendable, CaseIterable {
    /// It was answered, and how long that took is worth knowing.
    case success
    /// It was too much for the other side: no answer in time, or a refusal for overload.
    case dropped
    /// Nothing is known: cancelled, or failed for reasons of its own, perhaps much faster than a real answer.
    case ignored
  }
}

extension ConcurrencyLimiter.Outcome {
  /// What an error says when nobody has an opinion of their own.
  ///
  /// | error | outcome |
  /// |---|---|
  /// | `CancellationError`, category `cancelled` | ignored |
  /// | a `LocalRejection`: an inner breaker, limiter or pool turned the call away | ignored |
  /// | category `timeout` or `overload`, or any error that names a time to wait | dropped |
  /// | everything else, also an error nobody has classified | ignored |
  ///
  /// An error inside a `ContextualError` is judged, not its wrapper.
  ///
  /// - Parameter error: What the call threw.
  public init(judging error: any Error) {
    let error = error.withoutStory
    guard let classified = error as? any ClassifiedError, !(classified is any LocalRejection) else {
      self = .ignored
      return
    }
    switch classified.category {
    case .timeout, .overload: self = .dropped
    case .cancelled: self = .ignored
    default: self = classified.retryability.retryAfter == nil ? .ignored : .dropped
    }
  }
}
