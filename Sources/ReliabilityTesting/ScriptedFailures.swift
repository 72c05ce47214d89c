/// A dependency that misbehaves by the book: each call takes the next step of a script.
///
/// Wrap the call that your code makes, and say what happens to the first, the second, the third:
///
///     let flaky = ScriptedFailures([.fail(HTTPStatusError(503)), .hang], clock: clock)
///     let answer = try await retry { attempt in
///       try await withTimeout(.seconds(5), clock: clock) { try await flaky.call { "answer" } }
///     }
///     print(answer, flaky.callCount)  // answer 3
public final class ScriptedFailures: Sendable {
  /// What happens to one call.
  public enum Step: Sendable {
    /// The call succeeds at once.
    case succeed
    /// The call throws.
    case fail(any Error)
    /// The call succeeds after a time; a cancellation ends it early with `CancellationError`.
    case delay(Duration)
    /// The call never ends by itself; a cancellation ends it with `CancellationError`.
    case hang
  }

  private struct State {
    var steps: ArraySlice<Step>
    var callCount = 0
  }

  private let state: Lock<State>
  private let afterwards: Step
  private let clock: any TimeSource

  /// Makes a script.
  ///
  /// - Parameters:
  ///   - steps: What happens to the first calls, in order.
  ///   - afterwards: What happens to every call after these.
  ///   - clock: The time that delays pass on.
  public init(
    _ steps: [Step], afterwards: Step = .succeed, clock: any TimeSource = ContinuousClock()
  ) {
    self.afterwards = afterwards
    self.clock = clock
    state = Lock(State(steps: steps[...]))
  }

  /// How many calls began.
  public var callCount: Int { state.withLock { $0.callCount } }

  /// Takes the next step, then runs the body if the step is a success.
  ///
  /// - Parameter body: What a call that succeeds does.
  /// - Returns: What the body returns.
  /// - Throws: What the script says, or what the body throws.
  public nonisolated(nonsending) func call<Value>(_ body: () async throws -> Value) async throws
    -> Value
  {
    let step = state.withLock { state in
      state.callCount += 1
      return state.steps.popFirst() ?? afterwards
    }
    switch step {
    case .succeed: break
    case .fail(let error): throw error
    case .delay(let duration): try await clock.wait(for: duration)
    // The clock's longest wait is five hundred years.
    case .hang: try await clock.wait(for: .seconds(Int64.max))
    }
    return try await body()
  }
}
