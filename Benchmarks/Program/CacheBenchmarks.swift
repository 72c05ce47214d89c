import ResilientCaching

/// What a cache costs beside what it saves: a hit is the hash of its key, a lock, a look at the clock and a few cache lines.
enum CacheBenchmarks {
  static let all: [Benchmark] = [
    .timed("cache/hit") {
      let (cache, keys) = filled(10_000)
      return Comparison(subject: hits(cache, keys))
    },
    .timed("cache/hit-1M") {
      let (cache, keys) = filled(1_000_000)
      return Comparison(subject: hits(cache, keys))
    },
    .timed("cache/hit-load") {
      let (cache, keys) = filled(10_000)
      return Comparison(
        subject: { iterations in
          var index = 0
          for _ in 0..<iterations {
            keep(try await cache.value(for: keys[index]) { try await succeed() })
            index += stride
            if index >= keys.count { index -= keys.count }
          }
        })
    },
    .timed("cache/hit-2-threads") {
      let (cache, keys) = filled(10_000)
      let batch = hits(cache, keys)
      return Comparison(
        subject: onTwoThreads(batch), yardstick: ("1-thread", batch), sampleLength: .milliseconds(5)
      )
    },
    .timed("cache/set-evicting") {
      let keys = names(20_000)
      let cache = ResilientCache<String, Int>(policy: CachePolicy(capacity: 10_000))
      return Comparison(
        subject: { iterations in
          var index = 0
          for _ in 0..<iterations {
            cache.set(index, for: keys[index])
            index += 1
            if index == keys.count { index = 0 }
          }
        })
    },
    Benchmark(name: "cache/memory", measure: memory),
  ]

  /// Prime to the number of keys: all are met, and no two in a row are neighbours.
  private static let stride = 6_181

  private static func names(_ count: Int) -> [String] { (0..<count).map { "key-\($0)" } }

  private static func filled(_ count: Int) -> (ResilientCache<String, Int>, [String]) {
    let keys = names(count)
    let cache = ResilientCache<String, Int>(policy: CachePolicy(capacity: count))
    for (index, key) in keys.enumerated() { cache.set(index, for: key) }
    return (cache, keys)
  }

  private static func hits(_ cache: ResilientCache<String, Int>, _ keys: [String]) -> Batch {
    { iterations in
      var index = 0
      for _ in 0..<iterations {
        keep(cache.value(for: keys[index]) != nil)
        index += stride
        if index >= keys.count { index -= keys.count }
      }
    }
  }

  /// How much the heap grows by 1,000,000 distinct keys of which 10,000 are kept.
  private static func memory() async throws -> Result {
    let before = Memory.heapBytes
    let cache = ResilientCache<Int, Int>(policy: CachePolicy(capacity: 10_000))
    for key in 0..<1_000_000 { cache.set(key, for: key) }
    let growth = Memory.heapBytes - before
    var result = Result(name: "cache/memory", unit: .bytes, summary: Summary([growth]))
    result.figures = [
      ("kept", Double(cache.count)), ("bytes_per_entry", growth / Double(cache.count)),
    ]
    return result
  }
}
