internal import ReliabilityCore

/// Runs the body, and a second time beside it when it takes long; the first success is the result.
///
///     var policy = HedgePolicy(delay: .fixed(.milliseconds(200)), budget: budget)
///     let hits = try await hedge(policy) { attempt in
///       try await search(query, replica: attempt)
///     }
///
/// Retries help against failures, hedges against slowness: a request that hangs in one replica's queue is answered by
/// another one long before a limit of time would pass.
///
/// **The body runs more than once, at the same time.** Only hedge what may be repeated: reads, or writes the other side
/// recognizes by a key; `idempotent: false` makes it a plain call. The attempt's number is there to be sent along, so that
/// the server knows a hedge and may shed it first. The body is `@Sendable` and runs on no actor, because attempts on the caller's
/// actor would take turns instead of racing; `hedge` itself can be called from anywhere.
///
/// **The winner** is never cancelled: what it returned may live on a connection that is still being read. Each attempt has
/// a task of its own, and only the tasks of the others are cancelled. A result that comes too late is dropped, so that its
/// `deinit` gives back what it holds.
///
/// **The losers** are cancelled and their end is awaited, so that nothing the body borrowed is used after `hedge` has returned. A
/// body that ignores cancellation makes it wait; for such a body see ``hedge(abandoningLosers:idempotent:fileID:line:_:)``.
///
/// **Failures**: an error that another attempt may not meet (retryable) leaves the others alone and starts the next one at
/// once, as in gRPC. An error that is the answer to all of them (not retryable, a cancellation of the body's own) ends the
/// call. A server's `Retry-After` and a call that was turned away here (`LocalRejection`: an open breaker) leave the others alone
/// and start none. There is no wait with nothing running: when the last attempt has failed its error is thrown, for the `retry`
/// around to decide.
///
/// **Cancellation** of the caller cancels every attempt. When all have ended, a result that came all the same is returned;
/// else the error of the last one is thrown. **The deadline** (`Deadline.current`) is asked before each start: an attempt
/// that could not begin in time is not scheduled.
///
/// - Parameters:
///   - policy: When to start another attempt, how many, from which budget.
///   - isIdempotent: Whether the operation may be repeated. With `false` the body runs once.
///   - fileID: Where this is called, for `CompositionMonitor`; leave the default.
///   - line: Where this is called; leave the default.
///   - body: The operation; its argument is the attempt's number, from 1. Begins on the caller's thread, and runs on
///     no actor.
/// - Returns: The first result.
/// - Throws: The error that ended the call, or the last one when every attempt failed (rather one of the other side than
///   one of a gatekeeper here); unchanged.
@inlinable
public nonisolated(nonsending) func hedge<Result: ~Copyable>(
  _ policy: HedgePolicy = .default, idempotent isIdempotent: Bool = true,
  fileID: String = #fileID, line: UInt = #line,
  _ body: nonisolated(nonsending) @Sendable (_ attempt: Int) async throws -> sending Result
) async throws -> Result {
  let call = HedgeCall(policy)
  let prize = HedgePrize<Result>()
  let failure = await withoutActuallyEscaping(body) { body in
    await call.run(isIdempotent, abandonsLosers: false, fileID, line) { attempt in
      startAttempt(attempt, of: call, for: prize, body)
    }
  }
  if let result = prize.take() { return result }
  throw failure!
}

/// Runs the body, and a second time beside it when it takes long; the first success is the result.
///
/// As the form whose body gets the attempt's number.
///
///     let hits = try await hedge(policy) { try await search(query) }
///
/// - Parameters:
///   - policy: When to start another attempt, how many, from which budget.
///   - isIdempotent: Whether the operation may be repeated. With `false` the body runs once.
///   - fileID: Where this is called, for `CompositionMonitor`; leave the default.
///   - line: Where this is called; leave the default.
///   - body: The operation. Begins on the caller's thread, and runs on no actor.
/// - Returns: The first result.
/// - Throws: The error that ended the call, or the last one when every attempt failed; unchanged.
@inlinable
public nonisolated(nonsending) func hedge<Result: ~Copyable>(
  _ policy: HedgePolicy = .default, idempotent isIdempotent: Bool = true,
  fileID: String = #fileID, line: UInt = #line,
  _ body: nonisolated(nonsending) @Sendable () async throws -> sending Result
) async throws -> Result {
  try await hedge(policy, idempotent: isIdempotent, fileID: fileID, line: line) { _ in
    try await body()
  }
}

