import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import RetryKit

/// A call whose attempts a test ends one by one.
final class Stage: Sendable {
  let clock = ManualClock()
  let started = Log<Int>()
  let ended = Log<Int>()
  let cancelled = Log<Int>()
  let events = Log<HedgeEvent>()
  private let tellsMoments: Bool
  private let gates = Lock<[String: Gate]>([:])

  /// - Parameter tellsMoments: Whether anybody waits for single events; to name them takes longer than a call.
  init(tellsMoments: Bool = true) {
    self.tellsMoments = tellsMoments
  }

  func policy(
    _ delay: HedgeDelay = .fixed(.seconds(1)), maxAttempts: Int = 2, budget: RetryBudget? = nil
  ) -> HedgePolicy {
    var policy = HedgePolicy(delay: delay, maxAttempts: maxAttempts, budget: budget)
    policy.clock = clock
    policy.observer = { event in
      self.events.append(event)
      if self.tellsMoments { self.moment("\(event.attempt) \(event.kind)").arrived() }
    }
    return policy
  }

  func gate(_ attempt: Int) -> Gate { moment("\(attempt)") }

  /// A gate with a name of its own: that an event was told, that an attempt saw its cancellation.
  func moment(_ name: String) -> Gate {
    gates.withLock { gates in
      let gate = gates[name] ?? Gate()
      gates[name] = gate
      return gate
    }
  }

  /// An attempt that waits for its gate, and for cancellation when it listens.
  func attempt(_ attempt: Int, listens: Bool = true) async throws -> Int {
    started.append(attempt)
    gate(attempt).arrived()
    defer { ended.append(attempt) }
    try await withTaskCancellationHandler {
      try await gate(attempt).wait()
    } onCancel: {
      cancelled.append(attempt)
      if tellsMoments { moment("\(attempt) saw its cancellation").arrived() }
      if listens { gate(attempt).open(CancellationError()) }
    }
    return attempt
  }

  var kinds: [String] { events.all.map { "\($0.attempt) \($0.kind)" } }
}

/// A door that one task waits at.
final class Gate: Sendable {
  private struct State {
    var outcome: Result<Void, any Error>?
    var isArrived = false
    var waiter: CheckedContinuation<Void, any Error>?
    var arrival: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Lock(State())

  func open(_ error: (any Error)? = nil) {
    let outcome = error.map { Result<Void, any Error>.failure($0) } ?? .success(())
    let waiter = state.withLock { state -> CheckedContinuation<Void, any Error>? in
      guard state.outcome == nil else { return nil }
      state.outcome = outcome
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume(with: outcome)
  }

  func wait() async throws {
    try await withCheckedThrowingContinuation { continuation in
      let outcome = state.withLock { state -> Result<Void, any Error>? in
        if state.outcome == nil { state.waiter = continuation }
        return state.outcome
      }
      if let outcome { continuation.resume(with: outcome) }
    }
  }

  func arrived() {
    let waiting = state.withLock { state in
      state.isArrived = true
      defer { state.arrival = [] }
      return state.arrival
    }
    for continuation in waiting { continuation.resume() }
  }

  /// Suspends until somebody has come to the gate.
  func arrival() async {
    await withCheckedContinuation { continuation in
      let isArrived = state.withLock { state in
        if !state.isArrived { state.arrival.append(continuation) }
        return state.isArrived
      }
      if isArrived { continuation.resume() }
    }
  }
}

struct TurnedAway: LocalRejection, Equatable {
  var category: ErrorCategory { .dependency }
  var retryability: Retryability { .retryable(after: nil) }
}

/// Something that must be given back.
final class Connection: Sendable {
  let number: Int
  private let closed: Log<Int>
  private let onClose: Gate?

  init(number: Int, closed: Log<Int>, onClose: Gate? = nil) {
    (self.number, self.closed, self.onClose) = (number, closed, onClose)
  }

  deinit {
    closed.append(number)
    onClose?.arrived()
  }
}
