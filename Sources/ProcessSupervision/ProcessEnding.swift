internal import ReliabilityCore

/// The end of a child, for whoever waits for it.
final class ProcessEnding: Sendable {
  private struct State {
    var report: ProcessReport?
    var waiters: [UInt64: CheckedContinuation<ProcessReport?, Never>] = [:]
    var lastWaiter: UInt64 = 0
  }

  private let state = Lock(State())

  /// The report, once the child has ended.
  var report: ProcessReport? { state.withLock { $0.report } }

  func finish(_ report: ProcessReport) {
    let waiters = state.withLock { state in
      state.report = report
      defer { state.waiters = [:] }
      return Array(state.waiters.values)
    }
    for waiter in waiters { waiter.resume(returning: report) }
  }

  /// Suspends until the child has ended, also when the task is cancelled: that ends the child.
  nonisolated(nonsending) func wait() async -> ProcessReport {
    while true {
      if let report = await enter(cancellable: false) { return report }
    }
  }

  /// Suspends until the child has ended or the task is cancelled.
  nonisolated(nonsending) func waitUnlessCancelled() async throws(CancellationError)
    -> ProcessReport
  {
    guard let report = await enter(cancellable: true) else { throw CancellationError() }
    return report
  }

  private nonisolated(nonsending) func enter(cancellable: Bool) async -> ProcessReport? {
    let ticket = state.withLock { state in
      state.lastWaiter += 1
      return state.lastWaiter
    }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let report: ProcessReport?? = state.withLock { state in
          if let report = state.report { return .some(report) }
          // Under the lock: a cancellation from here on finds the waiter.
          if cancellable && Task.isCancelled { return .some(nil) }
          state.waiters[ticket] = continuation
          return nil
        }
        if let report { continuation.resume(returning: report) }
      }
    } onCancel: {
      guard cancellable else { return }
      state.withLock { $0.waiters.removeValue(forKey: ticket) }?.resume(returning: nil)
    }
  }
}
