import CircuitBreaker

/// What it costs to be protected by a circuit breaker.
enum BreakerBenchmarks {
  static let all: [Benchmark] = [
    .timed("breaker/closed", difference: "over_bare_ns") {
      Comparison(subject: run(CircuitBreaker()), yardstick: bareAwait)
    },
    .timed("breaker/closed-time-window", difference: "over_bare_ns") {
      Comparison(
        subject: run(CircuitBreaker(configuration: .recommended)), yardstick: bareAwait)
    },
    .timed("breaker/closed-slow-calls", difference: "over_bare_ns") {
      var configuration = CircuitBreaker.Configuration.recommended
      configuration.slowCalls = .init(longerThan: .seconds(60), rate: 0.5)
      return Comparison(
        subject: run(CircuitBreaker(configuration: configuration)), yardstick: bareAwait)
    },
    .timed("breaker/closed-2-threads") {
      let batch = run(CircuitBreaker())
      return Comparison(
        subject: onTwoThreads(batch), yardstick: ("1-thread", batch), sampleLength: .milliseconds(5)
      )
    },
    .timed("breaker/admit-record") {
      Comparison(
        subject: admitAndRecord(
          CircuitBreaker(configuration: .init(failureRate: 0.5, window: .count(100)))))
    },
    .timed("breaker/admit-record-time") {
      Comparison(
        subject: admitAndRecord(
          CircuitBreaker(configuration: .init(failureRate: 0.5, window: .time(.seconds(10))))))
    },
    .timed("breaker/rejected") {
      let breaker = CircuitBreaker()
      breaker.open(for: .seconds(3600))
      return Comparison(subject: { iterations in
        for _ in 0..<iterations {
          do { keep(try await breaker.run { try await succeed() }) } catch {}
        }
      })
    },
    .timed("breaker/keyed-10k-keys", difference: "over_bare_ns") {
      let breakers = KeyedCircuitBreaker<Int>(capacity: 10_000)
      for key in 0..<10_000 { _ = breakers.breaker(for: key) }
      return Comparison(
        subject: { iterations in
          for iteration in 0..<iterations {
            keep(try await breakers.run(for: iteration &* 7919 % 10_000) { try await succeed() })
          }
        }, yardstick: bareAwait)
    },
    Benchmark(name: "breaker/keyed-memory", measure: keyedMemory),
  ]

  /// How much the heap grows by breakers for 1,000,000 distinct keys of which 10,000 are kept.
  private static func keyedMemory() async throws -> Result {
    let before = Memory.heapBytes
    let breakers = KeyedCircuitBreaker<Int>(configuration: .recommended, capacity: 10_000)
    for key in 0..<1_000_000 { try breakers.admit(for: key).succeed() }
    let growth = Memory.heapBytes - before
    var result = Result(name: "breaker/keyed-memory", unit: .bytes, summary: Summary([growth]))
    result.figures = [
      ("kept", Double(breakers.count)), ("bytes_per_breaker", growth / Double(breakers.count)),
    ]
    return result
  }

  private static func run(_ breaker: CircuitBreaker) -> Batch {
    { iterations in
      for _ in 0..<iterations { keep(try await breaker.run { try await succeed() }) }
    }
  }

  private static func admitAndRecord(_ breaker: CircuitBreaker) -> Batch {
    { iterations in
      for _ in 0..<iterations {
        let ticket = try breaker.admit()
        ticket.succeed()
      }
    }
  }

  private static let bareAwait: (name: String, batch: Batch) = (
    "bare-await",
    { iterations in
      for _ in 0..<iterations { keep(try await succeed()) }
    }
  )
}
