internal import ReliabilityCore

/// One run of a user's code for a pool, which the pool may cancel; as an alarm it is the end of its time.
final class PoolOperation: Alarm, @unchecked Sendable {
  private struct State {
    var cancel: (@Sendable () -> Void)?
    var isCancelled = false
    var overran = false
    var isOver = false
  }

  private let state = Lock(State())

  /// Whether its time was up before it ended.
  var overran: Bool { state.withLock { $0.overran } }

  /// Whether the pool cancelled it because it ends.
  var wasStopped: Bool { state.withLock { $0.isCancelled && !$0.overran } }

  /// Says how to cancel it.
  func begin(_ cancel: @escaping @Sendable () -> Void) {
    let isCancelled = state.withLock { state in
      if !state.isOver { state.cancel = cancel }
      return state.isCancelled
    }
    if isCancelled { cancel() }
  }

  /// Nothing is left to cancel.
  func end() {
    state.withLock { state in
      state.isOver = true
      state.cancel = nil
    }
  }

  func cancel() {
    let cancel = state.withLock { state in
      state.isCancelled = true
      return state.cancel.take()
    }
    cancel?()
  }

  override func fire() {
    let isOver = state.withLock { state in
      state.overran = !state.isOver
      return state.isOver
    }
    // Cancelling runs the handlers of the user's code: not on the thread of the time source.
    if !isOver { Task { self.cancel() } }
  }
}
