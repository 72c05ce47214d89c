import RateLimiting

/// What asking a rate limiter costs, beside reading the clock under a mutex, which it cannot do without.
enum LimiterBenchmarks {
  static let all: [Benchmark] = [
    .timed("limiter/try") {
      let limiter = RateLimiter(RateLimit(1_000_000_000, per: .seconds(1)))
      return Comparison(
        subject: { iterations in
          for _ in 0..<iterations { keep(limiter.tryAcquire().isAllowed) }
        })
    },
    .timed("limiter/try-100k-keys") {
      let limiter = KeyedRateLimiter<Int>(
        RateLimit(1_000_000_000, per: .seconds(1)), capacity: 200_000)
      for key in 0..<100_000 { _ = limiter.tryAcquire(for: key) }
      return Comparison(
        subject: { iterations in
          var key = 0
          for _ in 0..<iterations {
            keep(limiter.tryAcquire(for: key).isAllowed)
            // A stride that is prime to the number of keys: no cache line twice in a row.
            key = (key + 61_803) % 100_000
          }
        })
    },
  ]
}
