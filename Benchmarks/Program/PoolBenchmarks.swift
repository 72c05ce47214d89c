import ResourcePooling

/// What it costs to borrow a resource that is there, and to give it back.
enum PoolBenchmarks {
  static let all: [Benchmark] = [
    .timed("pool/lease-return") {
      let pool = try await warm()
      return Comparison(subject: { iterations in
        for _ in 0..<iterations {
          let loan = try await pool.lease()
          keep(loan.resource)
          loan.giveBack()
        }
      })
    },
    .timed("pool/with-resource") {
      let pool = try await warm()
      return Comparison(subject: { iterations in
        for _ in 0..<iterations { keep(try await pool.withResource { $0 &+ 1 }) }
      })
    },
    .timed("pool/lease-return-2-threads") {
      let pool = try await warm()
      let batch: Batch = { iterations in
        for _ in 0..<iterations {
          let loan = try await pool.lease()
          keep(loan.resource)
          loan.giveBack()
        }
      }
      return Comparison(
        subject: onTwoThreads(batch), yardstick: ("1-thread", batch), sampleLength: .milliseconds(5)
      )
    },
  ]

  /// A pool with the default limits and two idle resources.
  private static func warm() async throws -> ResourcePool<Int> {
    let pool = ResourcePool(name: "benchmark") {
      1
    } close: { _ in
    }
    let first = try await pool.lease()
    let second = try await pool.lease()
    first.giveBack()
    second.giveBack()
    return pool
  }
}
