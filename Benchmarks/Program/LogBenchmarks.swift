import AtomicStore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What an append costs over the system calls it can't do without, and what many of them share.
enum LogBenchmarks {
  static let all: [Benchmark] = [appendOne, appendMany, replay]

  /// 200 bytes, as a record is: an object.
  private static let record: [UInt8] =
    Array(#"{"pad":""#.utf8) + [UInt8](repeating: 0x61, count: 190) + Array(#""}"#.utf8)

  private static let appendOne = Benchmark.timed("log/append-1") {
    let directory = try ScratchDirectory()
    let log = try await AppendLog(directory.path + "/log")
    let raw = try RawAppend(directory.path + "/raw")
    let line = record + [0x0a]
    return Comparison(
      subject: { iterations in
        for _ in 0..<iterations { try await log.append(record) }
      },
      yardstick: (
        "write-fdatasync",
        { iterations in
          for _ in 0..<iterations { try raw.append(line) }
        }
      ),
      cleanUp: { directory.remove() })
  }

  private static let appendMany = Benchmark(name: "log/append-64") {
    let directory = try ScratchDirectory()
    defer { directory.remove() }
    let one = try await AppendLog(directory.path + "/one")
    let many = try await AppendLog(directory.path + "/many")
    var samples: [Double] = []
    var yardstick: [Double] = []
    for _ in 0..<41 {
      yardstick.append(
        try await rate(of: 50) {
          for _ in 0..<50 { try await one.append(record) }
        })
      samples.append(
        try await rate(of: 64 * 20) {
          try await withThrowingTaskGroup { group in
            for _ in 0..<64 {
              group.addTask {
                for _ in 0..<20 { try await many.append(record) }
              }
            }
            try await group.waitForAll()
          }
        })
    }
    var result = Result(
      name: "log/append-64", unit: .rate("records/s"), summary: Summary(samples))
    result.yardstick = ("log/append-1", Summary(yardstick))
    let counts = many.health.counts
    result.figures.append(("records_per_sync", Double(counts.records) / Double(counts.syncs)))
    return result
  }

  private static let replay = Benchmark(name: "log/replay") {
    let directory = try ScratchDirectory()
    defer { directory.remove() }
    let log = try await AppendLog(directory.path + "/log")
    let batch = [[UInt8]](repeating: record, count: 10_000)
    for _ in 0..<100 { try await log.append(contentsOf: batch, durability: .none) }
    var samples: [Double] = []
    for _ in 0..<7 {
      samples.append(
        try await rate(of: 1_000_000) {
          var count = 0
          for try await record in log.records() where record.payload.count == 200 { count += 1 }
          if count != 1_000_000 { throw RawFileError(code: EIO) }
        })
    }
    return Result(name: "log/replay", unit: .rate("records/s"), summary: Summary(samples))
  }

  /// Operations per second.
  private static func rate(
    of count: Int, _ body: () async throws -> Void
  ) async throws -> Double {
    let clock = ContinuousClock()
    let start = clock.now
    try await body()
    return Double(count) / ((clock.now - start) / .seconds(1))
  }
}
