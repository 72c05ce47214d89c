public import ReliabilityCore
public import Synchronization

/// Stops calling what is down, and lets a probe find out when it is back.
///
///     let breaker = CircuitBreaker(name: "search", configuration: .recommended)
///     let hits = try await breaker.run {
///       try await withTimeout(.seconds(10)) { try await search(query) }
///     }
///     print(breaker)  // search: closed, 0 of 1 calls failed; opens at 10 failures in a row; 0 so far; …
///
/// One object for each thing that can be down, shared by all who call it; for many of a kind there is
/// ``KeyedCircuitBreaker``. The breaker starts no task and no timer: time is looked at when somebody calls.
///
/// Four things hold, whatever the callers do:
/// - A result counts only in the era whose ticket it has. One that comes after the state changed changes nothing.
/// - Only the monotonic clock decides. A wall clock that jumps changes nothing.
/// - Cancellation, and a ticket that is dropped, return the probe's slot and count nothing.
/// - A probe that hangs loses its slot when its lease is over.
public final class CircuitBreaker: MetricsSource {
  /// What the breaker protects, for people, errors and metrics.
  public var name: String { label.text }

  /// The configuration it was made with.
  public var configuration: Configuration { settings.configuration }

  let label: BreakerName
  let settings: BreakerSettings

  /// The era while every call is admitted and none followed, otherwise zero: then the lock knows more.
  @usableFromInline let gate: Atomic<UInt64>
  private let guarded: Lock<Guarded>

  /// Makes a closed breaker.
  ///
  /// - Parameters:
  ///   - name: What it protects: one of a small set of words, as it becomes a metric label.
  ///   - configuration: When it opens, and for how long.
  /// - Precondition: `configuration.validate()` does not throw.
  public convenience init(name: String = "default", configuration: Configuration = .default) {
    requireValid(configuration.validate)
    self.init(label: BreakerName(kind: name), settings: BreakerSettings(configuration))
  }

  init(label: BreakerName, settings: BreakerSettings) {
    self.label = label
    self.settings = settings
    let machine = BreakerStateMachine(
      settings.rules, generator: settings.configuration.randomness.makeGenerator())
    gate = Atomic(machine.ungatedEra)
    guarded = Lock(Guarded(machine: machine))
  }

  /// Runs the body if the breaker lets it, and learns from how it ends.
  ///
  /// A success costs one lock; nothing is allocated, no task is made. The body's error is judged by
  /// ``Configuration/judge`` and thrown unchanged.
  ///
  /// **Cancellation**: the breaker never waits. A body that ends with a cancellation, or with any error in a task that is
  /// cancelled, counts as nothing and returns its probe's slot. So a limit of time belongs *inside* the breaker: outside,
  /// it cancels the call before anybody knows that it was slow.
  ///
  /// - Parameter body: The call. Runs where the caller runs.
  /// - Returns: What the body returns; it counts as a success.
  /// - Throws: ``CircuitOpenError`` when the call is turned away, otherwise what the body throws.
  @inlinable
  public nonisolated(nonsending) func run<Result: ~Copyable>(
    _ body: nonisolated(nonsending) () async throws -> Result
  ) async throws -> Result {
    let permit = try enter()
    do {
      let result = try await body()
      succeed(permit)
      return result
    } catch {
      fail(permit, throwing: error)
      throw error
    }
  }

  /// Runs the body if the breaker lets it, and has its result judged.
  ///
  ///     let response = try await breaker.run(judging: { $0.status == 503 ? .failure : .success }) {
  ///       try await client.send(request)
  ///     }
  ///
  /// As ``run(_:)`` otherwise.
  ///
  /// - Parameters:
  ///   - judge: What a result says about the health of the other side. Called outside locks.
  ///   - body: The call. Runs where the caller runs.
  /// - Returns: What the body returns, whatever the verdict.
  /// - Throws: ``CircuitOpenError`` when the call is turned away, otherwise what the body throws.
  @inlinable
  public nonisolated(nonsending) func run<Result: ~Copyable>(
    judging judge: (borrowing Result) -> Verdict,
    _ body: nonisolated(nonsending) () async throws -> Result
  ) async throws -> Result {
    let permit = try enter()
    do {
      let result = try await body()
      settle(permit, judge(result), error: nil)
      return result
    } catch {
      fail(permit, throwing: error)
      throw error
    }
  }

