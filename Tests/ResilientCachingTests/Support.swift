import ReliabilityCore
import ReliabilityTesting

@testable import ResilientCaching

/// A list that several tasks may add to.
final class Log<Element: Sendable>: Sendable {
  private let elements = Lock<[Element]>([])

  func append(_ element: Element) { elements.withLock { $0.append(element) } }
  var all: [Element] { elements.withLock { $0 } }
}

struct Down: Error, Equatable {
  var number = 0
}

/// A load that ends when a test says so, or when it is cancelled.
final class ManualLoad<Value: Sendable>: Sendable {
  private struct State {
    var started = 0
    var cancelled = 0
    var running: [Int: CheckedContinuation<Value, any Error>] = [:]
    var watchers: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
  }

  private let state = Lock(State())

  /// How many loads have been started.
  var started: Int { state.withLock { $0.started } }
  /// How many of them were cancelled.
  var cancelled: Int { state.withLock { $0.cancelled } }

  /// The load itself.
  func run() async throws -> Value {
    let number = state.withLock { state in
      state.started += 1
      return state.started
    }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let (isCancelled, watchers) = state.withLock { state in
          if Task.isCancelled {
            state.cancelled += 1
            return (true, take(&state))
          }
          state.running[number] = continuation
          return (false, take(&state))
        }
        if isCancelled { continuation.resume(throwing: CancellationError()) }
        for watcher in watchers { watcher.resume() }
      }
    } onCancel: {
      let (continuation, watchers) = state.withLock { state in
        let continuation = state.running.removeValue(forKey: number)
        if continuation != nil { state.cancelled += 1 }
        return (continuation, take(&state))
      }
      continuation?.resume(throwing: CancellationError())
      for watcher in watchers { watcher.resume() }
    }
  }

  /// Waits until so many loads in all wait for their end, or have ended.
  func reached(_ count: Int) async {
    await withCheckedContinuation { continuation in
      let isReached = state.withLock { state in
        if state.started >= count && state.running.count + ended(state) >= count { return true }
        state.watchers.append((count, continuation))
        return false
      }
      if isReached { continuation.resume() }
    }
  }

  /// Ends the load that was started as the n-th.
  func end(_ number: Int, _ result: Result<Value, any Error>) {
    let continuation = state.withLock { $0.running.removeValue(forKey: number) }
    continuation?.resume(with: result)
  }

  private func ended(_ state: State) -> Int { state.started - state.running.count }

  private func take(_ state: inout State) -> [CheckedContinuation<Void, Never>] {
    let ready = state.watchers.filter { $0.count <= state.started }.map(\.continuation)
    state.watchers.removeAll { $0.count <= state.started }
    return ready
  }
}

/// A cache of numbers on a clock that a test moves, and everything it tells.
struct Lab {
  let clock = ManualClock()
  let events = Log<ResilientCache<String, Int>.Event>()
  let load = ManualLoad<Int>()
  let era = Log<Int>()
  let cache: ResilientCache<String, Int>

  init(
    _ policy: CachePolicy = CachePolicy(), weigher: (@Sendable (String, Int) -> Int)? = nil
  ) {
    var policy = policy
    policy.jitter = 0
    policy.refreshBackoff = .exponential(base: .seconds(1), cap: .seconds(8), jitter: .none)
    policy.clock = clock
    cache = ResilientCache(
      name: "lab", policy: policy, weigher: weigher,
      era: { [era] in UInt64(era.all.count) }, observer: { [events] in events.append($0) })
  }

  func changeEra() { era.append(0) }

  /// Asks in a task of its own.
  func ask(_ key: String = "a") -> Task<Int, any Error> {
    Task { [cache, load] in try await cache.value(for: key) { try await load.run() } }
  }

  /// Waits until so many requests have joined loads of others.
  func shared(_ count: Int) async {
    while cache.statistics.sharedLoads < count { await Task.yield() }
  }

  var story: [String] { events.all.map { $0.kind.rawValue } }
}

/// The error a body throws, if any.
func failure<Result>(_ body: () async throws -> Result) async -> (any Error)? {
  do {
    _ = try await body()
    return nil
  } catch {
    return error
  }
}
