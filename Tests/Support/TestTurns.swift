import ReliabilityCore

/// Lets so many tests of all targets on at a time, and the others wait in line.
final class TestTurns: Sendable {
  private let state: Lock<(free: Int, waiting: [CheckedContinuation<Void, Never>])>

  init(_ count: Int) { state = Lock((free: count, waiting: [])) }

  func take() async {
    await withCheckedContinuation { continuation in
      let isFree = state.withLock { state in
        if state.free == 0 {
          state.waiting.append(continuation)
          return false
        }
        state.free -= 1
        return true
      }
      if isFree { continuation.resume() }
    }
  }

  func giveBack() {
    let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
      if state.waiting.isEmpty {
        state.free += 1
        return nil
      }
      return state.waiting.removeFirst()
    }
    next?.resume()
  }
}
