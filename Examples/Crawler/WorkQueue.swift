internal import Reliability

/// Hands the frontier's jobs to workers; who finds none waits until there is one or the crawl is over.
final class WorkQueue: Sendable {
  fileprivate struct State {
    var frontier: Frontier
    var waiting: [CheckedContinuation<Frontier.Job?, Never>] = []
    var isClosed = false
  }

  private let state: Lock<State>

  init(_ frontier: Frontier) { state = Lock(State(frontier: frontier)) }

  /// The next job, or `nil` when there will be none.
  func next() async -> Frontier.Job? {
    await withCheckedContinuation { continuation in
      let answer = state.withLock { state -> Frontier.Job?? in
        if state.isClosed { return .some(nil) }
        if let job = state.frontier.next() { return job }
        if state.frontier.isDone { return .some(nil) }
        state.waiting.append(continuation)
        return nil
      }
      if let answer { continuation.resume(returning: answer) }
    }
  }

  /// Looks at the frontier or changes it; whoever waits gets what has come.
  func update<Result: Sendable>(_ body: (inout Frontier) -> Result) -> Result {
    let (result, ready) = state.withLock { state in
      let result = body(&state.frontier)
      return (result, state.handOut())
    }
    for (continuation, job) in ready { continuation.resume(returning: job) }
    return result
  }

  /// Gives out no more jobs.
  func close() {
    let waiting = state.withLock { state in
      state.isClosed = true
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume(returning: nil) }
  }
}

extension WorkQueue.State {
  /// Who can be woken, and with what.
  mutating func handOut() -> [(CheckedContinuation<Frontier.Job?, Never>, Frontier.Job?)] {
    var ready: [(CheckedContinuation<Frontier.Job?, Never>, Frontier.Job?)] = []
    while !waiting.isEmpty, !isClosed, let job = frontier.next() {
      ready.append((waiting.removeLast(), job))
    }
    if frontier.isDone {
      ready += waiting.map { ($0, nil) }
      waiting = []
    }
    return ready
  }
}
