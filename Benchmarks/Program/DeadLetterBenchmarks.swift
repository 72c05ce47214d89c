import AtomicStore
import DeadLetterQueue

/// What a dead letter costs over the record that it is, and a look at a hundred thousand of them.
enum DeadLetterBenchmarks {
  static let all: [Benchmark] = [addInMemory, addOne, addMany, queryPage, queryGroups, queryText]

  struct Order: Codable, Sendable {
    var number: Int
    var customer = "c-81723"
    var items = ["one", "two", "three"]
  }

  struct TillError: Error {
    var till: Int
  }

  /// A letter of the usual size: one failure, one attempt.
  private static let draft = DeadLetter.Draft(kind: "charge", error: TillError(till: 4))

  private static func settings() -> DeadLetterConfiguration {
    var configuration = DeadLetterConfiguration()
    configuration.capacity = 200_000
    configuration.maximumBytes = 1 << 30
    configuration.overflow = .dropOldest
    return configuration
  }

  private static let addInMemory = Benchmark.timed("dlq/add-memory") {
    var configuration = settings()
    configuration.capacity = 10_000
    let queue = DeadLetterQueue<Order>(configuration: configuration)
    return Comparison(
      subject: { iterations in
        for number in 0..<iterations { try await queue.add(Order(number: number), as: draft) }
      })
  }

  /// A record as large as a letter's, for the log alone.
  private static func equalRecord(_ directory: ScratchDirectory) async throws -> [UInt8] {
    let queue = try await DeadLetterQueue<Order>(directory.path + "/measure")
    let before = queue.statistics.fileBytes ?? 0
    try await queue.add(Order(number: 123_456), as: draft)
    let size = Int((queue.statistics.fileBytes ?? 0) - before) - 19
    return Array(#"{"pad":""#.utf8) + [UInt8](repeating: 0x61, count: size - 10)
      + Array(#""}"#.utf8)
  }

  private static let addOne = Benchmark.timed("dlq/add-1") {
    let directory = try ScratchDirectory()
    let record = try await equalRecord(directory)
    let queue = try await DeadLetterQueue<Order>(
      directory.path + "/letters", configuration: settings())
    let log = try await AppendLog(directory.path + "/log")
    return Comparison(
      subject: { iterations in
        for number in 0..<iterations { try await queue.add(Order(number: number), as: draft) }
      },
      yardstick: (
        "log-append-1",
        { iterations in
          for _ in 0..<iterations { try await log.append(record) }
        }
      ),
      sampleLength: .milliseconds(10),
      cleanUp: { directory.remove() })
  }

  private static let addMany = Benchmark(name: "dlq/add-64") {
    let directory = try ScratchDirectory()
    defer { directory.remove() }
    let record = try await equalRecord(directory)
    let queue = try await DeadLetterQueue<Order>(
      directory.path + "/letters", configuration: settings())
    let log = try await AppendLog(directory.path + "/log")
    var samples: [Double] = []
    var yardstick: [Double] = []
    for _ in 0..<31 {
      yardstick.append(
        try await rate(callers: 64, each: 20) { _ in _ = try await log.append(record) })
      samples.append(
        try await rate(callers: 64, each: 20) { number in
          _ = try await queue.add(Order(number: number), as: draft)
        })
    }
    var result = Result(name: "dlq/add-64", unit: .rate("letters/s"), summary: Summary(samples))
    result.yardstick = ("log-append-64", Summary(yardstick))
    result.figures.append(("bytes", Double(record.count + 19)))
    return result
  }

  /// A hundred thousand letters on disk: ten kinds, fifty fingerprints, five categories.
  private static func full(_ directory: ScratchDirectory) async throws -> DeadLetterQueue<Order> {
    var configuration = settings()
    configuration.durability = .none
    let queue = try await DeadLetterQueue<Order>(
      directory.path + "/letters", configuration: configuration)
    let words = ["red", "green", "blue", "pink", "grey"]
    var drafts: [DeadLetter.Draft] = []
    for number in 0..<50 {
      let error = ValidationError("\(words[number % 5]) till of \(words[number / 10])")
      drafts.append(DeadLetter.Draft(kind: "kind-\(number % 10)", error: error))
    }
    let made = drafts
    try await withThrowingTaskGroup { group in
      for worker in 0..<8 {
        group.addTask {
          for number in 0..<12_500 {
            let order = Order(number: number * 8 + worker)
            try await queue.add(order, as: made[(number * 8 + worker) % 50])
          }
        }
      }
      try await group.waitForAll()
    }
    return queue
  }

  private static let queryPage = Benchmark.timed("dlq/query") {
    let directory = try ScratchDirectory()
    let queue = try await full(directory)
    var filter = DeadLetter.Filter.kind("kind-7")
    filter.category = .validation
    filter.olderThan = .zero
    let wanted = filter
    // The middle of the queue: half of the index is passed before the page begins.
    let cursor = DeadLetter.Cursor(after: DeadLetter.ID(rawValue: 50_000), order: .oldestFirst)
    return Comparison(
      subject: { iterations in
        for _ in 0..<iterations {
          let page = try await queue.letters(matching: wanted, after: cursor, limit: 50)
          if page.letters.count != 50 { throw WrongCount(page.letters.count) }
        }
      },
      sampleLength: .milliseconds(20), cleanUp: { directory.remove() })
  }

  private static let queryGroups = Benchmark.timed("dlq/query-groups") {
    let directory = try ScratchDirectory()
    let queue = try await full(directory)
    return Comparison(
      subject: { iterations in
        for _ in 0..<iterations {
          let groups = queue.groups()
          if groups.isEmpty { throw WrongCount(0) }
        }
      },
      sampleLength: .milliseconds(20), cleanUp: { directory.remove() })
  }

  /// A text that one letter in five hundred holds.
  private static let queryText = Benchmark.timed("dlq/query-text") {
    let directory = try ScratchDirectory()
    let queue = try await full(directory)
    var filter = DeadLetter.Filter()
    filter.text = "99"
    let wanted = filter
    return Comparison(
      subject: { iterations in
        for _ in 0..<iterations {
          let page = try await queue.letters(matching: wanted, limit: 50)
          if page.letters.count != 50 { throw WrongCount(page.letters.count) }
        }
      },
      sampleLength: .milliseconds(20), cleanUp: { directory.remove() })
  }

  private struct WrongCount: Error {
    var count: Int
    init(_ count: Int) { self.count = count }
  }

  /// Operations per second.
  private static func rate(
    callers: Int, each: Int, _ body: @escaping @Sendable (Int) async throws -> Void
  ) async throws -> Double {
    let clock = ContinuousClock()
    let start = clock.now
    try await withThrowingTaskGroup { group in
      for caller in 0..<callers {
        group.addTask {
          for number in 0..<each { try await body(caller * each + number) }
        }
      }
      try await group.waitForAll()
    }
    return Double(callers * each) / ((clock.now - start) / .seconds(1))
  }
}
