public import ReliabilityCore

/// Lets so many do something at once, and makes the others wait in line or turns them away.
///
///     let limiter = ConcurrencyLimiter(.fixed(4), name: "pages", maximumWaiters: 20)
///     let page = try await limiter.run { try await render(url) }
///
///     let careful = ConcurrencyLimiter(.adaptive, name: "search")  // finds out how many the other side bears
///     let hits = try await careful.run(timeout: .seconds(2)) { try await search(query) }
///
/// A bulkhead: what is slow fills its own few places, not the whole program.
///
/// - Order: Those who wait are served first come, first served, and nobody passes them.
/// - Permits: One is given back when its call has really ended, not when somebody stopped waiting for it; once, whatever
///   happens. So there are never more calls than the limit, except after it fell.
/// - Nesting: A call that waits for a second permit of the same limiter may wait for itself; take one for the whole call.
/// - Cancellation: One who leaves the line has taken nothing, in constant time. A call that ends by cancellation gives its permit
///   back and says nothing about the limit.
/// - Deadlines: A wait that `Deadline.current` or the timeout leaves no time for is refused at once, as is one for which the line is
///   full; one that was begun ends at the deadline.
public final class ConcurrencyLimiter: MetricsSource {
  /// The name in errors and figures.
  public let name: String

  let clock: NanosecondClock
  let guarded: Lock<Guarded>
  let meter = ConcurrencyMeter()
  let judge: (@Sendable (any Error) -> Outcome?)?
  let observer: (@Sendable (Event) -> Void)?
  private let isAdaptive: Bool

  /// Makes a limiter with nothing in flight.
  ///
  /// Values out of range are a programmer's error and trap; `ConcurrencyLimit.validate()` tells.
  ///
  /// - Parameters:
  ///   - limit: How many at once, or how to find that out.
  ///   - name: What is limited, for errors and figures; one of a small set of words.
  ///   - maximumWaiters: How many may wait, 0 or more; further ones are refused at once. A line longer than the limit seldom helps:
  ///     those at its end wait for longer than anybody waits for them.
  ///   - judge: Your own opinion of what an error says about the limit; `nil` leaves it to ``Outcome/init(judging:)``. Asked outside
  ///     locks, not about cancellations.
  ///   - observer: Told about changes of the limit and refusals, outside locks.
  ///   - clock: The time.
  public init(
    _ limit: ConcurrencyLimit, name: String = "default", maximumWaiters: Int = 100,
    judge: (@Sendable (any Error) -> Outcome?)? = nil,
    observer: (@Sendable (Event) -> Void)? = nil, clock: any TimeSource = ContinuousClock()
  ) {
    requireValid { () throws(ConfigurationError) in
      try limit.validate()
      try check(maximumWaiters >= 0, "maximumWaiters", "must not be negative")
    }
    self.name = name
    self.clock = NanosecondClock(clock)
    self.judge = judge
    self.observer = observer
    if case .adaptive = limit.shape { isAdaptive = true } else { isAdaptive = false }
    guarded = Lock(
      Guarded(
        machine: ConcurrencyStateMachine(
          limit, maximumWaiters: maximumWaiters, now: self.clock.now)))
  }

  /// Runs the body when a permit is there, waiting in line for it if need be.
  ///
  /// With a fixed limit and nobody in line it costs two locks and no allocation; an adaptive limit reads the clock twice more. The
  /// permit is held until the body has ended. A limit of time on the call belongs *inside*: outside it also counts the wait
  /// in line, and ends as a cancellation, which says nothing about the limit.
  ///
  /// - Parameters:
  ///   - timeout: The longest wait in line; `Deadline.current` alone bounds it unless given. The body is not bounded by it.
  ///   - body: The call. Runs where the caller runs.
  /// - Returns: What the body returns; it counts as a success.
  /// - Throws: ``ConcurrencyLimitedError`` when the call is not begun, `CancellationError` when the task is cancelled while it waits in
  ///   line, otherwise what the body throws.
  @inlinable
  public nonisolated(nonsending) func run<Result: ~Copyable>(
    timeout: Duration? = nil, _ body: nonisolated(nonsending) () async throws -> Result
  ) async throws -> Result {
    let start: Int64
    if let entered = enter() {
      start = entered
    } else {
      start = try await standInLine(timeout)
    }
    do {
      let result = try await body()
      succeed(start)
      return result
    } catch {
      fail(start, throwing: error)
      throw error
    }
  }

