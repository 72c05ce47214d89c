public import ReliabilityCore
internal import Synchronization

/// One call of `withTimeout`: the alarm in the scheduler, and the one place where the limit, the caller's cancellation and
/// the end of the body meet.
///
/// | state | event | next state | action |
/// |---|---|---|---|
/// | starting | begin | running | |
/// | starting | limit, cancel | expired, cancelled | |
/// | expired, cancelled before begin | begin | the same | cancel the child |
/// | running | limit, cancel | expired, cancelled | cancel the child |
/// | running, expired, cancelled | end | ended, the verdict stands | |
/// | expired, cancelled, ended | limit, cancel | the same | |
@usableFromInline class TimeoutOperation: DeadlineScope, @unchecked Sendable {
  private struct Flags: OptionSet {
    let rawValue: UInt8
    static let begun = Flags(rawValue: 1)
    static let expired = Flags(rawValue: 2)
    static let cancelled = Flags(rawValue: 4)
    static let ended = Flags(rawValue: 8)
    static let settled: Flags = [.expired, .cancelled, .ended]
  }

  private let flags = Atomic<UInt8>(0)

  // Written by the child before it sets `begun`, and taken out once, by whoever must cancel it: the verdict that settled after
  // `begun`, or the child when one settled before, or the caller when the body ended first. Tasks that the body started may
  // keep this object for as long as they run, as their deadline; without that they would keep the body's result alive.
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

  /// Makes the deadline current for the tasks that the body starts.
  @usableFromInline
  final func withDeadline(_ body: () -> Void) {
    Deadline.$scope.withValue(self, operation: body)
  }

  /// Called by the child before the body.
  @usableFromInline
  final func begin() {
    // Both are one reference to the task object; the standard library gives no other way to a task's own handle, and the
    // one that `Task.immediate` returns comes too late for a body that does not suspend.
    child = unsafe withUnsafeCurrentTask { unsafe unsafeBitCast($0!, to: Task<Never, Never>.self) }
    let before = insert(.begun)
    if !before.isDisjoint(with: .settled) { takeChild()?.cancel() }
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
    let flags = Flags(rawValue: flags.load(ordering: .acquiring))
    if flags.isDisjoint(with: [.expired, .cancelled]) { child = nil }
    if flags.contains(.expired) {
      TimeoutStatistics.shared.recordEnd(
        after: clock.now.sinceOrigin - end, returned: failure == nil)
    }
  }

  /// What the caller throws, when the body threw.
  @usableFromInline
  final func error(_ kind: TimeoutError.Kind, _ clock: any TimeSource) -> any Error {
    defer { failure = nil }
    guard let failure else { return CancellationError() }
    guard Flags(rawValue: flags.load(ordering: .acquiring)).contains(.expired) else {
      return failure
    }
    TimeoutStatistics.shared.recordExpiry()
    let (kind, limit) = passed ?? (kind, end - start)
    return TimeoutError(
      kind: kind, limit: limit, elapsed: clock.now.sinceOrigin - start,
      cause: failure is CancellationError ? nil : failure)
  }

  /// Which limit has passed and how long it was, where it may be another one than the whole.
  var passed: (TimeoutError.Kind, Duration)? { nil }

  /// Whether a limit passed before the body ended and before the caller was cancelled.
  final var hasExpired: Bool {
    Flags(rawValue: flags.load(ordering: .acquiring)).contains(.expired)
  }

  /// The caller was cancelled.
  @usableFromInline
  final func cancel() {
    if settle(.cancelled) { takeChild()?.cancel() }
  }

  /// The limit has passed.
  @usableFromInline final override func fire() {
    guard settle(.expired), let child = takeChild() else { return }
    CancellationQueues.run { child.cancel() }
  }

  /// Writes down the first verdict.
  ///
  /// - Returns: Whether this verdict has to cancel the child.
  private func settle(_ verdict: Flags) -> Bool {
    var before = flags.load(ordering: .acquiring)
    while Flags(rawValue: before).isDisjoint(with: .settled) {
      let (exchanged, original) = flags.weakCompareExchange(
        expected: before, desired: before | verdict.rawValue, ordering: .acquiringAndReleasing)
      if exchanged { return Flags(rawValue: before).contains(.begun) }
      before = original
    }
    return false
  }

  private func takeChild() -> Task<Never, Never>? {
    defer { child = nil }
    return child
  }

  private func insert(_ flag: Flags) -> Flags {
    Flags(rawValue: flags.bitwiseOr(flag.rawValue, ordering: .acquiringAndReleasing).oldValue)
  }
}
