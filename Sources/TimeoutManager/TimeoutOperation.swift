public import ReliabilityCore
internal import Synchronization

/// One call of `withTimeout`: the alarm in the scheduler, and the one place where the limit and the end of the body meet.
///
/// | state | event | next state | action |
/// |---|---|---|---|
/// | starting | begin | running | |
/// | starting | limit | expired | |
/// | expired | begin | expired | cancel the child |
/// | running | limit | expired | cancel the child |
/// | running, expired | end | ended, the verdict stands | |
/// | expired, ended | limit | the same | |
///
/// The caller's cancellation reaches the child by itself. All that has to be known of it is whether it came before the limit:
/// then the child is cancelled already when the limit cancels it, and the outcome is a cancellation.
@usableFromInline class TimeoutOperation: DeadlineScope, @unchecked Sendable {
  private struct Flags: OptionSet {
    let rawValue: UInt8
    static let begun = Flags(rawValue: 1)
    static let expired = Flags(rawValue: 2)
    static let ended = Flags(rawValue: 4)
    /// Of an expired one: somebody has looked whether a cancellation came first.
    static let judged = Flags(rawValue: 8)
    /// A cancellation came before the limit.
    static let cancelledFirst = Flags(rawValue: 16)
    static let settled: Flags = [.expired, .ended]
  }

  private let flags = Atomic<UInt8>(0)

  // Written by the child before it sets `begun`, and taken out once: by the limit that passed after `begun`, by the child when it
  // passed before, or by the caller when the body ended first. Tasks that the body started may keep this object for as
  // long as they run, as their deadline; without that they would keep the child alive.
  @safe @exclusivity(unchecked) private var child: Task<Never, Never>?

  /// What the body threw.
  ///
  /// Written by the child before it sets `ended`, taken out by the caller.
  @safe @exclusivity(unchecked) private var failure: (any Error)?

  /// Makes an operation and schedules its end.
  ///
  /// - Throws: ``TimeoutError`` when no time is left, `CancellationError` when the caller is cancelled besides.
  @usableFromInline
  static func scheduled(
    limit: Duration, _ kind: TimeoutError.Kind, _ clock: any TimeSource, _ fileID: String,
    _ line: UInt
  ) throws -> TimeoutOperation {
    let start = clock.now.sinceOrigin
    return try scheduled(
      from: start, until: start + max(.zero, min(limit, .farAway)), kind, clock, fileID, line)
  }

  @usableFromInline
  static func scheduled(
    until deadline: Deadline, _ kind: TimeoutError.Kind, _ clock: any TimeSource,
    _ fileID: String, _ line: UInt
  ) throws -> TimeoutOperation {
    try scheduled(
      from: clock.now.sinceOrigin, until: deadline.instant.sinceOrigin, kind, clock, fileID, line)
  }

  private static func scheduled(
    from start: Duration, until wanted: Duration, _ kind: TimeoutError.Kind,
    _ clock: any TimeSource, _ fileID: String, _ line: UInt
  ) throws -> TimeoutOperation {
    let end = try end(from: start, until: wanted, kind, fileID, line)
    let operation = TimeoutOperation(start: start, end: end, limit: wanted - start)
    clock.schedule(operation, at: operation.instant)
    return operation
  }

  /// When the limit really passes, outer ones considered.
  ///
  /// - Throws: As ``scheduled(limit:_:_:_:_:)``.
  static func end(
    from start: Duration, until wanted: Duration, _ kind: TimeoutError.Kind, _ fileID: String,
    _ line: UInt
  ) throws -> Duration {
    let end = Deadline.earliest(wanted, from: start, fileID, line)
    guard end > start else {
      // The caller's cancellation came first, or an outer limit did, which then reports itself.
      try Task.checkCancellation()
      TimeoutStatistics.shared.recordExpiry()
      throw TimeoutError(kind: kind, limit: .zero, elapsed: .zero)
    }
    return end
  }

  /// The current deadline, which the operation becomes for its body and the tasks that it starts.
  @usableFromInline static var current: TaskLocal<DeadlineScope?> { Deadline.$scope }

  /// Called by the child before the body.
  @usableFromInline
  final func begin() {
    // Both are one reference to the task object; the standard library gives no other way to a task's own handle.
    child = unsafe withUnsafeCurrentTask { unsafe unsafeBitCast($0!, to: Task<Never, Never>.self) }
    if insert(.begun).contains(.expired), let child = takeChild() {
      judge(child)
      child.cancel()
    }
  }

  /// Called by the child after the body.
  @usableFromInline
  final func end(_ failure: (any Error)? = nil) {
    self.failure = failure
    _ = insert(.ended)
  }

  /// Called by the caller after the child has ended.
  @usableFromInline
  final func takeBack(from clock: any TimeSource) {
    clock.cancel(self)
    if state.contains(.expired) {
      TimeoutStatistics.shared.recordEnd(
        after: clock.now.sinceOrigin - end, returned: failure == nil)
    } else {
      child = nil
    }
  }

  /// What the caller throws, when the body threw.
  @usableFromInline
  final func error(_ kind: TimeoutError.Kind, _ clock: any TimeSource) -> any Error {
    defer { failure = nil }
    guard let failure else { return CancellationError() }
    guard hasExpired else { return failure }
    TimeoutStatistics.shared.recordExpiry()
    let (kind, limit) = passed ?? (kind, end - start)
    return TimeoutError(
      kind: kind, limit: limit, elapsed: clock.now.sinceOrigin - start,
      cause: failure is CancellationError ? nil : failure, decision: decision)
  }

  /// What the limit was computed from, where it moves.
  var decision: TimeoutDecision? { nil }

  /// Which limit has passed and how long it was, where it may be another one than the whole.
  var passed: (TimeoutError.Kind, Duration)? { nil }

  /// Whether a limit passed before the body ended and before the caller was cancelled.
  ///
  /// Asked on the caller's task, after the child has ended.
  final var hasExpired: Bool {
    let flags = state
    guard flags.contains(.expired) else { return false }
    // Not yet judged: the limit passes while the body ends.
    return flags.contains(.judged) ? !flags.contains(.cancelledFirst) : !Task.isCancelled
  }

  /// The limit has passed.
  @usableFromInline final override func fire() {
    guard expire(), let child = takeChild() else { return }
    judge(child)
    CancellationQueues.run { child.cancel() }
  }

  /// Writes down that the limit passed, unless the body ended first.
  ///
  /// - Returns: Whether the child has to be cancelled.
  private func expire() -> Bool {
    var before = flags.load(ordering: .acquiring)
    while Flags(rawValue: before).isDisjoint(with: .settled) {
      let (exchanged, original) = flags.weakCompareExchange(
        expected: before, desired: before | Flags.expired.rawValue,
        ordering: .acquiringAndReleasing)
      if exchanged { return Flags(rawValue: before).contains(.begun) }
      before = original
    }
    return false
  }

  /// Writes down whether a cancellation came before the limit.
  private func judge(_ child: Task<Never, Never>) {
    _ = insert(child.isCancelled ? [.judged, .cancelledFirst] : .judged)
  }

  private func takeChild() -> Task<Never, Never>? {
    defer { child = nil }
    return child
  }

  private var state: Flags { Flags(rawValue: flags.load(ordering: .acquiring)) }

  private func insert(_ flag: Flags) -> Flags {
    Flags(rawValue: flags.bitwiseOr(flag.rawValue, ordering: .acquiringAndReleasing).oldValue)
  }
}
