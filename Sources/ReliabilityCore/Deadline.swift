/// The instant by which the work in progress must be done.
///
/// `withTimeout` sets ``current`` for its body; nested limits take the minimum. Whatever is about to wait asks first
/// whether the wait can end in time, and fails at once with the last real error when it cannot.
///
///     if let deadline = Deadline.current, !deadline.allows(.seconds(5), from: clock.now) {
///       throw lastError
///     }
public struct Deadline: Hashable, Sendable, Comparable {
  /// When the time is up.
  public let instant: ContinuousClock.Instant

  /// Makes a deadline at an instant.
  public init(_ instant: ContinuousClock.Instant) {
    self.instant = instant
  }

  /// The deadline of the current task, or `nil` when nothing limits it.
  ///
  /// A task-local value: child tasks and every `Task { }` inherit it, also one that outlives the limit, for which the deadline
  /// has then passed. Detached tasks do not.
  public static var current: Deadline? { scope.map { Deadline($0.instant) } }

  /// The scope that sets the deadline.
  ///
  /// A reference, because a task-local value of one word costs half of a larger one.
  @TaskLocal package static var scope: DeadlineScope?

  /// The instant, or that of the current deadline when it comes earlier; both as time since the origin.
  package static func earliest(_ end: Duration) -> Duration {
    guard let scope, scope.end < end else { return end }
    return scope.end
  }

  /// The end of a limit, or that of the current deadline when it comes earlier; all as time since the origin.
  ///
  /// - Parameters:
  ///   - end: When the limit would pass.
  ///   - start: When it begins.
  ///   - fileID: Where the limit is set, for the ``CompositionMonitor``.
  ///   - line: Where the limit is set.
  package static func earliest(
    _ end: Duration, from start: Duration, _ fileID: String, _ line: UInt
  ) -> Duration {
    guard let scope, scope.end < end else { return end }
    if CompositionMonitor.isObserved { scope.compare(with: end - start, fileID, line) }
    return scope.end
  }

  /// Whether this deadline comes before the other.
  public static func < (lhs: Deadline, rhs: Deadline) -> Bool { lhs.instant < rhs.instant }

  /// How much time is left, zero at least.
  ///
  /// - Parameter now: The present instant of the clock in use.
  public func remaining(at now: ContinuousClock.Instant) -> Duration {
    instant > now ? now.duration(to: instant) : .zero
  }

  /// Whether a wait that begins now ends before this deadline.
  ///
  /// - Parameters:
  ///   - wait: How long the wait would take.
  ///   - now: The present instant of the clock in use.
  public func allows(_ wait: Duration, from now: ContinuousClock.Instant) -> Bool {
    now.saturatingAdvanced(by: wait) < instant
  }
}

/// A stretch of work under a deadline: the alarm that ends it, and the instant.
///
/// For modules that bound work as `withTimeout` does; nobody else needs it.
open class DeadlineScope: Alarm, @unchecked Sendable {
  /// When the work began, as time since the origin of instants.
  package final let start: Duration

  /// When its time is up, as time since the origin of instants.
  package final let end: Duration

  /// The limit that was asked for, which an outer one may have cut short; five hundred years when nobody knows.
  package final let limit: Duration

  /// When the time is up.
  public final var instant: ContinuousClock.Instant { .init(sinceOrigin: end) }

  /// Makes a scope that ends at an instant.
  public convenience init(until instant: ContinuousClock.Instant) {
    self.init(start: .zero, end: instant.sinceOrigin, limit: .farAway)
  }

  package init(start: Duration, end: Duration, limit: Duration) {
    (self.start, self.end, self.limit) = (start, end, limit)
    super.init()
  }

  /// Tells the monitor when a limit inside this one is longer than the whole of it.
  @inline(never) fileprivate func compare(with inner: Duration, _ fileID: String, _ line: UInt) {
    guard inner > limit else { return }
    CompositionMonitor.shared.tell(
      CompositionEvent(.limitLongerThanOuter, at: fileID, line, inner: inner, outer: limit))
  }
}
