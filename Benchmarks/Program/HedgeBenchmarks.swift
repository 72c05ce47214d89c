import RetryKit

/// What it costs to be ready to race another attempt, and to step down.
enum HedgeBenchmarks {
  static let all: [Benchmark] = [
    .timed("hedge/first-wins", difference: "over_bare_ns") {
      Comparison(
        subject: { iterations in
          for _ in 0..<iterations { keep(try await hedge { try await succeed() }) }
        }, yardstick: RetryBenchmarks.bareAwait)
    },
    .timed("hedge/first-wins-suspended", difference: "over_bare_ns") {
      // The first attempt is suspended, so that the delay is scheduled and taken back.
      Comparison(
        subject: { iterations in
          for _ in 0..<iterations {
            keep(
              try await hedge { _ in
                await Task.yield()
                return try await succeed()
              })
          }
        }, yardstick: RetryBenchmarks.bareAwait)
    },
    .timed("hedge/first-wins-quantile", difference: "over_bare_ns") {
      let policy = HedgePolicy(
        delay: .quantile(0.95, of: HedgeDurations(), otherwise: .milliseconds(200)),
        budget: RetryBudget())
      return Comparison(
        subject: { iterations in
          for _ in 0..<iterations { keep(try await hedge(policy) { try await succeed() }) }
        }, yardstick: RetryBenchmarks.bareAwait)
    },
    .timed("ladder/first-rung", difference: "over_bare_ns") {
      let ladder = FallbackLadder<MediaQuality>.mediaQuality(name: "benchmark")
      return Comparison(
        subject: { iterations in
          for _ in 0..<iterations { keep(try await ladder.run { _ in try await succeed() }.value) }
        }, yardstick: RetryBenchmarks.bareAwait)
    },
    .timed("ladder/first-rung-key", difference: "over_bare_ns") {
      let ladder = FallbackLadder<MediaQuality>.mediaQuality(name: "benchmark")
      return Comparison(
        subject: { iterations in
          for _ in 0..<iterations {
            keep(
              try await ladder.run(key: "host", timeout: .seconds(60), availableMemory: .max) { _ in
                try await succeed()
              }.value)
          }
        }, yardstick: RetryBenchmarks.bareAwait)
    },
  ]
}
