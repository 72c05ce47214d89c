import ReliabilityCore
import Synchronization

/// One request that waits for a load.
@usableFromInline final class CacheWaiter<Value: Sendable>: Sendable {
  private enum State {
    case early
    case waiting(CheckedContinuation<Void, Never>)
    case settled
  }

  let ticket = CacheNumbers.next()
  private let guarded = Lock((state: State.early, result: Result<Value, any Error>?.none))

  init() {}

  /// Waits until it is settled.
  nonisolated(nonsending) func wait() async -> Result<Value, any Error> {
    await withCheckedContinuation { continuation in
      let isSettled = guarded.withLock { guarded in
        if case .early = guarded.state {
          guarded.state = .waiting(continuation)
          return false
        }
        return true
      }
      if isSettled { continuation.resume() }
    }
    return guarded.withLock { $0.result! }
  }

  /// Says what it gets; only the first one counts.
  func settle(_ result: Result<Value, any Error>) {
    let before = guarded.withLock { guarded in
      let before = guarded.state
      if case .settled = before { return before }
      guarded = (.settled, result)
      return before
    }
    if case .waiting(let continuation) = before { continuation.resume() }
  }
}

/// Numbers that no two loads or waiters of this process share.
enum CacheNumbers {
  private static let last = Atomic<UInt64>(0)

  static func next() -> UInt64 { last.wrappingAdd(1, ordering: .relaxed).newValue }
}

/// The load that a task runs for a cache, and the loads within which that was asked for.
///
/// So a load that asks for what waits for itself is told, instead of waiting for ever.
final class LoadScope: Sendable {
  @TaskLocal static var current: LoadScope?

  let number: UInt64
  private let outer: Lock<LoadScope?>

  init(_ number: UInt64, within outer: LoadScope?) {
    self.number = number
    self.outer = Lock(outer)
  }

  /// Cuts the chain: what the load has started and left behind must not keep everything that was before it.
  func end() {
    let outer = outer.withLock { $0.take() }
    _ = consume outer
  }

  /// The numbers from this one outward.
  var numbers: [UInt64] {
    var numbers = [number]
    var next = outer.withLock { $0 }
    while let scope = next {
      numbers.append(scope.number)
      next = scope.outer.withLock { $0 }
    }
    return numbers
  }
}