/// Runs the body, and a second time beside it when it takes long; returns with the first success and leaves the others
/// to end when they like.
///
/// For bodies that ignore cancellation. The losers are cancelled but not awaited: one that does not listen keeps running, and
/// so does everything it holds: memory, connections, locks. That is the price of not waiting, and the reason why this form
/// is spelled differently. A caller that is cancelled gets `CancellationError` at once.
///
///     let address = try await hedge(abandoningLosers: policy) { attempt in
///       try await resolver.callThatNeverChecksForCancellation(server: attempt)
///     }
///
/// As the form that awaits the losers otherwise.
///
/// - Parameters:
///   - policy: When to start another attempt, how many, from which budget.
///   - isIdempotent: Whether the operation may be repeated. With `false` the body runs once.
///   - fileID: Where this is called, for `CompositionMonitor`; leave the default.
///   - line: Where this is called; leave the default.
///   - body: The operation; its argument is the attempt's number, from 1. Begins on the caller's thread, and runs on
///     no actor.
/// - Returns: The first result.
/// - Throws: As the form that awaits the losers; `CancellationError` when the caller is cancelled.
@inlinable
public nonisolated(nonsending) func hedge<Result: ~Copyable>(
  abandoningLosers policy: HedgePolicy, idempotent isIdempotent: Bool = true,
  fileID: String = #fileID, line: UInt = #line,
  _ body:
    nonisolated(nonsending) @escaping @Sendable (_ attempt: Int) async throws -> sending Result
) async throws -> Result {
  let call = HedgeCall(policy)
  let prize = HedgePrize<Result>()
  let failure = await call.run(isIdempotent, abandonsLosers: true, fileID, line) { attempt in
    startAttempt(attempt, of: call, for: prize, body)
  }
  if let result = prize.take() { return result }
  throw failure!
}

/// Starts the task of one attempt.
@inlinable
func startAttempt<Result: ~Copyable>(
  _ attempt: Int, of call: HedgeCall, for prize: HedgePrize<Result>,
  _ body:
    nonisolated(nonsending) @escaping @Sendable (_ attempt: Int) async throws -> sending Result
) -> Task<Void, Never> {
  startNow {
    call.begin()
    do {
      let result = try await body(attempt)
      if call.claim() {
        prize.put(result)
        call.succeeded(attempt)
      }
    } catch {
      call.failed(attempt, throwing: error)
    }
  }
}

extension HedgeCall {
  /// Runs the call until it is decided and, unless they are abandoned, all attempts have ended.
  ///
  /// - Returns: What to throw when no attempt has put a result down.
  @usableFromInline
  nonisolated(nonsending) func run(
    _ isIdempotent: Bool, abandonsLosers: Bool, _ fileID: String, _ line: UInt,
    _ start: (_ attempt: Int) -> Task<Void, Never>
  ) async -> (any Error)? {
    settings.values.budget?.deposit()
    if Task.isCancelled { beginCancelled() }
    let started = settings.clock.now
    let first = start(1)
    if !settings.isTimed, winner == 1 {
      // It has not even been suspended: nobody needs to wait, or to be told.
      if !abandonsLosers { await first.value }
      return nil
    }
    add(first, 1)
    return await withTaskCancellationHandler {
      var driver = HedgeDriver(self, isIdempotent: isIdempotent, fileID, line)
      return await driver.run(
        firstStarted: started, abandonsLosers: abandonsLosers, start)
    } onCancel: {
      callerCancelled()
    }
  }
}
