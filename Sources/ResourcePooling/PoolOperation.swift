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
  /// Rings when it goes on long after it was cancelled; `nil` where nobody counts on its end.
  let doubt: PoolDoubt?

  init(_ doubt: PoolDoubt? = nil) {
    self.doubt = doubt
    super.init()
  }

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
    doubt?.withdraw()
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
    if isOver { return }
    Task { self.cancel() }
    doubt?.schedule()
  }
}

/// The end of the pool's patience with code that was cancelled.
///
/// Not at the time limit itself: what heeds its cancellation shall end first, so that a creation that took too long is a failure that
/// those in line are told of, and not the cause of a second one.
final class PoolDoubt: Alarm, @unchecked Sendable {
  private let core: PoolCore
  private let slot: Int
  private let number: Int
  private let patience: Duration
  private let isWithdrawn = Lock(false)

  init(_ core: PoolCore, slot: Int, number: Int, limit: Duration) {
    self.core = core
    self.slot = slot
    self.number = number
    patience = min(limit, .seconds(1))
    super.init()
  }

  func schedule() {
    let source = core.clock.source
    source.schedule(self, at: source.now.saturatingAdvanced(by: patience))
    // Withdrawn before it was scheduled, by somebody who could not take it back.
    if isWithdrawn.withLock({ $0 }) { source.cancel(self) }
  }

  func withdraw() {
    isWithdrawn.withLock { $0 = true }
    core.clock.source.cancel(self)
  }

  override func fire() {
    if !isWithdrawn.withLock({ $0 }) { core.overran(slot, number: number) }
  }
}
