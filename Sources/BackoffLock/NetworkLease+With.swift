internal import ReliabilityCore

extension NetworkLease {
  /// Runs the body while holding the lease, and cancels it when the lease is lost.
  ///
  ///     try await lease.withLease { hold in
  ///       try await publish(fencedBy: hold.token)
  ///     }
  ///
  /// The body runs in a child task on the caller's isolation, may capture what is not `Sendable`, and may return it. It
  /// is awaited in every case: one that ignores its cancellation goes on without a lease, and should ask
  /// ``Hold/isHeld`` before each effect.
  ///
  /// A cancellation of the caller ends the wait, or is passed on to the body; in both cases the lease is given back.
  /// File calls run on threads of the lease. Where the server is silent and the mount waits for ever (`hard`), a call can't
  /// be taken back: the body is cancelled in time all the same, but this function returns when the server does.
  ///
  /// - Parameters:
  ///   - timeout: How long to wait for the lease; `nil` takes the configuration's, zero tries once. Never longer than
  ///     `Deadline.current` allows.
  ///   - isolation: The caller's isolation; leave the default.
  ///   - body: The work.
  /// - Returns: What the body returns.
  /// - Throws: ``LeaseError`` when the lease is not to be had; ``LeaseLostError`` when it was lost before the body ended,
  ///   whatever the body returned; else what the body throws.
  public func withLease<Value>(
    timeout: Duration? = nil, isolation: isolated (any Actor)? = #isolation,
    _ body: (Hold) async throws -> Value
  ) async throws -> Value {
    let hold = try await acquire(timeout: timeout)
    // Detached: the deadline and the priority of the work are not those of its lease.
    let keeper = Task.detached(priority: .high) { await hold.keep() }
    let result: Result<Unchecked<Value>, any Error> = await withoutActuallyEscaping(body) { body in
      // The box takes the body past the `Sendable` checks of `Task`: the child runs on the caller's isolation while the
      // caller waits for it.
      let body = Unchecked(value: body)
      let child = Task { () -> Result<Unchecked<Value>, any Error> in
        // Capturing the isolation makes the child inherit it.
        _ = isolation
        do {
          return .success(Unchecked(value: try await body.value(hold)))
        } catch {
          return .failure(error)
        }
      }
      hold.onLoss { child.cancel() }
      return await withTaskCancellationHandler {
        await child.value
      } onCancel: {
        child.cancel()
      }
    }
    keeper.cancel()
    await keeper.value
    let rest = hold.remaining
    var loss = hold.finish()
    let wasOurs = await remove(
      hold.session, until: clock.now.saturatingAdvanced(by: rest), isLost: loss != nil)
    if !wasOurs, loss == nil { loss = .takenOver }
    switch result {
    case .failure(let error as CancellationError) where Task.isCancelled: throw error
    case .failure(let error):
      guard let loss else { throw error }
      throw LeaseLostError(
        loss, path: path, token: hold.token, cause: error is CancellationError ? nil : error)
    case .success(let value):
      if let loss { throw LeaseLostError(loss, path: path, token: hold.token) }
      return value.value
    }
  }
}

/// Takes a value past the `Sendable` checks where the code around it proves that there is no race.
private struct Unchecked<Value>: @unchecked Sendable {
  let value: Value
}