  /// Asks for the right to make one call, for callers whose call has no body to wrap: callbacks, streams, synchronous code.
  ///
  ///     let ticket = try breaker.admit()
  ///     let response = try connection.send(request)  // when it throws, the ticket is dropped
  ///     ticket.succeed()
  ///
  /// A ticket that is dropped counts as nothing and gives back what it held.
  ///
  /// - Returns: The ticket, to be settled when the call has ended.
  /// - Throws: ``CircuitOpenError`` when the call is turned away.
  @inlinable
  public func admit() throws -> Ticket {
    Ticket(breaker: self, permit: try enter())
  }
}

extension CircuitBreaker {
  @inlinable
  func enter() throws -> BreakerPermit {
    let era = gate.load(ordering: .acquiring)
    if era != 0 { return BreakerPermit(era: era) }
    return try enterGated()
  }

  @usableFromInline
  func succeed(_ permit: BreakerPermit) {
    guard permit.call == .untracked else {
      return settle(permit, .success, as: .success, error: nil)
    }
    // Of a success that changes nothing but the figures, only a window by time needs to know when it was.
    let now = settings.rules.timesSuccesses ? settings.clock.now : Int64.min
    let isDone = guarded.withLock { guarded in
      guard guarded.machine.succeedPlainly(permit, now: now) else { return false }
      guarded.counts.countSuccess()
      return true
    }
    if !isDone { settle(permit, .success, as: .success, error: nil) }
  }

  @inline(never) @usableFromInline
  func fail(_ permit: BreakerPermit, throwing error: any Error) {
    settle(permit, verdict(on: error), error: error)
  }

  @inline(never) @usableFromInline
  func settle(_ permit: BreakerPermit, _ verdict: Verdict, error: (any Error)?) {
    settle(permit, verdict.outcome, as: BreakerCounts.Kind(verdict), error: error)
  }

  /// A ticket was dropped.
  @inline(never) @usableFromInline
  func abandon(_ permit: BreakerPermit) {
    settle(permit, .neither, as: .dropped, error: nil)
  }

  /// The verdict on an error; cancellation comes first, whatever anybody thinks of the error.
  private func verdict(on error: any Error) -> Verdict {
    if Task.isCancelled { return .cancelled }
    let verdict = Verdict(judging: error)
    guard verdict != .cancelled, let judge = settings.configuration.judge else { return verdict }
    return judge(error.withoutStory) ?? verdict
  }

  @inline(never)
  private func settle(
    _ permit: BreakerPermit, _ outcome: BreakerStateMachine.Outcome, as kind: BreakerCounts.Kind,
    error: (any Error)?
  ) {
    let now = settings.clock.now
    // Errors leave the lock before they are released: a `deinit` of somebody else's may run then.
    var replaced = error
    let aftermath = guarded.withLock { guarded in
      let settlement = guarded.machine.settle(permit, outcome, now: now)
      guarded.counts.count(kind, settlement)
      if settlement.counted, outcome != .neither, outcome != .success, error != nil {
        swap(&guarded.lastFailure, &replaced)
      }
      return settlement.transition.map { record($0, &guarded) }
    }
    if let aftermath { finish(aftermath) }
  }

  @inline(never) @usableFromInline
  func enterGated() throws -> BreakerPermit {
    let now = settings.clock.now
    // The most frequent case of those that get here, and the one that must be cheap when things are bad.
    if let rejection = guarded.withLock({ $0.turnAway(now: now) }) { throw rejection }
    return try admit(now: now)
  }

  @inline(never)
  private func admit(now: Int64) throws -> BreakerPermit {
    let (permit, rejection, aftermath) = guarded.withLock { guarded in
      let (permit, transition) = guarded.machine.admit(now: now)
      let aftermath = transition.map { record($0, &guarded) }
      if permit != nil { return (permit, (any Error)?.none, aftermath) }
      guarded.counts.rejected += 1
      return (permit, guarded.rejection, aftermath)
    }
    if let aftermath { finish(aftermath) }
    if let permit { return permit }
    throw rejection!
  }
}

