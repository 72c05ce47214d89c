/// Runs the body, and again as long as it fails and the policy says that another try makes sense.
///
///     let page = try await retry { attempt in
///       try await fetch(url, freshConnection: attempt > 1)
///     }
///
/// The error of the last attempt is thrown unchanged, whatever ended it; the failed attempts are told to the policy's
/// observer and added to the innermost `withErrorContext`. A first attempt that succeeds costs next to nothing: no
/// clock is read, nothing is allocated or recorded (a budget, an observer or a total time read what they need).
///
/// **Cancellation** is final. An error that means cancellation, also a wrapped one, is thrown unchanged without asking
/// the policy; so is any error in a task that is cancelled. A task that is cancelled during the wait for another
/// attempt gets `CancellationError` at once, and its budget token back. The first attempt always begins, so that a
/// clean-up in a cancelled task can be retried like a bare call: that is, once.
///
/// **The deadline** (`withTimeout`, `Deadline.current`) is asked before each wait: one that could not end in time does
/// not begin, and the last real error is thrown.
///
/// **The body runs more than once**, so everything it consumes must be made inside it: a request body that is read from
/// a stream is empty the second time. For an asynchronous sequence put the loop that reads it into the body: making the
/// sequence succeeds at once, its failures come later, when `retry` has long returned. The compiler warns; `retryOpening(_:idempotent:fileID:line:_:)` is for opening alone.
///
/// - Parameters:
///   - policy: What to retry, how often, how long to wait.
///   - isIdempotent: Whether the operation may be repeated. With `false` the body runs once; pass
///     `request.isIdempotent` or the like where it depends.
///   - fileID: Where this is called, for `CompositionMonitor`; leave the default.
///   - line: Where this is called; leave the default.
///   - body: The operation. Runs where the caller runs; its argument is the attempt's number, from 1.
/// - Returns: The first result.
/// - Throws: The last error of the body, or `CancellationError` as said above.
@inlinable
public nonisolated(nonsending) func retry<Result: ~Copyable>(
  _ policy: RetryPolicy = .default, idempotent isIdempotent: Bool = true,
  fileID: String = #fileID, line: UInt = #line,
  _ body: nonisolated(nonsending) (_ attempt: Int) async throws -> Result
) async throws -> Result {
  let started = startRetry(policy.settings)
  do {
    return try await body(1)
  } catch {
    return try await retryAgain(
      policy.settings, isIdempotent, started, after: error, fileID, line, body)
  }
}

/// Runs the body, and again as long as it fails and the policy says that another try makes sense.
///
///     let page = try await retry { try await fetch(url) }
///
/// As the form whose body gets the attempt's number.
///
/// - Parameters:
///   - policy: What to retry, how often, how long to wait.
///   - isIdempotent: Whether the operation may be repeated. With `false` the body runs once.
///   - fileID: Where this is called, for `CompositionMonitor`; leave the default.
///   - line: Where this is called; leave the default.
///   - body: The operation. Runs where the caller runs.
/// - Returns: The first result.
/// - Throws: The last error of the body, or `CancellationError` when the task is cancelled during a wait.
@inlinable
public nonisolated(nonsending) func retry<Result: ~Copyable>(
  _ policy: RetryPolicy = .default, idempotent isIdempotent: Bool = true,
  fileID: String = #fileID, line: UInt = #line,
  _ body: nonisolated(nonsending) () async throws -> Result
) async throws -> Result {
  let started = startRetry(policy.settings)
  do {
    return try await body()
  } catch {
    return try await retryAgain(
      policy.settings, isIdempotent, started, after: error, fileID, line
    ) { _ in
      try await body()
    }
  }
}

/// What there is to do before the first attempt: for most policies nothing.
///
/// - Returns: When the attempt began, as the time since the origin of instants: an instant
///   that lives across the attempt costs each call 12 ns.
@inline(__always) @inlinable
func startRetry(_ settings: RetrySettings?) -> Duration? {
  guard let settings, settings.hasWorkAtStart else { return nil }
  return settings.start()
}

/// The cold part of `retry`: everything after the first failure.
@inline(never) @usableFromInline
nonisolated(nonsending) func retryAgain<Result: ~Copyable>(
  _ settings: RetrySettings?, _ isIdempotent: Bool, _ started: Duration?,
  after firstError: any Error, _ fileID: String, _ line: UInt, method: String? = nil,
  _ body: nonisolated(nonsending) (_ attempt: Int) async throws -> Result
) async throws -> Result {
  let run = RetryRun(settings, isIdempotent: isIdempotent, started: started, fileID, line, method)
  var error = firstError
  while try await run.waitForNextAttempt(after: .error(error)) {
    do {
      let result = try await repeating { try await body(run.attempt) }
      run.succeeded()
      return result
    } catch let next {
      error = next
    }
  }
  throw error
}
