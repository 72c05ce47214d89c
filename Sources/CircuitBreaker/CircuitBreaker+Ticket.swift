extension CircuitBreaker {
  /// The right to make one call, of one era of a breaker.
  ///
  ///     let ticket = try breaker.admit()
  ///     do {
  ///       let answer = try ask()
  ///       ticket.succeed()
  ///     } catch {
  ///       ticket.settle(throwing: error)
  ///     }
  ///
  /// It can't be copied, so it is settled once. Dropping it, on whatever path, counts as nothing and gives back what it
  /// held. To keep it over a callback put it into an optional and `take()` it.
  public struct Ticket: ~Copyable, Sendable {
    @usableFromInline let breaker: CircuitBreaker
    @usableFromInline let permit: BreakerPermit
    @usableFromInline var isSettled = false

    @inlinable
    init(breaker: CircuitBreaker, permit: BreakerPermit) {
      self.breaker = breaker
      self.permit = permit
    }

    @inlinable
    deinit {
      if !isSettled { breaker.abandon(permit) }
    }

    /// The call succeeded.
    @inlinable
    public consuming func succeed() {
      isSettled = true
      breaker.succeed(permit)
    }

    /// The call failed.
    ///
    /// - Parameter error: The reason, to be shown to those who are turned away.
    public consuming func fail(_ error: (any Error)? = nil) {
      isSettled = true
      breaker.settle(permit, .failure, error: error)
    }

    /// The call threw: the breaker judges what that means, as `run` does.
    public consuming func settle(throwing error: any Error) {
      isSettled = true
      breaker.fail(permit, throwing: error)
    }

    /// The call ended with a verdict of your own.
    public consuming func settle(_ verdict: Verdict) {
      isSettled = true
      breaker.settle(permit, verdict, error: nil)
    }
  }
}