  /// Takes a permit if one is there now and nobody waits for it.
  ///
  /// - Returns: The permit, or `nil`.
  @inlinable
  public func tryAcquire() -> Permit? {
    guard let start = enter() else { return nil }
    return Permit(limiter: self, start: start)
  }

  /// Waits in line for a permit, for callers whose call has no body to wrap.
  ///
  /// - Parameter timeout: The longest wait; `Deadline.current` alone bounds it unless given. Zero or less means not to wait.
  /// - Returns: The permit, to be settled when the call has ended; dropping it gives it back too.
  /// - Throws: ``ConcurrencyLimitedError`` at once when the line is full or can't be expected to end in time, and when the time is up;
  ///   `CancellationError` when the task is cancelled before its turn, having taken nothing.
  @inlinable
  public nonisolated(nonsending) func acquire(timeout: Duration? = nil) async throws -> Permit {
    if let start = enter() { return Permit(limiter: self, start: start) }
    return Permit(limiter: self, start: try await standInLine(timeout))
  }

  /// Sets the limit.
  ///
  /// A higher one serves those in line at once. A lower one takes nothing away: as calls end, no others begin until there are few
  /// enough. An adaptive limit goes on from there, within its bounds.
  ///
  /// - Parameter limit: 1 to 1,000,000.
  public func resize(to limit: Int) {
    requireValid { () throws(ConfigurationError) in try ConcurrencyLimit.validate(limit) }
    change(.resized) { $0.resize(to: limit, now: $1) }
  }

  /// How many may be in flight now.
  public var limit: Int { guarded.withLock { $0.machine.limit } }

  /// How many are in flight now.
  public var inFlight: Int { guarded.withLock { $0.machine.inFlight } }

  /// How many wait in line now.
  public var waiting: Int { guarded.withLock { $0.machine.waiting } }
}

extension ConcurrencyLimiter {
  /// Takes a permit without waiting; returns when, as far as that matters.
  @usableFromInline
  func enter() -> Int64? {
    // Only an adaptive limit wants to know how long calls take.
    let now = isAdaptive ? clock.now : 0
    return guarded.withLock { $0.enter() } ? now : nil
  }

  @usableFromInline
  func succeed(_ start: Int64) {
    let isDone = !isAdaptive && guarded.withLock { $0.endPlainly(.success) }
    if !isDone { end(.success, start: start) }
  }

  @inline(never) @usableFromInline
  func fail(_ start: Int64, throwing error: any Error) {
    settle(outcome(of: error), start: start)
  }

  @inline(never) @usableFromInline
  func settle(_ outcome: Outcome, start: Int64) {
    let isDone = !isAdaptive && guarded.withLock { $0.endPlainly(outcome) }
    if !isDone { end(outcome, start: start) }
  }

  /// What an error says; cancellation comes first, whatever anybody thinks of the error.
  private func outcome(of error: any Error) -> Outcome {
    let error = error.withoutStory
    if Task.isCancelled || error is CancellationError
      || (error as? any ClassifiedError)?.category == .cancelled
    {
      return .ignored
    }
    if let judge, let outcome = judge(error) { return outcome }
    return Outcome(judging: error)
  }

  @inline(never)
  private func end(_ outcome: Outcome, start: Int64) {
    change(.adapted) { machine, now in
      machine.end(outcome, start: start, now: now)
    } alsoUnderLock: {
      $0.counts.count(outcome)
    }
  }