extension CircuitBreaker {
  /// What the lock guards.
  struct Guarded {
    var machine: BreakerStateMachine
    var counts = BreakerCounts()
    /// Thrown at everybody who is turned away, in the states that turn callers away.
    var rejection: (any Error)?
    var lastFailure: (any Error)?
    /// Not told yet, oldest first.
    var events: [Event] = []
    var isTelling = false
  }

  /// What to do after unlocking when the state has changed.
  struct Aftermath {
    /// To be released.
    var formerRejection: (any Error)?
    var formerFailure: (any Error)?
    /// Whether events wait and nobody tells them.
    var mustTell: Bool
  }

  /// Runs a change of the state machine, and tells whoever wants to know.
  func change(
    _ body: (inout BreakerStateMachine, _ now: Int64) -> BreakerStateMachine.Transition?
  ) {
    let now = settings.clock.now
    let aftermath = guarded.withLock { guarded in
      let transition = body(&guarded.machine, now)
      // A reset begins an era although the state stays.
      gate.store(guarded.machine.ungatedEra, ordering: .releasing)
      return transition.map { record($0, &guarded) }
    }
    if let aftermath { finish(aftermath) }
  }

  /// Reads what the lock guards, with the time.
  func inspect<Value: Sendable>(_ body: (borrowing Guarded, _ now: Int64) -> Value) -> Value {
    let now = settings.clock.now
    return guarded.withLock { body($0, now) }
  }

  /// The bookkeeping of a change of state, under the lock.
  private func record(
    _ transition: BreakerStateMachine.Transition, _ guarded: inout Guarded
  ) -> Aftermath {
    var aftermath = Aftermath(formerRejection: guarded.rejection, mustTell: false)
    guarded.counts.transitions[transition.to, default: 0] += 1
    let machine = guarded.machine
    if settings.configuration.observer != nil {
      guarded.events.append(
        Event(
          label: label, from: transition.from, to: transition.to, cause: transition.cause,
          era: machine.era, openTime: transition.openTime.map { .nanoseconds($0) },
          lastFailure: guarded.lastFailure))
      aftermath.mustTell = !guarded.isTelling
      guarded.isTelling = true
    }
    switch transition.to {
    case .open, .halfOpen, .forcedOpen:
      guarded.rejection = CircuitOpenError(
        label: label, state: transition.to, cause: transition.cause, era: machine.era,
        until: transition.to == .open ? machine.openUntil : nil, lastFailure: guarded.lastFailure,
        clock: settings.clock)
    case .closed, .disabled, .metricsOnly:
      aftermath.formerFailure = guarded.lastFailure
      (guarded.rejection, guarded.lastFailure) = (nil, nil)
    }
    gate.store(machine.ungatedEra, ordering: .releasing)
    return aftermath
  }

  /// Tells the events, one after the other, also those that are added meanwhile.
  @inline(never)
  private func finish(_ aftermath: consuming Aftermath) {
    guard aftermath.mustTell, let observer = settings.configuration.observer else { return }
    while let event = guarded.withLock({ $0.nextEvent() }) { observer(event) }
  }
}

extension CircuitBreaker.Guarded {
  /// The error for a caller who is turned away without anything else to do; `nil` when there may be.
  @inline(__always)
  fileprivate mutating func turnAway(now: Int64) -> (any Error)? {
    guard machine.isTurningAway(now: now), let rejection else { return nil }
    counts.rejected += 1
    return rejection
  }

  /// The next event to tell; when there is none, somebody else tells the next one.
  fileprivate mutating func nextEvent() -> CircuitBreaker.Event? {
    if events.isEmpty {
      isTelling = false
      return nil
    }
    return events.removeFirst()
  }
}

/// What a breaker is called.
struct BreakerName: Sendable {
  var kind: String
  /// Of a keyed breaker.
  ///
  /// Described when somebody reads the name: never under a lock, as that is code of the key's author, and never for the many
  /// whose name nobody reads.
  var key: (any Sendable)?

  var text: String {
    if let key { "\(kind)/\(key)" } else { kind }
  }
}

/// What the breakers of one configuration share.
final class BreakerSettings: Sendable {
  let configuration: CircuitBreaker.Configuration
  let rules: BreakerRules
  let clock: NanosecondClock

  init(_ configuration: CircuitBreaker.Configuration) {
    self.configuration = configuration
    rules = BreakerRules(configuration)
    clock = NanosecondClock(configuration.clock)
  }
}
