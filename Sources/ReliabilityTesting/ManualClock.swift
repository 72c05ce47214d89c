/// A clock that stands still until a test moves it.
///
/// Give it to anything of this package in place of the real clock. Nothing sleeps, nothing yields, nothing depends on
/// how busy the machine is: the test waits for the code to schedule its next wake-up, then moves time there.
///
///     let clock = ManualClock()
///     async let done: Void = clock.wait(for: .seconds(60))
///     await clock.nextScheduled()
///     clock.advance(by: .seconds(60))
///     try await done
public final class ManualClock: TimeSource {
  /// The instants of every time source of this package.
  public typealias Instant = ContinuousClock.Instant
  /// The durations of every time source of this package.
  public typealias Duration = Swift.Duration

  private struct Entry {
    var instant: Instant
    var alarm: Alarm
  }

  private struct State {
    var now: Instant
    /// Sorted by instant; of equal instants the one scheduled first comes first.
    var entries: [Entry] = []
    var watchers: [Watcher] = []
  }

  private let state: Lock<State>

  /// Makes a clock that stands at an instant.
  ///
  /// - Parameter start: Where it stands; by default the present of the real clock.
  public init(now start: Instant = ContinuousClock.now) {
    state = Lock(State(now: start))
  }

  /// Where the clock stands.
  public var now: Instant { state.withLock { $0.now } }

  /// The clock is exact.
  public var minimumResolution: Duration { .nanoseconds(1) }

  /// How many alarms wait.
  public var scheduledCount: Int { state.withLock { $0.entries.count } }

  /// Adds an alarm.
  ///
  /// One that is due already goes off at the next ``advance(by:)``, also by zero.
  public func schedule(_ alarm: Alarm, at instant: Instant) {
    let watchers = state.withLock { state in
      // As on the real clock, where a second time would tear the lists.
      precondition(alarm.link.state == .idle, "an alarm is scheduled once in its life")
      alarm.link.state = .waiting
      let index = state.entries.firstIndex { $0.instant > instant } ?? state.entries.endIndex
      state.entries.insert(Entry(instant: instant, alarm: alarm), at: index)
      defer { state.watchers = [] }
      return state.watchers
    }
    for watcher in watchers { watcher.fire() }
  }

  /// Takes an alarm back.
  @discardableResult public func cancel(_ alarm: Alarm) -> Bool {
    // The reference leaves the lock with the closure's result: releasing it may run a `deinit`.
    let removed = state.withLock { state in
      state.entries.firstIndex { $0.alarm === alarm }.map { index in
        alarm.link.state = .done
        return state.entries.remove(at: index)
      }
    }
    return removed != nil
  }

  /// Suspends until the instant, as `TimeSource.wait(until:)` does; the tolerance is ignored.
  public func sleep(until deadline: Instant, tolerance: Duration?) async throws {
    try await wait(until: deadline)
  }

  /// Moves time forward and fires, on this thread and in order, every alarm that comes due, also those that are
  /// scheduled meanwhile.
  ///
  /// Each alarm sees the clock at its own instant. What it wakes up runs concurrently with the caller.
  ///
  /// - Parameter duration: How far; negative counts as zero.
  public func advance(by duration: Duration) {
    advance(to: now.advanced(by: max(.zero, duration)))
  }

  /// Moves time forward to an instant; see ``advance(by:)``.
  ///
  /// An earlier instant fires what is due and moves nothing.
  public func advance(to instant: Instant) {
    while true {
      let due: Alarm? = state.withLock { state in
        guard let first = state.entries.first, first.instant <= max(instant, state.now) else {
          state.now = max(state.now, instant)
          return nil
        }
        state.now = max(state.now, first.instant)
        first.alarm.link.state = .done
        return state.entries.removeFirst().alarm
      }
      guard let due else { return }
      due.fire()
    }
  }

  /// Suspends until at least one alarm waits.
  ///
  /// This is how a test knows that the code under test has gone to sleep. Cancelling the calling task ends the wait.
  ///
  /// - Returns: The instant of the earliest alarm, or the present one when the task was cancelled.
  @discardableResult public nonisolated(nonsending) func nextScheduled() async -> Instant {
    await scheduled(atLeast: 1)
    return state.withLock { $0.entries.first?.instant ?? $0.now }
  }

  /// Suspends until at least so many alarms wait, or the task is cancelled.
  ///
  /// - Parameter count: How many.
  public nonisolated(nonsending) func scheduled(atLeast count: Int) async {
    while !Task.isCancelled {
      let watcher = Watcher()
      let enough = state.withLock { state in
        if state.entries.count >= count { return true }
        state.watchers.append(watcher)
        return false
      }
      if enough { return }
      await watcher.wait()
    }
  }

  /// Waits for the next alarm and moves time to it.
  public nonisolated(nonsending) func advanceToNext() async {
    advance(to: await nextScheduled())
  }
}

/// One task that waits for the list of alarms to change.
private final class Watcher: Sendable {
  private enum State {
    case initial
    case waiting(CheckedContinuation<Void, Never>)
    case finished
  }

  private let state = Lock(State.initial)

  func wait() async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let resumeNow = state.withLock { state in
          if case .finished = state { return true }
          state = .waiting(continuation)
          return false
        }
        if resumeNow { continuation.resume() }
      }
    } onCancel: {
      fire()
    }
  }

  func fire() {
    let before = state.withLock { state in
      let before = state
      state = .finished
      return before
    }
    if case .waiting(let continuation) = before { continuation.resume() }
  }
}
