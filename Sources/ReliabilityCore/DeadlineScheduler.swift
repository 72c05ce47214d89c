extension ContinuousClock: TimeSource {
  /// Schedules on the process-wide deadline scheduler: late by 70 µs of rounding plus the wake-up of a thread.
  public func schedule(_ alarm: Alarm, at instant: Instant) {
    DeadlineScheduler.shared.schedule(alarm, at: instant)
  }

  /// Takes an alarm back in constant time.
  @discardableResult public func cancel(_ alarm: Alarm) -> Bool {
    DeadlineScheduler.shared.cancel(alarm)
  }
}

/// The one timer of the process: a timing wheel and a thread that sleeps until its next tick.
///
/// A pending timeout costs one object in the wheel and nothing else: no task, no thread, no kernel timer. The kernel
/// timer is set only when an alarm comes earlier than the next wake-up, and is left alone when an alarm is taken back
/// (the thread then wakes once for nothing), so that a stream of calls under a 30 s limit sets it every 30 s.
package final class DeadlineScheduler: Sendable {
  package static let shared = DeadlineScheduler()

  /// 2^46 attoseconds, 70.4 µs: a power of two, so that an instant becomes a tick by a shift.
  static let tickBits: Int128 = 46

  private struct State: ~Copyable {
    var wheel = TimerWheel()
    /// The tick the driver is set to, or `UInt64.max` when it is not.
    var wakeUp = UInt64.max
  }

  private let state: Lock<State>
  private let driver: TimerDriver

  private init() {
    // Ticks count from the origin, so it must not lie ahead of the first alarm.
    _ = ContinuousClock.Instant.origin
    state = Lock(State())
    driver = TimerDriver()
    driver.start { [unowned self] in self.wakeUp() }
  }

  /// How many alarms wait.
  package var count: Int { state.withLock { $0.wheel.count } }

  func schedule(_ alarm: Alarm, at instant: ContinuousClock.Instant) {
    let tick = self.tick(atOrAfter: instant)
    state.withLock { state in
      let tick = state.wheel.insert(alarm, at: tick)
      guard tick < state.wakeUp else { return }
      state.wakeUp = tick
      // Set under the lock: two threads that set it outside could leave the later of two ticks.
      setDriver(to: tick)
    }
  }

  func cancel(_ alarm: Alarm) -> Bool {
    let removed = state.withLock { $0.wheel.remove(alarm) }
    // The wheel's reference, given up outside the lock: it may be the last one.
    if removed { unsafe Unmanaged.passUnretained(alarm).release() }
    return removed
  }

  private func wakeUp() {
    let now = tick(atOrBefore: ContinuousClock.now)
    let due = state.withLock { state in
      let due = state.wheel.advance(to: now)
      if let next = state.wheel.nextTick {
        state.wakeUp = next
        setDriver(to: next)
      } else {
        state.wakeUp = .max
      }
      return due
    }
    due.fire()
  }

  private func setDriver(to tick: UInt64) {
    let instant = ContinuousClock.Instant(sinceOrigin: .ticks(tick))
    let now = ContinuousClock.now
    driver.set(after: instant > now ? now.duration(to: instant) : .zero)
  }

  private func tick(atOrAfter instant: ContinuousClock.Instant) -> UInt64 {
    instant.sinceOrigin.ticks(roundedUp: true)
  }

  private func tick(atOrBefore instant: ContinuousClock.Instant) -> UInt64 {
    instant.sinceOrigin.ticks(roundedUp: false)
  }
}

extension Duration {
  fileprivate static func ticks(_ count: UInt64) -> Duration {
    #if canImport(Darwin)
      let attoseconds = Int128(count) << DeadlineScheduler.tickBits
      let (seconds, rest) = attoseconds.quotientAndRemainder(dividingBy: 1_000_000_000_000_000_000)
      return Duration(secondsComponent: Int64(seconds), attosecondsComponent: Int64(rest))
    #else
      return Duration(attoseconds: Int128(count) << DeadlineScheduler.tickBits)
    #endif
  }

  fileprivate func ticks(roundedUp: Bool) -> UInt64 {
    #if canImport(Darwin)
      let (seconds, rest) = components
      let attoseconds = Int128(seconds) * 1_000_000_000_000_000_000 + Int128(rest)
    #else
      let attoseconds = self.attoseconds
    #endif
    guard attoseconds > 0 else { return 0 }
    let rounding: Int128 = roundedUp ? 1 << DeadlineScheduler.tickBits - 1 : 0
    let ticks = (attoseconds &+ rounding) >> DeadlineScheduler.tickBits
    return ticks > Int128(TimerWheel.lastTick)
      ? TimerWheel.lastTick : UInt64(truncatingIfNeeded: ticks)
  }
}
