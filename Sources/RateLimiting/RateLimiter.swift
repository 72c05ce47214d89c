public import ReliabilityCore

/// Lets things happen at most so often, and makes the others wait in line or tells them when to come back.
///
///     let limiter = RateLimiter(RateLimit(60, per: .seconds(60), burst: 10), name: "search")
///     try await limiter.acquire()          // waits for its turn
///     let hits = try await search(query)
///
///     let decision = limiter.tryAcquire()  // does not wait
///     if !decision.isAllowed { print("come back in", decision.retryAfter ?? .zero) }
///
/// With several limits (so many a second and so many an hour) a request passes when all of them let it, and then counts
/// against all. Nothing runs in the background: permits are computed from the time when someone asks.
///
/// - Order: Those who wait are served first come, first served, and nobody passes them, small or large.
/// - Cancellation: One who leaves the line has taken nothing; those behind move up.
/// - Deadlines: ``acquire(_:timeout:)`` knows how long the line is, so a wait that can't end before `Deadline.current` or the
///   timeout is refused at once, with the time after which it would have been served.
///
/// Source: the generic cell rate algorithm (ITU-T I.371), which is a token bucket kept as one instant.
public final class RateLimiter: MetricsSource {
  /// The name in errors and figures.
  public let name: String

  private let clock: NanosecondClock
  private let shell: Lock<RateLimiterShell>

  /// Makes a limiter whose permits are all there.
  ///
  /// Limits out of range are a programmer's error and trap; `RateLimit.validate()` tells.
  ///
  /// - Parameters:
  ///   - limits: One limit or more; all must let a request pass.
  ///   - name: What is limited, for errors and figures; one of a small set of words.
  ///   - maximumWaiters: How many may wait, 0 or more; further ones are refused at once.
  ///   - clock: The time.
  public init(
    _ limits: RateLimit..., name: String = "default", maximumWaiters: Int = 10_000,
    clock: any TimeSource = ContinuousClock()
  ) {
    requireValid { () throws(ConfigurationError) in try Self.validate(limits, maximumWaiters) }
    self.name = name
    self.clock = NanosecondClock(clock)
    let now = self.clock.ticks
    shell = Lock(
      RateLimiterShell(
        RateLimiterStateMachine(
          RateRules(limits), full: Array(repeating: now, count: limits.count),
          maximumWaiters: maximumWaiters)))
  }

  /// Makes the limiter of one key, for as long as someone waits in its line.
  init(
    _ rules: RateRules, full: [Int64], name: String, maximumWaiters: Int,
    clock: any TimeSource
  ) {
    self.name = name
    self.clock = NanosecondClock(clock)
    shell = Lock(
      RateLimiterShell(
        RateLimiterStateMachine(rules, full: full, maximumWaiters: maximumWaiters)))
  }

  static func validate(
    _ limits: [RateLimit], _ maximumWaiters: Int
  ) throws(ConfigurationError) {
    try check(!limits.isEmpty, "limits", "must not be empty")
    for limit in limits { try limit.validate() }
    try check(maximumWaiters >= 0, "maximumWaiters", "must not be negative")
  }

  /// Takes permits if they are there now.
  ///
  /// While others wait in line it takes none, even if they are there.
  ///
  /// - Parameter permits: How many, 0 or more; a negative number traps. Nothing is always allowed.
  /// - Returns: Whether they were taken, how many are left, and when to ask again.
  public func tryAcquire(_ permits: Int = 1) -> RateLimitDecision {
    precondition(permits >= 0, "permits must not be negative")
    let now = clock.ticks
    return shell.withLock { shell in
      let decision = shell.machine.tryAcquire(permits, now: now)
      if decision.isAllowed { shell.allowed += 1 } else { shell.limited += 1 }
      return decision
    }
  }

  /// Waits in line for permits.
  ///
  /// - Parameters:
  ///   - permits: How many, 0 or more; a negative number traps.
  ///   - timeout: The longest wait; `Deadline.current` alone bounds it unless given.
  /// - Throws: `RateLimitedError` at once, without waiting, when the wait could not end in time, when the line is full, or when
  ///   so many permits are never there at once; `CancellationError` when the task is cancelled before its turn, having taken
  ///   nothing.
  public nonisolated(nonsending) func acquire(
    _ permits: Int = 1, timeout: Duration? = nil
  ) async throws {
    precondition(permits >= 0, "permits must not be negative")
    if Task.isCancelled { throw CancellationError() }
    let now = clock.ticks
    let end = RateTicks.end(now, timeout)
    if let place = try join(permits, deadline: end, now: now) { try await place.wait() }
  }

  /// Gives back permits that were taken for something that did not happen after all.
  ///
  /// - Parameter permits: How many, 0 or more. More than were taken makes the limiter full, never fuller.
  public func giveBack(_ permits: Int = 1) {
    precondition(permits >= 0, "permits must not be negative")
    let now = clock.ticks
    shell.withLock { $0.machine.giveBack(permits, now: now) }
    reschedule()
  }

  /// How many wait in line.
  public var waiting: Int { shell.withLock { $0.machine.waiting } }

  /// Decisions by result, and the length of the line.
  public func samples() -> [MetricSample] {
    let (allowed, limited, waiting) = shell.withLock { shell in
      (shell.allowed, shell.limited, shell.machine.waiting)
    }
    func decisions(_ result: String, _ count: Int) -> MetricSample {
      MetricSample(
        name: "ratelimit_decisions_total", kind: .counter,
        labels: [("limiter", name), ("result", result)], value: Double(count),
        help: "Requests for permits by what became of them")
    }
    return [
      decisions("allowed", allowed), decisions("limited", limited),
      MetricSample(
        name: "ratelimit_waiting", kind: .gauge, labels: [("limiter", name)],
        value: Double(waiting), help: "Requests that wait in line"),
    ]
  }
}

