internal import ReliabilityCore

/// Whether the work in progress is a repetition: a later attempt of a retry or a hedge.
///
/// Known only while somebody watches how policies compose; nothing else depends on it.
enum Repetition {
  @TaskLocal static var isInProgress = false
}

/// Runs a later attempt so that a retry inside it can see that it is one.
nonisolated(nonsending) func repeating<Result: ~Copyable>(
  _ body: nonisolated(nonsending) () async throws -> Result
) async throws -> Result {
  guard CompositionMonitor.isObserved else { return try await body() }
  var result: Result?
  try await Repetition.$isInProgress.withValue(true) { result = try await body() }
  return result.take()!
}

extension RetryRun {
  /// Tells the monitor when the retry that is about to happen is one that cannot help, or one too many.
  func lookForTraps(_ outcome: Outcome, _ delay: Duration) {
    if Repetition.isInProgress {
      CompositionMonitor.shared.tell(CompositionEvent(.retryInsideRetry, at: fileID, line))
    }
    guard case .error(let error) = outcome,
      let rejection = error.withoutStory as? any LocalRejection
    else { return }
    let asked = rejection.retryability.retryAfter
    guard delay == .zero || delay < asked ?? .zero else { return }
    CompositionMonitor.shared.tell(
      CompositionEvent(.rejectionRetriedTooSoon, at: fileID, line, inner: delay, outer: asked))
  }
}
