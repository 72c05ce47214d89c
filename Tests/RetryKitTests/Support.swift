import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import RetryKit

struct Flaky: Error, Equatable {
  var number = 0
}

/// An error with whatever classification a test wants.
struct Classified: ClassifiedError, Equatable {
  var category = ErrorCategory.network
  var retryability = Retryability.retryable(after: nil)
  var number = 0
}

/// Cancels the task that calls it.
func cancelMyself() {
  unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
}

/// Runs a body while time jumps to whatever waits.
func whileTimeFlies<Result: Sendable>(
  _ clock: ManualClock, _ body: @Sendable () async throws -> Result
) async throws -> Result {
  async let _: Void = {
    while !Task.isCancelled { await clock.advanceToNext() }
  }()
  return try await body()
}

/// What `retry` did with a body that always fails, under a clock that flies.
struct Story {
  var attempts = 0
  var events: [RetryEvent] = []
  var error: (any Error)?
  var took = Duration.zero

  var delays: [Duration] { events.compactMap(\.delay) }
  var reason: RetryStopReason? {
    if case .stopped(let reason)? = events.last?.kind { reason } else { nil }
  }
}

func story(
  _ policy: RetryPolicy, deadline: Duration? = nil, idempotent: Bool = true,
  failingWith failure: @escaping @Sendable (_ attempt: Int) -> (any Error)?
) async -> Story {
  let clock = ManualClock()
  let events = Log<RetryEvent>()
  let attempts = Log<Int>()
  var observed = policy
  observed.clock = clock
  observed.observer = { events.append($0) }
  let limit = deadline.map { DeadlineScope(until: clock.now.advanced(by: $0)) }
  let start = clock.now
  var story = Story()
  do {
    try await Deadline.$scope.withValue(limit) { [observed] in
      try await whileTimeFlies(clock) {
        try await retry(observed, idempotent: idempotent) { attempt in
          attempts.append(attempt)
          if let error = failure(attempt) { throw error }
        }
      }
    }
  } catch {
    story.error = error
  }
  story.attempts = attempts.count
  story.events = events.all
  story.took = start.duration(to: clock.now)
  return story
}
