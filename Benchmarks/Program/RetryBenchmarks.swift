import RetryKit

/// What it costs to be ready to try again, and to try again.
enum RetryBenchmarks {
  static let all: [Benchmark] = [
    .timed("retry/success", difference: "over_bare_ns") {
      Comparison(
        subject: { iterations in
          for _ in 0..<iterations { keep(try await retry { try await succeed() }) }
        }, yardstick: bareAwait)
    },
    .timed("retry/success-policy", difference: "over_bare_ns") {
      let policy = RetryPolicy(maxAttempts: 5, backoff: .constant(.milliseconds(100)))
      return Comparison(
        subject: { iterations in
          for _ in 0..<iterations { keep(try await retry(policy) { try await succeed() }) }
        }, yardstick: bareAwait)
    },
    .timed("retry/success-budget", difference: "over_bare_ns") {
      let policy = RetryPolicy.recommended(budget: RetryBudget())
      return Comparison(
        subject: { iterations in
          for _ in 0..<iterations { keep(try await retry(policy) { try await succeed() }) }
        }, yardstick: bareAwait)
    },
    .timed("retry/one-failure", difference: "over_bare_ns") {
      // No delay, so that what remains is the decision.
      let policy = RetryPolicy(backoff: .constant(.zero))
      return Comparison(
        subject: { iterations in
          for _ in 0..<iterations {
            keep(
              try await retry(policy) { attempt in
                if attempt == 1 { throw Refused() }
                return try await succeed()
              })
          }
        }, yardstick: bareAwait)
    },
  ]

  static let bareAwait: (name: String, batch: Batch) = (
    "bare-await",
    { iterations in
      for _ in 0..<iterations { keep(try await succeed()) }
    }
  )

  private struct Refused: ClassifiedError {
    var category: ErrorCategory { .overload }
    var retryability: Retryability { .retryable() }
  }
}
