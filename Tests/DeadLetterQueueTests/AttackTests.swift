import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import DeadLetterQueue

/// What a hostile or careless user does.
@Suite struct AttackTests {
  /// Hands the queue to its own observer.
  private final class Loop: Sendable {
    let queue = Lock<DeadLetterQueue<Order>?>(nil)
    let depth = Lock(0)
  }

  @Test(.timeLimit(.minutes(10)), arguments: Kept.allCases)
  func anObserverMayAskTheQueueBack(kept: Kept) async throws {
    let loop = Loop()
    let seen = Lock<[Int]>([])
    var configuration = DeadLetterConfiguration()
    configuration.observer = { _ in
      guard let queue = loop.queue.withLock({ $0 }) else { return }
      let count = queue.count + queue.groups().count + queue.samples().count
      seen.withLock { $0.append(count) }
    }
    let queue = try await kept.queue(configuration)
    loop.queue.withLock { $0 = queue }
    for number in 1...3 { try await queue.add(number) }
    try await queue.redrive { order, _ in if order.number == 2 { throw Broken() } }
    try await queue.discard(.all, reason: "x")
    #expect(seen.withLock { $0.count } >= 8)
    loop.queue.withLock { $0 = nil }
  }

  @Test(.timeLimit(.minutes(10)), arguments: Kept.allCases)
  func cancelledAtAnyMomentEveryLetterIsHereOrGone(kept: Kept) async throws {
    let queue = try await kept.queue()
    for round in 0..<60 {
      let task = Task {
        let id = try await queue.add(round)
        try await queue.redrive(.ids([id])) { order, _ in
          if order.number % 3 == 0 { throw Broken() }
          if order.number % 3 == 1 { try Task.checkCancellation() }
        }
        try await queue.discard(id, reason: "done")
      }
      if round % 2 == 0 { await Task.yield() }
      task.cancel()
      _ = await task.result
    }
    let statistics = queue.statistics
    #expect(statistics.redriving == 0 && statistics.counts.added == 60)
    #expect(
      statistics.count == 60 - statistics.counts.redriven - statistics.counts.discarded)
    #expect(try await queue.everything().count == statistics.count)
    // Nothing was left in a state that keeps it from being redriven.
    #expect(try await queue.redrive { _, _ in }.succeeded == statistics.count)
    #expect(queue.count == 0 && queue.statistics.bytes == 0)
  }

  @Test(.timeLimit(.minutes(10)), arguments: Kept.allCases)
  func manyAtOnceLoseNothing(kept: Kept) async throws {
    let queue = try await kept.queue()
    let redriven = Tally()
    try await withThrowingTaskGroup { group in
      for worker in 0..<8 {
        group.addTask {
          for step in 0..<20 { try await queue.add(worker * 100 + step) }
        }
      }
      for _ in 0..<3 {
        group.addTask {
          for _ in 0..<6 {
            try await queue.redrive { order, _ in
              redriven.count(order.number)
              await Task.yield()
            }
          }
        }
      }
      group.addTask { for _ in 0..<5 { _ = try await queue.letters(limit: 10) } }
      try await group.waitForAll()
    }
    try await queue.redrive { order, _ in redriven.count(order.number) }
    let runs = redriven.all
    #expect(runs.count == 160 && runs.values.allSatisfy { $0 == 1 })
    #expect(queue.count == 0 && queue.statistics.counts.redriven == 160)
  }

  @Test func aQueueMayBeDroppedWhileItWorks() async throws {
    let disk = Kept.disk()
    do {
      var configuration = DeadLetterConfiguration()
      configuration.retention.maximumAge = .seconds(3600)
      let queue = try await Kept.onDisk.queue(configuration, on: disk)
      let task = Task { for number in 1...10 { try await queue.add(number) } }
      try await task.value
    }
    var configuration = DeadLetterConfiguration()
    // The upkeep of the one before may still hold it.
    configuration.ownerTimeout = .seconds(60)
    #expect(try await Kept.onDisk.queue(configuration, on: disk).count == 10)
  }

  @Test(arguments: Kept.allCases) func limitsAtTheirEndsTrapNothing(kept: Kept) async throws {
    var configuration = DeadLetterConfiguration()
    configuration.retention.maximumAge = .seconds(Int64.max)
    configuration.retention.maximumCount = .max
    configuration.alert.count = .max
    configuration.alert.arrivals = 0
    configuration.alert.window = .seconds(Int64.max)
    configuration.capacity = .max
    configuration.maximumBytes = .max
    let queue = try await kept.queue(configuration)
    try await queue.add(1)
    #expect(try await queue.sweep() == 0)
    let page = try await queue.letters(limit: .max)
    #expect(page.letters.count == 1 && page.next == nil)
    var filter = DeadLetter.Filter()
    filter.youngerThan = .seconds(Int64.max)
    filter.minimumRedrives = .min
    filter.maximumRedrives = .max
    #expect(try await queue.count(matching: filter) == 1)
    var options = DeadLetter.RedriveOptions()
    options.maximumFailuresInARow = 0
    #expect(try await queue.redrive(options: options) { _, _ in throw Broken() }.failed == 1)
  }

  @Test func aReportsSizeIsBoundedWhateverTheErrorSays() async throws {
    var configuration = DeadLetterConfiguration()
    configuration.maximumReportBytes = 1024
    let queue = DeadLetterQueue<Order>(configuration: configuration)
    let text = String(repeating: "\u{1}\"\\", count: 1 << 20)
    let id = try await queue.add(1, Broken(text: text))
    let letter = try #require(try await queue.letter(id))
    #expect(letter.reportJSON.count <= 1024 && letter.report.category == .dependency)
    #expect(queue.statistics.bytes < 16 << 10)
  }
}
