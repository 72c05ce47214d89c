/// The one kind of time in this package: a clock whose instants are `ContinuousClock`'s and that can call back.
///
/// Whatever waits (a timeout, a backoff, an idle timer) schedules an ``Alarm`` on a time source, so that a test can
/// put a manual clock in its place and move time by hand. `ContinuousClock` conforms and is the default everywhere.
///
///     let clock: any TimeSource = ContinuousClock()
///     let start = clock.now
///     try await clock.wait(for: .milliseconds(10))
///     print(clock.now - start >= .milliseconds(10))  // true
public protocol TimeSource: Clock, Sendable
where Instant == ContinuousClock.Instant, Duration == Swift.Duration {
  /// Arranges for the alarm to go off once, at the instant or soon after, never before.
  ///
  /// An instant in the past is allowed and means as soon as possible, but never before this call returns.
  /// An alarm is scheduled at most once in its life.
  func schedule(_ alarm: Alarm, at instant: Instant)

  /// Takes a scheduled alarm back.
  ///
  /// - Returns: `true` when the alarm was waiting and now never goes off; `false` when it went off, is going off
  ///   on another thread, or was taken back before.
  @discardableResult func cancel(_ alarm: Alarm) -> Bool
}

extension TimeSource {
  /// Suspends until the instant has come.
  ///
  /// Unlike `Task.sleep`, a cancelled wait keeps no memory until its original end, and no value traps.
  ///
  /// - Parameter instant: When to go on. An instant in the past returns at once, unless the task is cancelled.
  /// - Throws: `CancellationError` as soon as the task is cancelled, also when it already is.
  public nonisolated(nonsending) func wait(until instant: Instant) async throws(CancellationError) {
    if Task.isCancelled { throw CancellationError() }
    if instant <= now { return }
    let alarm = WakeUpAlarm()
    await withTaskCancellationHandler {
      unsafe await withUnsafeContinuation { continuation in
        guard unsafe alarm.wait(with: continuation) else { return }
        schedule(alarm, at: instant)
        // Cancelled between the two lines above: the handler found nothing to take back.
        if alarm.isFinished { cancel(alarm) }
      }
    } onCancel: {
      cancel(alarm)
      alarm.fire()
    }
    if Task.isCancelled { throw CancellationError() }
  }

  /// Suspends for a duration.
  ///
  /// - Parameter duration: How long. Zero and negative return at once; anything above five hundred years waits
  ///   five hundred years.
  /// - Throws: `CancellationError` as soon as the task is cancelled, also when it already is.
  public nonisolated(nonsending) func wait(
    for duration: Duration
  ) async throws(CancellationError) {
    try await wait(until: now.saturatingAdvanced(by: duration))
  }
}
