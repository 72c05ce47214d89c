internal import Dispatch
internal import Foundation
internal import Reliability

/// Threads for calls that block on sockets and name servers: never those of the cooperative pool.
///
/// As many as there are workers, made when they are needed and kept until ``stop()``.
final class FetchThreads: Sendable {
  private struct State {
    var jobs: [@Sendable () -> Void] = []
    var threads = 0
    var idle = 0
    var isStopped = false
  }

  private let limit: Int
  private let state = Lock(State())
  private let jobsWaiting = DispatchSemaphore(value: 0)

  init(limit: Int) { self.limit = limit }

  /// Runs a blocking call on one of the threads.
  ///
  /// When the task is cancelled, `cancel` is called and this throws at once, whatever the call still does: a look-up of
  /// a name can't be interrupted.
  func run<Result: Sendable>(
    cancel: @escaping @Sendable () -> Void, _ call: @escaping @Sendable () throws -> Result
  ) async throws -> Result {
    try Task.checkCancellation()
    let answer = Answer<Result>()
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        guard answer.wait(with: continuation) else { return }
        add { answer.give(Swift.Result { try call() }) }
      }
    } onCancel: {
      // First: a connection that was shut down looks like the end of a body without a length.
      answer.give(.failure(CancellationError()))
      cancel()
    }
  }

  /// Lets the threads end when they have nothing more to do.
  func stop() {
    let threads = state.withLock { state in
      state.isStopped = true
      return state.threads
    }
    for _ in 0..<threads { jobsWaiting.signal() }
  }

  private func add(_ job: @escaping @Sendable () -> Void) {
    let startsThread = state.withLock { state in
      state.jobs.append(job)
      guard state.jobs.count > state.idle, state.threads < limit else { return false }
      state.threads += 1
      return true
    }
    jobsWaiting.signal()
    if startsThread { Thread.detachNewThread { self.work() } }
  }

  private func work() {
    while true {
      state.withLock { $0.idle += 1 }
      jobsWaiting.wait()
      let (job, ends) = state.withLock { state in
        state.idle -= 1
        return (state.jobs.isEmpty ? nil : state.jobs.removeFirst(), state.isStopped)
      }
      if let job { job() } else if ends { return }
    }
  }

  /// A result that counts once, whoever comes first.
  private final class Answer<Value: Sendable>: Sendable {
    private enum State {
      case new
      case waiting(CheckedContinuation<Value, any Error>)
      case given(Result<Value, any Error>)
      case done
    }

    private let state = Lock(State.new)

    /// - Returns: Whether the result is still to come.
    func wait(with continuation: CheckedContinuation<Value, any Error>) -> Bool {
      let early = state.withLock { state -> Result<Value, any Error>? in
        if case .given(let result) = state {
          state = .done
          return result
        }
        state = .waiting(continuation)
        return nil
      }
      if let early { continuation.resume(with: early) }
      return early == nil
    }

    func give(_ result: Result<Value, any Error>) {
      let continuation = state.withLock { state -> CheckedContinuation<Value, any Error>? in
        switch state {
        case .new:
          state = .given(result)
          return nil
        case .waiting(let continuation):
          state = .done
          return continuation
        case .given, .done: return nil
        }
      }
      continuation?.resume(with: result)
    }
  }
}
