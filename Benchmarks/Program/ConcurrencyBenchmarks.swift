import RateLimiting

/// What it costs to be one of at most so many.
enum ConcurrencyBenchmarks {
  static let all: [Benchmark] = [
    .timed("concurrency/run", difference: "over_bare_ns") {
      Comparison(subject: run(ConcurrencyLimiter(.fixed(10))), yardstick: bareAwait)
    },
    .timed("concurrency/run-adaptive", difference: "over_bare_ns") {
      Comparison(subject: run(ConcurrencyLimiter(.adaptive)), yardstick: bareAwait)
    },
    .timed("concurrency/run-2-threads") {
      let batch = run(ConcurrencyLimiter(.fixed(10)))
      return Comparison(
        subject: onTwoThreads(batch), yardstick: ("1-thread", batch), sampleLength: .milliseconds(5)
      )
    },
    .timed("concurrency/try") {
      let limiter = ConcurrencyLimiter(.fixed(10))
      return Comparison(subject: { iterations in
        for _ in 0..<iterations {
          if let permit = limiter.tryAcquire() { permit.succeed() }
        }
      })
    },
    .timed("concurrency/rejected") {
      let limiter = ConcurrencyLimiter(.fixed(1), maximumWaiters: 0)
      return Comparison(subject: { iterations in
        guard let permit = limiter.tryAcquire() else { return }
        for _ in 0..<iterations {
          do { keep(try await limiter.run { try await succeed() }) } catch {}
        }
        permit.succeed()
      })
    },
  ]

  private static func run(_ limiter: ConcurrencyLimiter) -> Batch {
    { iterations in
      for _ in 0..<iterations { keep(try await limiter.run { try await succeed() }) }
    }
  }

  private static let bareAwait: (name: String, batch: Batch) = (
    "bare-await",
    { iterations in
      for _ in 0..<iterations { keep(try await succeed()) }
    }
  )
}
