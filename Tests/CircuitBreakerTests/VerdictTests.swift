import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import CircuitBreaker

private struct Turned: LocalRejection {
  var category: ErrorCategory { .overload }
  var retryability: Retryability { .retryable(after: .seconds(9)) }
}

private struct Story: Error, TransparentError {
  var underlying: any Error
}

@Suite(.offThePool) struct VerdictTests {
  typealias Verdict = CircuitBreaker.Verdict

  @Test("Errors are judged by what they are")
  func judging() {
    let table: [(any Error, Verdict)] = [
      (CancellationError(), .cancelled),
      (Classified(category: .cancelled), .cancelled),
      (Turned(), .ignored),
      (Classified(category: .validation, retryability: .notRetryable), .ignored),
      (HTTPStatusError(400), .success), (HTTPStatusError(404), .success),
      (HTTPStatusError(408), .failure), (HTTPStatusError(500), .failure),
      (HTTPStatusError(503), .failure),
      (HTTPStatusError(503, retryAfter: .seconds(4)), .throttled(after: .seconds(4))),
      (HTTPStatusError(429), .throttled()),
      (Classified(category: .overload), .throttled()),
      (Classified(retryability: .retryable(after: .seconds(2))), .throttled(after: .seconds(2))),
      (Classified(category: .timeout), .failure),
      (Classified(category: .fileSystem, retryability: .notRetryable), .failure),
      (Down(), .failure),
    ]
    for (error, verdict) in table {
      #expect(Verdict(judging: error) == verdict, "\(error)")
      #expect(Verdict(judging: Story(underlying: Story(underlying: error))) == verdict)
    }
  }

  @Test(
    "A judge of one's own sees the error inside a story and is asked first, but not about cancellations"
  )
  func ownJudge() async throws {
    let asked = Log<String>()
    var configuration = CircuitBreaker.Configuration(consecutiveFailures: 1)
    configuration.judge = { error in
      asked.append("\(type(of: error))")
      return error is Down ? .ignored : nil
    }
    let breaker = CircuitBreaker(configuration: configuration)
    _ = await failure { try await breaker.run { throw Story(underlying: Down()) } }
    _ = await failure { try await breaker.run { throw CancellationError() } }
    try breaker.admit().settle(throwing: Down())
    #expect(breaker.state == .closed)
    _ = await failure { try await breaker.run { throw Classified() } }
    #expect(breaker.state == .open)
    #expect(asked.all == ["Down", "Down", "Classified"])
  }

  @Test("A result can be a failure, and is returned all the same")
  func results() async throws {
    let breaker = CircuitBreaker(configuration: .init(consecutiveFailures: 2))
    for _ in 0..<2 {
      let status = try await breaker.run(judging: { $0 == 503 ? .failure : .success }) { 503 }
      #expect(status == 503)
    }
    #expect(breaker.state == .open)
  }

  @Test("Ignored and cancelled calls are in no window and break no row of failures")
  func neither() throws {
    let lab = Lab(.init(consecutiveFailures: 3, failureRate: 1))
    for verdict in [Verdict.failure, .ignored, .failure, .cancelled] {
      try lab.breaker.admit().settle(verdict)
    }
    #expect(lab.breaker.explain().calls == 2)
    #expect(lab.breaker.explain().consecutiveFailures == 2)
    try lab.breaker.admit().settle(.failure)
    #expect(lab.breaker.state == .open)
  }
}
