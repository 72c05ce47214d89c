/// Runs a body and gives a value in its place when it fails.
///
/// The error is reported, not lost; a cancellation is no failure and is thrown on. What the body returns is never taken
/// for a failure, `nil` included.
///
///     let thumbnail = try withFallback(placeholder) { try render(page) }
///
/// - Parameters:
///   - value: What to give when the body fails. Evaluated only then.
///   - reporter: Who hears of the error.
///   - body: The work. Runs once, in the caller's task and isolation.
/// - Returns: What the body returns, or the value.
/// - Throws: `CancellationError` when the body throws an error that means cancellation.
public func withFallback<Result>(
  _ value: @autoclosure () -> Result, reporter: ErrorReporter = .shared,
  _ body: () throws -> Result
) throws(CancellationError) -> Result {
  do {
    return try body()
  } catch {
    try reportFailure(error, to: reporter)
    return value()
  }
}

/// Runs an asynchronous body and gives a value in its place when it fails.
///
/// The same as the synchronous form. The body runs on the caller's isolation and may use what is not `Sendable`.
///
///     let price = try await withFallback(lastKnownPrice) { try await fetchPrice() }
///
/// - Parameters:
///   - value: What to give when the body fails. Evaluated only then.
///   - reporter: Who hears of the error.
///   - body: The work. Runs once, in the caller's task and isolation.
/// - Returns: What the body returns, or the value.
/// - Throws: `CancellationError` when the body throws an error that means cancellation.
public nonisolated(nonsending) func withFallback<Result>(
  _ value: @autoclosure () -> Result, reporter: ErrorReporter = .shared,
  _ body: nonisolated(nonsending) () async throws -> Result
) async throws(CancellationError) -> Result {
  do {
    return try await body()
  } catch {
    try reportFailure(error, to: reporter)
    return value()
  }
}

private func reportFailure(
  _ error: any Error, to reporter: ErrorReporter
) throws(CancellationError) {
  let classifier = reporter.options.classifier ?? .default
  if classifier.isCancellation(error) { throw CancellationError() }
  reporter.report(error)
}
