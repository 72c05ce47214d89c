/// Lets tasks do something one after the other, in the order they came, without a thread for those who wait.
///
/// In front of the disk threads: were turns taken there, a handful of tasks that share one file would block all of them.
/// Not cancellable: what waits here is a save that is finished also when its task is cancelled, and each turn is finite.
final class TurnQueue: Sendable {
  private struct State {
    var isTaken = false
    var waiting: [CheckedContinuation<Void, Never>] = []
    /// Those before it have had their turn.
    var next = 0
  }

  private let state = Lock(State())

  /// How many wait.
  var waitingCount: Int { state.withLock { $0.waiting.count - $0.next } }

  /// Returns when it is the caller's turn.
  ///
  /// Followed by ``give()``, once.
  nonisolated(nonsending) func take() async {
    let isFree = state.withLock { state in
      let isFree = !state.isTaken
      state.isTaken = true
      return isFree
    }
    if isFree { return }
    await withCheckedContinuation { continuation in
      let isFree = state.withLock { state in
        // The turn may have been given back since.
        let isFree = !state.isTaken
        if isFree { state.isTaken = true } else { state.waiting.append(continuation) }
        return isFree
      }
      if isFree { continuation.resume() }
    }
  }

  /// Ends the turn and hands it to the one who waits longest.
  func give() {
    let successor: CheckedContinuation<Void, Never>? = state.withLock { state in
      guard state.next < state.waiting.count else {
        state.waiting.removeAll(keepingCapacity: state.waiting.capacity <= 64)
        state.next = 0
        state.isTaken = false
        return nil
      }
      state.next += 1
      let successor = state.waiting[state.next - 1]
      if state.next >= 64 && state.next * 2 >= state.waiting.count {
        state.waiting.removeFirst(state.next)
        state.next = 0
      }
      return successor
    }
    successor?.resume()
  }
}
