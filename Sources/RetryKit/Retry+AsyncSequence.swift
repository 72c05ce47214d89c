/// Says that retrying what makes an asynchronous sequence does not retry what reads it.
///
/// Put the loop that reads the sequence into the body. Where opening the sequence is what may fail, say so with
/// `retryOpening(_:idempotent:fileID:line:_:)`.
@available(
  *, deprecated,
  message:
    "only making the sequence is retried, not reading it: read it inside the body, or say retryOpening if that is meant"
)
@inlinable
public nonisolated(nonsending) func retry<Result: AsyncSequence>(
  _ policy: RetryPolicy = .default, idempotent isIdempotent: Bool = true,
  fileID: String = #fileID, line: UInt = #line,
  _ body: nonisolated(nonsending) () async throws -> Result
) async throws -> Result {
  try await retryOpening(policy, idempotent: isIdempotent, fileID: fileID, line: line, body)
}

/// Says that retrying what makes an asynchronous sequence does not retry what reads it.
///
/// As the form whose body does not get the attempt's number.
@available(
  *, deprecated,
  message:
    "only making the sequence is retried, not reading it: read it inside the body, or say retryOpening if that is meant"
)
@inlinable
public nonisolated(nonsending) func retry<Result: AsyncSequence>(
  _ policy: RetryPolicy = .default, idempotent isIdempotent: Bool = true,
  fileID: String = #fileID, line: UInt = #line,
  _ body: nonisolated(nonsending) (_ attempt: Int) async throws -> Result
) async throws -> Result {
  try await retryOpening(policy, idempotent: isIdempotent, fileID: fileID, line: line, body)
}

/// Opens an asynchronous sequence, and again as long as opening it fails and the policy says that another try makes
/// sense.
///
///     let lines = try await retryOpening(policy) { try await client.lines(of: url) }
///     for try await line in lines {
///       print(line)  // an error in here is not retried
///     }
///
/// - Parameters:
///   - policy: What to retry, how often, how long to wait.
///   - isIdempotent: Whether the operation may be repeated. With `false` the body runs once.
///   - fileID: Where this is called, for `CompositionMonitor`; leave the default.
///   - line: Where this is called; leave the default.
///   - body: Opens the sequence. Runs where the caller runs.
/// - Returns: The sequence, whose elements are read without any retry.
/// - Throws: The last error of the body, or `CancellationError` when the task is cancelled during a wait.
@inlinable
public nonisolated(nonsending) func retryOpening<Result: AsyncSequence>(
  _ policy: RetryPolicy = .default, idempotent isIdempotent: Bool = true,
  fileID: String = #fileID, line: UInt = #line,
  _ body: nonisolated(nonsending) () async throws -> Result
) async throws -> Result {
  try await retryOpening(policy, idempotent: isIdempotent, fileID: fileID, line: line) { _ in
    try await body()
  }
}

/// Opens an asynchronous sequence, and again as long as opening it fails and the policy says that another try makes
/// sense.
///
/// As the form whose body does not get the attempt's number, from 1.
///
/// - Parameters:
///   - policy: What to retry, how often, how long to wait.
///   - isIdempotent: Whether the operation may be repeated. With `false` the body runs once.
///   - fileID: Where this is called, for `CompositionMonitor`; leave the default.
///   - line: Where this is called; leave the default.
///   - body: Opens the sequence. Runs where the caller runs; its argument is the attempt's number.
/// - Returns: The sequence, whose elements are read without any retry.
/// - Throws: The last error of the body, or `CancellationError` when the task is cancelled during a wait.
@inlinable
public nonisolated(nonsending) func retryOpening<Result: AsyncSequence>(
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
