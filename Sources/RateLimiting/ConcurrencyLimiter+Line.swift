internal import ReliabilityCore
internal import ReliabilityMetrics

extension ConcurrencyLimiter {
  /// Waits in line for a permit; returns when it got it.
  @inline(never) @usableFromInline
  nonisolated(nonsending) func standInLine(_ timeout: Duration?) async throws -> Int64 {
    if Task.isCancelled { throw CancellationError() }
    let now = clock.now
    let deadline = Self.deadline(now, timeout)
    let (admission, limit) = guarded.withLock { guarded in
      let admission = guarded.machine.acquire(
        deadline: deadline, now: now, waiter: ConcurrencyWaiter(self))
      guarded.counts.count(admission, guarded.machine)
      guarded.setAlarm(of: self)
      return (admission, guarded.machine.limit)
    }
    switch admission {
    case .granted: return now
    case .refused(let code, let wait): throw refusal(code, limit: limit, wait: wait)
    case .waiting(let waiter, let ticket):
      let end = await waiter.wait(ticket, until: deadline)
      switch end {
      case .granted(let start):
        meter.wait.record(.nanoseconds(max(0, start - now)))
        return start
      case .cancelled: throw CancellationError()
      case .timedOut:
        let (limit, wait) = guarded.withLock { ($0.machine.limit, $0.machine.projectedWait) }
        throw refusal(.timedOut, limit: limit, wait: wait)
      }
    }
  }

  /// Leaves the line; does nothing for one that was served.
  fileprivate func leave(_ ticket: LineTicket, _ end: ConcurrencyWaiter.End) {
    let waiter = guarded.withLock { guarded in
      let waiter = guarded.machine.leave(ticket)
      if waiter != nil { guarded.counts.count(end) }
      guarded.setAlarm(of: self)
      return waiter
    }
    waiter?.finish(end)
  }

  private func refusal(
    _ code: ConcurrencyLimitedError.Code, limit: Int, wait: Int64?
  ) -> ConcurrencyLimitedError {
    let error = ConcurrencyLimitedError(
      limiter: name, code: code, limit: limit, retryAfter: wait.map { .nanoseconds($0) })
    observer?(Event(limiter: name, kind: .refused(error)))
    return error
  }

  /// When a wait must end: by its own timeout, or by the deadline of the task; `nil` for never.
  private static func deadline(_ now: Int64, _ timeout: Duration?) -> Int64? {
    let own = timeout.map { now + min(max($0, .zero).nanoseconds, Int64.max / 4) }
    let current = Deadline.current.map { NanosecondClock.nanoseconds(of: $0.instant) }
    guard let own, let current else { return own ?? current }
    return min(own, current)
  }
}

/// One call that waits in line, and the alarm that ends its wait.
final class ConcurrencyWaiter: Alarm, @unchecked Sendable {
  /// How a wait ends.
  enum End: Sendable {
    case granted(at: Int64)
    case cancelled
    case timedOut
  }

  private enum State {
    case early
    case waiting(CheckedContinuation<Void, Never>)
    case over(End)
  }

  private let limiter: ConcurrencyLimiter
  private let state = Lock(State.early)
  /// Set before the alarm is.
  private var ticket: LineTicket?

  init(_ limiter: ConcurrencyLimiter) { self.limiter = limiter }

  /// Waits until it is served, the time is up, or the task is cancelled.
  nonisolated(nonsending) func wait(_ ticket: LineTicket, until deadline: Int64?) async -> End {
    if let deadline {
      self.ticket = ticket
      limiter.clock.source.schedule(self, at: .init(nanoseconds: deadline))
    }
    await withTaskCancellationHandler {
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
    } onCancel: {
      limiter.leave(ticket, .cancelled)
    }
    if deadline != nil { limiter.clock.source.cancel(self) }
    return state.withLock { state in
      if case .over(let end) = state { end } else { preconditionFailure("still in line") }
    }
  }

  /// Ends the wait; called once, by whoever took it out of the line.
  func finish(_ end: End) {
    let before = state.withLock { state in
      let before = state
      state = .over(end)
      return before
    }
    if case .waiting(let continuation) = before { continuation.resume() }
  }

  override func fire() {
    if let ticket { limiter.leave(ticket, .timedOut) }
  }
}
