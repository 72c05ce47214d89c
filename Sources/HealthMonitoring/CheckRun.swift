internal import ReliabilityCore

/// One run of one check: as an alarm the end of its time, as a deadline what the check's own waits respect.
final class CheckRun: DeadlineScope, @unchecked Sendable {
  private struct State {
    var task: Task<Void, Never>?
    var isCancelled = false
    var isOver = false
  }

  let id: HealthStateMachine.RunID
  private let monitor: HealthMonitor
  private let state = Lock(State())

  init(
    _ id: HealthStateMachine.RunID, of monitor: HealthMonitor, start: Duration, limit: Duration
  ) {
    self.id = id
    self.monitor = monitor
    super.init(start: start, end: start.saturatingAdvanced(by: limit), limit: limit)
  }

  /// A run has more to it than a beginning and an end.
  override package init(start: Duration, end: Duration, limit: Duration) {
    preconditionFailure("a run is made with its check")
  }

  /// Starts the check in a task of its own.
  ///
  /// Detached: checks belong to the monitor, and a request that asks for all of them must not lend them its task-local values.
  func begin(_ body: @escaping @Sendable () async throws -> HealthReading) {
    monitor.clock.source.schedule(self, at: instant)
    let task = Task.detached {
      let outcome: CheckOutcome
      do {
        outcome = .reading(try await Deadline.$scope.withValue(self) { try await body() })
      } catch is CancellationError {
        outcome = .cancelled
      } catch {
        outcome = .failed(error)
      }
      self.end(outcome)
    }
    let isCancelled = state.withLock { state in
      if !state.isOver { state.task = task }
      return state.isCancelled
    }
    if isCancelled { task.cancel() }
  }

  private func end(_ outcome: CheckOutcome) {
    state.withLock { state in
      state.isOver = true
      state.task = nil
    }
    monitor.clock.source.cancel(self)
    monitor.ended(self, outcome)
  }

  /// Cancels the check, whose handlers are a user's code.
  func cancel() {
    let task = state.withLock { state in
      state.isCancelled = true
      return state.task.take()
    }
    task?.cancel()
  }

  override func fire() { monitor.expired(self) }
}

/// Wakes a monitor: to start what is due, or to evaluate its rules.
final class MonitorAlarm: Alarm, @unchecked Sendable {
  private let ring: @Sendable (MonitorAlarm) -> Void

  init(_ ring: @escaping @Sendable (MonitorAlarm) -> Void) {
    self.ring = ring
    super.init()
  }

  override func fire() { ring(self) }
}

/// Somebody who waits for runs to end.
final class RunWaiter: Sendable {
  private enum State {
    case initial
    case waiting(CheckedContinuation<Void, Never>)
    case finished
  }

  private let state = Lock(State.initial)

  func wait() async {
    await withCheckedContinuation { continuation in
      let resumeNow = state.withLock { state in
        if case .finished = state { return true }
        state = .waiting(continuation)
        return false
      }
      if resumeNow { continuation.resume() }
    }
  }

  func finish() {
    let before = state.withLock { state in
      let before = state
      state = .finished
      return before
    }
    if case .waiting(let continuation) = before { continuation.resume() }
  }
}