  /// Runs a change of the state machine, lets those go on whose turn it is, and tells what changed.
  func change(
    _ cause: LimitCause,
    _ body: (inout ConcurrencyStateMachine<ConcurrencyWaiter>, _ now: Int64) -> [ConcurrencyWaiter],
    onTimer: Bool = false, alsoUnderLock: (inout Guarded) -> Void = { _ in }
  ) {
    let now = clock.now
    let (served, mustTell) = guarded.withLock { guarded in
      let before = guarded.machine.limit
      let served = body(&guarded.machine, now)
      alsoUnderLock(&guarded)
      guarded.counts.admit(served.count, inFlight: guarded.machine.inFlight)
      let mustTell = observer != nil && guarded.noteLimit(before: before, cause: cause)
      guarded.setAlarm(of: self)
      return (served, mustTell)
    }
    for waiter in served { waiter.finish(.granted(at: now)) }
    guard mustTell else { return }
    // An observer is a user's code, which must not hold up the timers.
    if onTimer { Task { self.tell() } } else { tell() }
  }

  /// Tells what is to be told, one after the other, also what is added meanwhile.
  private func tell() {
    guard let observer else { return }
    while let event = guarded.withLock({ $0.nextEvent() }) {
      observer(Event(limiter: name, kind: event))
    }
  }

  /// Looks at the time, for those in line whom nobody else would serve.
  fileprivate func advance() {
    change(.adapted, { $0.advance(now: $1) }, onTimer: true)
  }
}

extension ConcurrencyLimiter {
  /// What the lock guards.
  struct Guarded: Sendable {
    var machine: ConcurrencyStateMachine<ConcurrencyWaiter>
    var counts = ConcurrencyCounts()
    /// The one alarm that is set: for the end of the probe that somebody waits through.
    private var alarm: ProbeAlarm?
    /// Not told yet, oldest first.
    private var events: [Event.Kind] = []
    private var isTelling = false

    init(machine: ConcurrencyStateMachine<ConcurrencyWaiter>) { self.machine = machine }

    mutating func enter() -> Bool {
      guard machine.tryAcquire() else { return false }
      counts.admit(1, inFlight: machine.inFlight)
      return true
    }

    mutating func endPlainly(_ outcome: Outcome) -> Bool {
      guard machine.endPlainly() else { return false }
      counts.count(outcome)
      return true
    }

    /// - Returns: Whether there is something to tell and nobody tells it.
    mutating func noteLimit(before: Int, cause: LimitCause) -> Bool {
      guard machine.limit != before else { return false }
      events.append(.limitChanged(from: before, to: machine.limit, cause: cause))
      defer { isTelling = true }
      return !isTelling
    }

    /// The next event to tell; when there is none, somebody else tells the next one.
    mutating func nextEvent() -> Event.Kind? {
      if events.isEmpty {
        isTelling = false
        return nil
      }
      return events.removeFirst()
    }

    /// Sets the alarm for the end of a probe while somebody waits, and takes it back when nobody needs it any more.
    ///
    /// Under the lock, so that two threads never leave an alarm behind; it happens seldom.
    mutating func setAlarm(of limiter: ConcurrencyLimiter) {
      let end = machine.probeEnd
      guard end != alarm?.end else { return }
      let clock = limiter.clock.source
      if let alarm { clock.cancel(alarm) }
      alarm = end.map { ProbeAlarm(limiter, end: $0) }
      if let alarm { clock.schedule(alarm, at: .init(nanoseconds: alarm.end)) }
    }
  }

  /// Ends a probe during which too little happens.
  final class ProbeAlarm: Alarm, @unchecked Sendable {
    let end: Int64
    private weak var limiter: ConcurrencyLimiter?

    init(_ limiter: ConcurrencyLimiter, end: Int64) {
      self.limiter = limiter
      self.end = end
    }

    override func fire() { limiter?.advance() }
  }
}

extension ContinuousClock.Instant {
  /// The instant of a clock that is read as nanoseconds.
  init(nanoseconds: Int64) { self.init(sinceOrigin: .nanoseconds(nanoseconds)) }
}
