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

  /// The instant, or that of the current deadline when it comes earlier.
  package static func earliest(_ instant: ContinuousClock.Instant) -> ContinuousClock.Instant {
    scope.map { min($0.instant, instant) } ?? instant
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
open class DeadlineScope: Alarm, @unchecked Sendable {
  /// When the time is up.
  public final let instant: ContinuousClock.Instant

  /// Makes a scope that ends at an instant.
  public init(until instant: ContinuousClock.Instant) {
    self.instant = instant
  }
}
