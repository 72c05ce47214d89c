internal import ReliabilityCore

/// Hands the events of one process to the observer, one after another, on the cooperative pool.
///
/// Not on the loop's thread: an observer that takes its time must not hold up the supervision of every process.
final class EventRelay: Sendable {
  private struct State {
    var events: [ProcessEvent] = []
    var isRunning = false
    var flushers: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Lock(State())
  private let observer: @Sendable (ProcessEvent) -> Void

  init(_ observer: @escaping @Sendable (ProcessEvent) -> Void) { self.observer = observer }

  func send(_ event: ProcessEvent) {
    let mustStart = state.withLock { state in
      state.events.append(event)
      defer { state.isRunning = true }
      return !state.isRunning
    }
    if mustStart { Task.detached { self.drain() } }
  }

  private func drain() {
    while true {
      let (events, flushers) = state.withLock { state in
        let events = state.events
        state.events = []
        guard events.isEmpty else { return (events, [CheckedContinuation<Void, Never>]()) }
        state.isRunning = false
        let flushers = state.flushers
        state.flushers = []
        return (events, flushers)
      }
      for event in events { observer(event) }
      if events.isEmpty {
        for flusher in flushers { flusher.resume() }
        return
      }
    }
  }

  /// Suspends until the observer knows of everything sent so far.
  nonisolated(nonsending) func flush() async {
    await withCheckedContinuation { continuation in
      let isIdle = state.withLock { state in
        if !state.isRunning { return true }
        state.flushers.append(continuation)
        return false
      }
      if isIdle { continuation.resume() }
    }
  }
}