extension RateLimiter {
  /// A place in the line of a limiter.
  struct Place: Sendable {
    fileprivate let limiter: RateLimiter
    fileprivate let waiter: RateWaiter
    fileprivate let ticket: LineTicket

    /// Waits until it is served.
    nonisolated(nonsending) func wait() async throws(CancellationError) {
      limiter.reschedule()
      await withTaskCancellationHandler {
        await waiter.wait()
      } onCancel: {
        limiter.leave(ticket)
      }
      if waiter.wasCancelled { throw CancellationError() }
    }
  }

  /// Takes permits, or a place in the line, which must then be waited for.
  func join(
    _ permits: Int, deadline: Int64, now: Int64
  ) throws(RateLimitedError) -> Place? {
    let waiter = RateWaiter()
    let admission = shell.withLock { shell in
      shell.admit(permits, deadline: deadline, now: now, waiter: waiter)
    }
    switch admission {
    case .granted: return nil
    case .waiting(let ticket): return Place(limiter: self, waiter: waiter, ticket: ticket)
    case .refused(let code, let wait):
      throw RateLimitedError(
        limiter: name, code: code, retryAfter: wait.map { RateTicks.duration($0) })
    }
  }

  /// What the limiter knows and how many it let pass, if nobody waits in its line.
  var stateIfIdle: (full: [Int64], allowed: Int)? {
    shell.withLock { shell in
      shell.machine.waiting == 0 ? (shell.machine.full, shell.allowed) : nil
    }
  }

  /// How many it let pass.
  var allowed: Int { shell.withLock { $0.allowed } }

  /// Leaves the line; does nothing for one that was served.
  private func leave(_ ticket: LineTicket) {
    let waiter = shell.withLock { shell in shell.machine.leave(ticket) }
    guard let waiter else { return }
    waiter.resume(cancelled: true)
    // Those behind may be due at once: a smaller request than the one that left.
    reschedule()
  }

  /// Serves whom it can and sets the alarm for the next one.
  fileprivate func reschedule() {
    let now = clock.ticks
    let (served, change) = shell.withLock { shell in shell.serve(now: now) { RateAlarm(self) } }
    if let old = change.old { clock.source.cancel(old) }
    if let new = change.new, let next = change.at {
      clock.source.schedule(new, at: .init(sinceOrigin: RateTicks.duration(next)))
    }
    for waiter in served { waiter.resume(cancelled: false) }
  }
}

extension NanosecondClock {
  /// The time as limiters count it.
  @inline(__always) var ticks: Int64 { RateTicks.of(nanoseconds: now) }
}

extension RateTicks {
  /// When a wait must end: by its own timeout, or by the deadline of the task.
  static func end(_ now: Int64, _ timeout: Duration?) -> Int64 {
    let own = timeout.map { min(now + of(max($0, .zero)), limit) } ?? limit
    return Deadline.current.map { min(own, of($0.instant.sinceOrigin)) } ?? own
  }
}

/// The state machine with its alarm and its figures; everything that the lock guards.
private struct RateLimiterShell: Sendable {
  struct AlarmChange: Sendable {
    var old: RateAlarm?
    var new: RateAlarm?
    var at: Int64?
  }

  var machine: RateLimiterStateMachine<RateWaiter>
  var allowed = 0
  var limited = 0
  private var alarm: (at: Int64, alarm: RateAlarm)?

  init(_ machine: RateLimiterStateMachine<RateWaiter>) { self.machine = machine }

  mutating func admit(
    _ permits: Int, deadline: Int64, now: Int64, waiter: RateWaiter
  ) -> RateLimiterStateMachine<RateWaiter>.Admission {
    let admission = machine.acquire(permits, deadline: deadline, now: now, waiter: waiter)
    switch admission {
    case .granted: allowed += 1
    case .refused: limited += 1
    case .waiting: break
    }
    return admission
  }

  /// Serves the line, and says which alarm to set in place of which.
  mutating func serve(
    now: Int64, makeAlarm: () -> RateAlarm
  ) -> (served: [RateWaiter], change: AlarmChange) {
    let served = machine.serve(now: now)
    allowed += served.count
    let next = machine.nextStart(now: now)
    if let alarm, alarm.at == next, alarm.at > now { return (served, AlarmChange()) }
    var change = AlarmChange(old: alarm?.alarm)
    alarm = nil
    if let next {
      let new = makeAlarm()
      alarm = (next, new)
      (change.new, change.at) = (new, next)
    }
    return (served, change)
  }
}

/// Rings when the one at the front of the line may go on.
private final class RateAlarm: Alarm, @unchecked Sendable {
  // Not weak: a limiter with someone in its line is kept by that call anyway, and the alarm lasts no longer.
  private let limiter: RateLimiter

  init(_ limiter: RateLimiter) { self.limiter = limiter }

  override func fire() { limiter.reschedule() }
}

/// One call that waits in line.
private final class RateWaiter: Sendable {
  private enum State {
    case early
    case waiting(CheckedContinuation<Void, Never>)
    case served
    case cancelled
  }

  private let state = Lock(State.early)

  func wait() async {
    await withCheckedContinuation { continuation in
      let isOver = state.withLock { state in
        if case .early = state {
          state = .waiting(continuation)
          return false
        }
        return true
      }
      if isOver { continuation.resume() }
    }
  }

  func resume(cancelled: Bool) {
    let before = state.withLock { state in
      let before = state
      state = cancelled ? .cancelled : .served
      return before
    }
    if case .waiting(let continuation) = before { continuation.resume() }
  }

  var wasCancelled: Bool {
    state.withLock { state in if case .cancelled = state { true } else { false } }
  }
}
