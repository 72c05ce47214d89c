/// Waits for work until a limit passes, then goes on without it: for work that ignores cancellation.
///
/// The work is cancelled at the limit but not awaited. If it ignores that, it keeps running, and so does everything it holds:
/// memory, connections, locks. That is the price of not waiting, and the reason why this form is spelled differently and its
/// body must be `@Sendable`. ``TimeoutStatistics/abandonedRunningCount`` tells how many such calls are still running.
///
///     let answer = try await withTimeout(abandoningAfter: .seconds(5)) {
///       try await library.callThatNeverChecksForCancellation()
///     }
///
/// The body runs in a task of its own that inherits priority and task-local values, `Deadline.current` among them.
/// When the caller is cancelled, the work is cancelled and abandoned in the same way, and `CancellationError` is thrown.
///
/// - Parameters:
///   - limit: How long to wait. Zero or less throws at once and never runs the body.
///   - kind: Which limit this is, for the error.
///   - clock: The source of time.
///   - fileID: Where this is called, for `CompositionMonitor`; leave the default.
///   - line: Where this is called; leave the default.
///   - body: The work.
/// - Returns: What the body returns.
/// - Throws: What the body throws, ``TimeoutError`` at the limit, `CancellationError` when the caller is cancelled.
public nonisolated(nonsending) func withTimeout<Value: Sendable>(
  abandoningAfter limit: Duration,
  kind: TimeoutError.Kind = .total,
  clock: any TimeSource = ContinuousClock(),
  fileID: String = #fileID, line: UInt = #line,
  _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  let start = clock.now
  let begin = start.sinceOrigin
  let wanted = begin + max(.zero, min(limit, .farAway))
  let end = Deadline.earliest(wanted, from: begin, fileID, line)
  guard end > begin else {
    try Task.checkCancellation()
    TimeoutStatistics.shared.recordExpiry()
    throw TimeoutError(kind: kind, limit: .zero, elapsed: .zero)
  }
  let call = AbandonableCall<Value>(start: begin, end: end, limit: wanted - begin) {
    TimeoutError(kind: kind, limit: end - begin, elapsed: start.duration(to: clock.now))
  }
  let work = Deadline.$scope.withValue(call) {
    Task {
      do { call.finish(.success(try await body())) } catch { call.finish(.failure(error)) }
    }
  }
  call.begin(work)
  clock.schedule(call, at: call.instant)
  defer { clock.cancel(call) }
  return try await withTaskCancellationHandler {
    try await withCheckedThrowingContinuation { call.wait(with: $0) }
  } onCancel: {
    call.abandon(throwing: CancellationError())
  }
}

/// One abandoning call: who comes first of the body's end, the limit and the caller's cancellation decides what the caller
/// gets; the others only count.
///
/// States: *open* (until one of the three comes), *decided* (the outcome waits for the caller or has been given to it), and
/// apart from these whether the work is still running.
///
/// Nothing stays here once it was given to the caller: tasks that the body started keep this object, as their deadline, for
/// as long as they run.
private final class AbandonableCall<Value: Sendable>: DeadlineScope, @unchecked Sendable {
  private struct State {
    var work: Task<Void, Never>?
    /// Decided before the caller waited.
    var outcome: Result<Value, any Error>?
    var continuation: CheckedContinuation<Value, any Error>?
    var isDecided = false
    var isAbandoned = false
    var hasEnded = false

    /// - Returns: The caller, when it waits already.
    mutating func decide(
      _ outcome: Result<Value, any Error>
    ) -> CheckedContinuation<Value, any Error>? {
      isDecided = true
      guard let continuation else {
        self.outcome = outcome
        return nil
      }
      self.continuation = nil
      return continuation
    }
  }

  private let state = Lock(State())
  private let timeoutError: @Sendable () -> TimeoutError

  init(
    start: Duration, end: Duration, limit: Duration,
    timeoutError: @escaping @Sendable () -> TimeoutError
  ) {
    self.timeoutError = timeoutError
    super.init(start: start, end: end, limit: limit)
  }

  func begin(_ work: Task<Void, Never>) {
    state.withLock { state in
      if !state.hasEnded { state.work = work }
    }
  }

  func wait(with continuation: CheckedContinuation<Value, any Error>) {
    let outcome = state.withLock { state in
      if !state.isDecided { state.continuation = continuation }
      return state.outcome.take()
    }
    if let outcome { continuation.resume(with: outcome) }
  }

  /// The body has ended.
  func finish(_ outcome: Result<Value, any Error>) {
    let (continuation, wasAbandoned) = state.withLock { state in
      state.hasEnded = true
      state.work = nil
      return (state.isDecided ? nil : state.decide(outcome), state.isAbandoned)
    }
    continuation?.resume(with: outcome)
    if wasAbandoned { TimeoutStatistics.shared.recordAbandonedEnd() }
  }

  /// The limit has passed.
  override func fire() {
    abandon(throwing: timeoutError())
  }

  func abandon(throwing error: any Error) {
    let (continuation, work) = state.withLock {
      state -> (CheckedContinuation<Value, any Error>?, Task<Void, Never>?) in
      guard !state.isDecided else { return (nil, nil) }
      state.isAbandoned = true
      // Counted under the lock, so that the end of the work is never counted before its abandonment.
      TimeoutStatistics.shared.recordAbandoned()
      return (state.decide(.failure(error)), state.work)
    }
    // Of an open call the work is running: `begin` came before whoever may abandon, and its end decides.
    guard let work else { return }
    if error is TimeoutError { TimeoutStatistics.shared.recordExpiry() }
    continuation?.resume(throwing: error)
    CancellationQueues.run { work.cancel() }
  }
}
