import CircuitBreaker
import RateLimiting
import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import RetryKit
import Testing
import TimeoutManager

/// The example of the guide "Composing policies", as it stands there.
struct SearchClient: Sendable {
  let limiter = RateLimiter(RateLimit(100, per: .seconds(1), burst: 20))
  let breaker = CircuitBreaker(name: "search", configuration: .recommended)
  let retries: RetryPolicy
  let hedges: HedgePolicy

  init(durations: HedgeDurations = HedgeDurations(name: "search")) {
    let budget = RetryBudget(name: "search")
    retries = .recommended(budget: budget)
    hedges = HedgePolicy(
      delay: .quantile(0.95, of: durations, otherwise: .milliseconds(200)), budget: budget)
  }

  func search(
    _ send: @Sendable (_ attempt: Int) async throws -> String
  ) async throws -> String {
    try await withTimeout(.seconds(30)) {  // 1. the caller's patience
      try await retry(retries) {  // 2. what fails is tried again
        try await hedge(hedges) { attempt in  // 3. what is slow gets a rival
          try await breaker.run {  // 4. what is down is left alone
            try await limiter.acquire()  // 5. what is allowed
            return try await withTimeout(.seconds(10)) {  // 6. the patience with one attempt
              try await send(attempt)
            }
          }
        }
      }
    }
  }
}

@Suite struct FiveStrategiesTests {
  @Test("The guide's example works: a success, a hedge after a failure, and no harmful nesting")
  func example() async throws {
    let client = SearchClient()
    let answer = try await client.search { "answer \($0)" }
    #expect(answer == "answer 1")
    let second = try await client.search { attempt in
      if attempt == 1 { throw HTTPStatusError(500) }
      return "answer \(attempt)"
    }
    #expect(second == "answer 2")
    let error = await failure { try await client.search { _ in throw HTTPStatusError(404) } }
    #expect(error as? HTTPStatusError == HTTPStatusError(404))
  }
}
