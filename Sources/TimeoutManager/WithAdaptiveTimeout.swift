public import ReliabilityCore

/// Runs work under limits that follow its progress: when one passes, the work is cancelled and its end awaited.
///
///     let file = try await withAdaptiveTimeout(.downloads, kind: "video") { progress in
///       try await download(url) { received, expected in
///         progress.report(bytes: received, of: expected)
///       }
///     }
///
/// The same as ``withTimeout(_:kind:clock:isolation:fileID:line:_:)`` in all but the limit: the body runs on the caller's isolation, may
/// capture what is not `Sendable`, and may return it; a value that it returns is never thrown away; its own error is rethrown
/// unchanged when no limit had passed, and is the cause of the ``TimeoutError`` when one had; the caller's cancellation stays one.
///
/// ``TimeoutError/kind`` says which limit it was: `network` (no first progress), `stall` (no further progress, or heartbeats that
/// stopped), `total` (the moving limit or the maximum). ``TimeoutError/limit`` is how long that limit was, and ``TimeoutError/decision`` what it
/// was computed from.
///
/// `Deadline.current` inside is the maximum, or an outer deadline that comes before it: the other limits move, and what waits inside must
/// not give up for a limit that progress will move.
///
/// - Parameters:
///   - timeout: The limits.
///   - kind: The kind of work, a word from a small set; with ``AdaptiveTimeout/learned``, what is known about it replaces the base, and
///     how long this took is learned.
///   - attempt: Which attempt at the same work this is, from 1. What a repeated attempt took is not learned (Karn's rule).
///   - clock: The source of time.
///   - isolation: The caller's isolation; leave the default.
///   - fileID: Where this is called, for `CompositionMonitor`; leave the default.
///   - line: Where this is called; leave the default.
///   - body: The work; it reports its progress to the monitor that it is given.
/// - Returns: What the body returns.
/// - Throws: What the body throws, or ``TimeoutError``.
@inlinable public func withAdaptiveTimeout<Value>(
  _ timeout: AdaptiveTimeout,
  kind: String? = nil,
  attempt: Int = 1,
  clock: any TimeSource = ContinuousClock(),
  isolation: isolated (any Actor)? = #isolation,
  fileID: String = #fileID, line: UInt = #line,
  _ body: (ProgressMonitor) async throws -> Value
) async throws -> Value {
  let operation = try AdaptiveOperation.scheduled(timeout, kind, clock, fileID, line)
  do {
    let value = try await run(operation, .total, clock, isolation: isolation) {
      try await body(operation.monitor)
    }
    operation.finish(succeeded: true, attempt: attempt)
    return value
  } catch {
    operation.finish(succeeded: false, attempt: attempt)
    throw error
  }
}

/// One call of `withAdaptiveTimeout`: as an alarm the maximum; the limits before it are the monitor's.
@usableFromInline final class AdaptiveOperation: TimeoutOperation, @unchecked Sendable {
  @usableFromInline let monitor: ProgressMonitor

  private init(_ monitor: ProgressMonitor, start: Duration, end: Duration, limit: Duration) {
    self.monitor = monitor
    super.init(start: start, end: end, limit: limit)
  }

  /// An adaptive operation has more to it than a beginning and an end.
  override package init(start: Duration, end: Duration, limit: Duration) {
    preconditionFailure("an adaptive operation is made with its monitor")
  }

  /// Makes an operation and schedules its limits.
  ///
  /// - Throws: ``TimeoutError`` when no time is left, `CancellationError` when the caller is cancelled besides.
  @usableFromInline
  static func scheduled(
    _ timeout: AdaptiveTimeout, _ kind: String?, _ clock: any TimeSource, _ fileID: String,
    _ line: UInt
  ) throws -> AdaptiveOperation {
    requireValid(timeout.validate)
    let start = clock.now.sinceOrigin
    let limit = min(timeout.maximum, .farAway)
    let end = try end(from: start, until: start + limit, .total, fileID, line)
    let monitor = ProgressMonitor(
      timeout, kind, NanosecondClock(clock), start: start.nanoseconds, longest: end - start)
    let operation = AdaptiveOperation(monitor, start: start, end: end, limit: limit)
    clock.schedule(operation, at: operation.instant)
    monitor.attach(operation)
    return operation
  }

  override var passed: (TimeoutError.Kind, Duration)? {
    let (passed, machine) = monitor.state.withLock { ($0.passed, $0.machine) }
    return passed.map { ($0.kind, $0.duration(in: machine)) }
  }

  override var decision: TimeoutDecision? { monitor.decision }

  /// The body has ended and its outcome is known.
  @usableFromInline
  func finish(succeeded: Bool, attempt: Int) {
    let passed = monitor.finish()
    guard let kind = monitor.kind, let learned = monitor.timeout.learned else { return }
    let elapsed = monitor.clock.source.now.sinceOrigin - start
    if hasExpired {
      // Of a stall, or of an outer deadline, the kind of work knows nothing.
      let isOwn = passed == .total || (passed == nil && end - start >= limit)
      if isOwn { learned.recordTimeout(for: kind) }
    } else if succeeded, attempt <= 1 {
      learned.record(elapsed, for: kind)
    }
  }
}
