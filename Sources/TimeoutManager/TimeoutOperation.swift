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
@usableFromInline final class TimeoutOperation: DeadlineScope, @unchecked Sendable {
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
  @safe @exclusivity(unchecked) private var child: Child?

  /// What the body threw.
  ///
  /// Written by the child before it sets `ended`, taken out by the caller.
  @safe @exclusivity(unchecked) private var failure: (any Error)?

  /// The child task.
  ///
  /// The value holds the task object alive (the standard library retains it), so that a child that
  /// ends meanwhile is cancelled to no effect, as through a `Task`.
  @safe private struct Child: @unchecked Sendable {
    let task: UnsafeCurrentTask
    func cancel() { unsafe task.cancel() }
  }

  private let kind: TimeoutError.Kind
  private let clock: any TimeSource
  private let start: ContinuousClock.Instant

  /// Schedules the end.
  ///
  /// - Throws: ``TimeoutError`` when no time is left, `CancellationError` when the caller is cancelled besides.
  @usableFromInline
  convenience init(
    limit: Duration, kind: TimeoutError.Kind, clock: any TimeSource
  ) throws {
    let start = clock.now
    try self.init(
      from: start, until: start.saturatingAdvanced(by: limit), kind: kind, clock: clock)
  }

  @usableFromInline
  convenience init(
    until deadline: Deadline, kind: TimeoutError.Kind, clock: any TimeSource
  ) throws {
    try self.init(from: clock.now, until: deadline.instant, kind: kind, clock: clock)
  }

  private init(
    from start: ContinuousClock.Instant, until wanted: ContinuousClock.Instant,
    kind: TimeoutError.Kind, clock: any TimeSource
  ) throws {
    (self.start, self.kind, self.clock) = (start, kind, clock)
    let end = Deadline.earliest(wanted)
    super.init(until: end)
    guard end > start else {
      // The caller's cancellation came first, or an outer limit did, which then reports itself.
      try Task.checkCancellation()
      TimeoutStatistics.shared.recordExpiry()
      throw TimeoutError(kind: kind, limit: .zero, elapsed: .zero)
    }
    clock.schedule(self, at: end)
  }

  /// Makes the deadline current for the tasks that the body starts.
  @usableFromInline
  func withDeadline(_ body: () -> Void) {
    Deadline.$scope.withValue(self, operation: body)
  }

  /// Called by the child before the body.
  @usableFromInline
  func begin() {
    child = unsafe withUnsafeCurrentTask { unsafe Child(task: $0!) }
    let before = insert(.begun)
    if !before.isDisjoint(with: .settled) { takeChild()?.cancel() }
  }

  /// Called by the child after the body.
  @usableFromInline
  func end(_ failure: (any Error)? = nil) {
    self.failure = failure
    _ = insert(.ended)
  }

  /// Called by the caller after the child has ended.
  @usableFromInline
  func takeBack() {
    clock.cancel(self)
    let flags = Flags(rawValue: flags.load(ordering: .acquiring))
    if flags.isDisjoint(with: [.expired, .cancelled]) { child = nil }
  }

  /// What the caller throws, when the body threw.
  @usableFromInline
  func error() -> any Error {
    defer { failure = nil }
    guard let failure else { return CancellationError() }
    guard Flags(rawValue: flags.load(ordering: .acquiring)).contains(.expired) else {
      return failure
    }
    TimeoutStatistics.shared.recordExpiry()
    return TimeoutError(
      kind: kind, limit: start.duration(to: instant), elapsed: start.duration(to: clock.now),
      cause: failure is CancellationError ? nil : failure)
  }

  /// The caller was cancelled.
  @usableFromInline
  func cancel() {
    if settle(.cancelled) { takeChild()?.cancel() }
  }

  /// The limit has passed.
  @usableFromInline override func fire() {
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

  private func takeChild() -> Child? {
    defer { child = nil }
    return child
  }

  private func insert(_ flag: Flags) -> Flags {
    Flags(rawValue: flags.bitwiseOr(flag.rawValue, ordering: .acquiringAndReleasing).oldValue)
  }
}
