/// Says that retrying what makes an asynchronous sequence does not retry what reads it.
///
/// Put the loop that reads the sequence into the body. Where opening the sequence is what may fail, say so with
/// ``retryOpening(_:idempotent:_:)``.
@available(
  *, deprecated,
  message:
    "only making the sequence is retried, not reading it: read it inside the body, or say retryOpening if that is meant"
)
@inlinable
public nonisolated(nonsending) func retry<Result: AsyncSequence>(
  _ policy: RetryPolicy = .default, idempotent isIdempotent: Bool = true,
  _ body: nonisolated(nonsending) () async throws -> Result
) async throws -> Result {
  try await retryOpening(policy, idempotent: isIdempotent, body)
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
///   - body: Opens the sequence. Runs where the caller runs.
/// - Returns: The sequence, whose elements are read without any retry.
/// - Throws: The last error of the body, or `CancellationError` when the task is cancelled during a wait.
@inlinable
public nonisolated(nonsending) func retryOpening<Result: AsyncSequence>(
  _ policy: RetryPolicy = .default, idempotent isIdempotent: Bool = true,
  _ body: nonisolated(nonsending) () async throws -> Result
) async throws -> Result {
  try await retry(policy, idempotent: isIdempotent) { _ in try await body() }
}
