import ReliabilityCore

@testable import RateLimiting

struct Trouble: ClassifiedError {
  var category: ErrorCategory
  var retryability = Retryability.notRetryable
}

/// Holds a permit where only copyable things can be held.
final class Held {
  private var permit: ConcurrencyLimiter.Permit?
  init(_ permit: consuming ConcurrencyLimiter.Permit) { self.permit = consume permit }
  func take() -> ConcurrencyLimiter.Permit { permit.take()! }
}

/// A door that tasks wait at until a test opens it.
final class Door: Sendable {
  private let state = Lock((isOpen: false, waiting: [CheckedContinuation<Void, Never>]()))

  func pass() async {
    await withCheckedContinuation { continuation in
      let isOpen = state.withLock { state in
        if !state.isOpen { state.waiting.append(continuation) }
        return state.isOpen
      }
      if isOpen { continuation.resume() }
    }
  }

  func open() {
    let waiting = state.withLock { state in
      state.isOpen = true
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }
}
