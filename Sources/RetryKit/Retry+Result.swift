/// Runs the body, and again as long as it fails or its result is refused.
///
///     let job = try await retry(policy, while: { $0.status == .pending }) {
///       try await client.status(of: id)
///     }
///
/// A refused result counts as a failed attempt that can be retried, without category. When the policy allows no
/// further attempt, the last result is returned although it is refused: it is the last thing that really happened.
///
/// - Parameters:
///   - policy: What to retry, how often, how long to wait.
///   - isIdempotent: Whether the operation may be repeated. With `false` the body runs once.
///   - isRefused: Whether a result asks for another attempt.
///   - fileID: Where this is called, for `CompositionMonitor`; leave the default.
///   - line: Where this is called; leave the default.
///   - body: The operation. Runs where the caller runs; its argument is the attempt's number, from 1.
/// - Returns: The first result that is not refused, or the last one.
/// - Throws: The last error of the body, or `CancellationError` when the task is cancelled during a wait.
public nonisolated(nonsending) func retry<Result>(
  _ policy: RetryPolicy = .default, idempotent isIdempotent: Bool = true,
  while isRefused: (Result) -> Bool, fileID: String = #fileID, line: UInt = #line,
  _ body: nonisolated(nonsending) (_ attempt: Int) async throws -> Result
) async throws -> Result {
  let started = startRetry(policy.settings)
  var run: RetryRun?
  while true {
    let outcome: RetryRun.Outcome
    var last: Swift.Result<Result, any Error>
    do {
      let result =
        if let run {
          try await repeating { try await body(run.attempt) }
        } else {
          try await body(1)
        }
      if !isRefused(result) {
        run?.succeeded()
        return result
      }
      (outcome, last) = (.refusedResult, .success(result))
    } catch {
      (outcome, last) = (.error(error), .failure(error))
    }
    let current =
      run
      ?? RetryRun(
        policy.settings, isIdempotent: isIdempotent, started: started, fileID, line)
    run = current
    guard try await current.waitForNextAttempt(after: outcome) else { return try last.get() }
  }
}

/// Runs the body, and again as long as it fails or its result is refused.
///
/// As the form whose body gets the attempt's number.
///
/// - Parameters:
///   - policy: What to retry, how often, how long to wait.
///   - isIdempotent: Whether the operation may be repeated. With `false` the body runs once.
///   - isRefused: Whether a result asks for another attempt.
///   - fileID: Where this is called, for `CompositionMonitor`; leave the default.
///   - line: Where this is called; leave the default.
///   - body: The operation. Runs where the caller runs.
/// - Returns: The first result that is not refused, or the last one.
/// - Throws: The last error of the body, or `CancellationError` when the task is cancelled during a wait.
public nonisolated(nonsending) func retry<Result>(
  _ policy: RetryPolicy = .default, idempotent isIdempotent: Bool = true,
  while isRefused: (Result) -> Bool, fileID: String = #fileID, line: UInt = #line,
  _ body: nonisolated(nonsending) () async throws -> Result
) async throws -> Result {
  try await retry(
    policy, idempotent: isIdempotent, while: isRefused, fileID: fileID, line: line
  ) { _ in
    try await body()
  }
}
