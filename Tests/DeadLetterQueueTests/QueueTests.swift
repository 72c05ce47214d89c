import ReliabilityTesting
import Testing

@testable import DeadLetterQueue

/// What holds in memory and on disk alike.
@Suite struct QueueTests {
  @Test(arguments: Kept.allCases) func aLetterTellsItsWholeStory(kept: Kept) async throws {
    let queue = try await kept.queue()
    let error = await #expect(throws: ContextualError.self) {
      try await withErrorContext("checkout", ["order": .public("4711")]) {
        try await retry(RetryPolicy(maxAttempts: 3, backoff: .constant(.zero))) { _ in
          throw Broken(text: "no answer from till 17")
        }
      }
    }
    var draft = DeadLetter.Draft(kind: "charge", error: try #require(error))
    draft.source = "orders/4711"
    draft.reason = "attempts spent"
    draft.previous = DeadLetter.ID(rawValue: 9)
    draft.redriveCount = 2
    let id = try await queue.add(Order(number: 4711, note: "ü\n\"quoted\""), as: draft)
    let letter = try #require(try await queue.letter(id))
    #expect(letter.id == id && letter.kind == "charge" && letter.source == "orders/4711")
    #expect(letter.reason == "attempts spent" && letter.category == .dependency)
    #expect(letter.previous?.rawValue == 9 && letter.redriveCount == 2)
    #expect(try letter.payload(as: Order.self) == Order(number: 4711, note: "ü\n\"quoted\""))
    #expect(letter.attempts.count == 3 && letter.attempts.map(\.number) == [1, 2, 3])
    #expect(letter.attempts.allSatisfy { $0.error.contains("no answer") })
    #expect(letter.attempts == draft.report.attempts)
    #expect(letter.fingerprint == draft.report.fingerprint && !letter.fingerprint.isEmpty)
    #expect(letter.report.context.first?.name == "checkout")
    #expect(letter.report.errorID == draft.report.errorID)
    #expect(letter.firstFailure <= letter.lastFailure && letter.lastFailure <= letter.arrivedAt)
    #expect(try await queue.letter(DeadLetter.ID(rawValue: 99)) == nil)
    #expect(DeadLetter.ID("17")?.rawValue == 17 && DeadLetter.ID("x") == nil)
  }

  @Test(arguments: Kept.allCases) func aFailureWithoutHistoryIsOneAttempt(kept: Kept) async throws {
    let queue = try await kept.queue()
    let letter = try #require(try await queue.letter(try await queue.add(1)))
    #expect(letter.attempts.count == 1 && letter.reason.contains("till"))
    #expect(letter.firstFailure == letter.lastFailure)
  }

  @Test(arguments: Kept.allCases) func filtersSayWhichLettersAreMeant(kept: Kept) async throws {
    let clock = ManualClock()
    var configuration = DeadLetterConfiguration()
    configuration.clock = clock
    let queue = try await kept.queue(configuration)
    try await queue.add(1)
    try await queue.add(2, kind: "mail", Broken(text: "Postbox full", category: .network))
    clock.advance(by: .seconds(60))
    try await queue.add(3, kind: "mail")
    try await queue.add(Order(number: 4, note: "GRÜSSE \"x\""), kind: "charge", error: Broken())
    #expect(try await queue.numbers() == [1, 2, 3, 4])
    #expect(try await queue.numbers(.kind("mail")) == [2, 3])
    #expect(try await queue.numbers(.kind("none")) == [])
    func numbers(_ change: (inout DeadLetter.Filter) -> Void) async throws -> [Int] {
      var filter = DeadLetter.Filter()
      change(&filter)
      #expect(try await queue.count(matching: filter) == queue.numbers(filter).count)
      return try await queue.numbers(filter)
    }
    #expect(try await numbers { $0.category = .network } == [2])
    #expect(try await numbers { $0.olderThan = .seconds(60) } == [1, 2])
    #expect(try await numbers { $0.olderThan = .seconds(61) } == [])
    #expect(try await numbers { $0.youngerThan = .seconds(60) } == [3, 4])
    #expect(try await numbers { $0.olderThan = .seconds(-5) } == [1, 2, 3, 4])
    #expect(try await numbers { $0.olderThan = .seconds(Int64.max) } == [])
    #expect(try await numbers { $0.text = "postBOX" } == [2])
    #expect(try await numbers { $0.text = "GRÜSSE \"X" } == [4])
    #expect(try await numbers { $0.text = "fingerprint" } == [])
    #expect(try await numbers { $0.text = "" } == [1, 2, 3, 4])
    #expect(try await numbers { $0.ids = [.init(rawValue: 1), .init(rawValue: 77)] } == [1])
    #expect(try await numbers { $0.minimumRedrives = 1 } == [])
    #expect(try await numbers { $0.maximumRedrives = 0 } == [1, 2, 3, 4])
    #expect(
      try await numbers {
        $0.minimumRedrives = 2; $0.maximumRedrives = 1
      } == [])
    let newest = try await queue.everything(order: .newestFirst).map(\.id.rawValue)
    #expect(newest == [4, 3, 2, 1])
  }

  @Test(arguments: Kept.allCases) func pagesMissNothingWhileLettersComeAndGo(kept: Kept)
    async throws
  {
    let queue = try await kept.queue()
    for number in 1...20 { try await queue.add(number) }
    var seen: [Int] = []
    var cursor: DeadLetter.Cursor?
    var round = 0
    repeat {
      let page = try await queue.letters(after: cursor, limit: 3)
      seen += try page.letters.map { try $0.payload(as: Order.self).number }
      cursor = page.next
      round += 1
      // The last one seen, one far ahead, and a new one at the end.
      if let last = page.letters.last { try await queue.discard(last.id, reason: "seen") }
      if round <= 3 {
        try await queue.discard(DeadLetter.ID(rawValue: UInt64(20 - round)), reason: "ahead")
        try await queue.add(20 + round)
        if round == 2 { try await queue.compact() }
      }
    } while cursor != nil
    #expect(seen == Array(1...16) + [20, 21, 22, 23])
    let end = try await queue.letters(
      after: .init(after: .init(rawValue: .max), order: .oldestFirst))
    #expect(end.letters.isEmpty && end.next == nil)
  }

  @Test(arguments: Kept.allCases) func theSameTroubleIsOneGroup(kept: Kept) async throws {
    let queue = try await kept.queue()
    for number in 1...5 { try await queue.add(number, Broken(text: "till \(number) is broken")) }
    try await queue.add(6, kind: "mail", Broken(text: "till 6 is broken"))
    try await queue.add(7, Broken(text: "no money", category: .validation))
    let groups = queue.groups()
    #expect(groups.map(\.count) == [6, 1])
    #expect(groups[0].kinds == ["charge", "mail"] && groups[1].category == .validation)
    #expect(groups[0].oldest.rawValue == 1 && groups[0].newest.rawValue == 6)
    #expect(groups[0].firstFailure <= groups[0].lastFailure)
    #expect(try await queue.numbers(.fingerprint(groups[1].fingerprint)) == [7])
    #expect(queue.groups(matching: .kind("mail")).map(\.count) == [1])
    #expect(queue.groups(matching: .kind("none")).isEmpty)
  }

  @Test(arguments: Kept.allCases) func whatIsDiscardedIsGoneAndTold(kept: Kept) async throws {
    let events = Events()
    var configuration = DeadLetterConfiguration()
    configuration.observer = events.add
    let queue = try await kept.queue(configuration)
    for number in 1...1200 { try await queue.add(number, kind: number % 10 == 0 ? "odd" : "even") }
    #expect(try await queue.discard(.kind("even"), reason: "test data") == 1080)
    #expect(try await queue.discard(.kind("even"), reason: "again") == 0)
    #expect(try await queue.discard(DeadLetter.ID(rawValue: 2), reason: "again") == false)
    #expect(queue.count == 120 && queue.statistics.counts.discarded == 1080)
    #expect(events.departed(.discarded(reason: "test data")).count == 1080)
    #expect(try await queue.numbers(.kind("odd")).count == 120)
  }

  @Test(arguments: Kept.allCases) func figuresCarryTheNamesOfTheMission(kept: Kept) async throws {
    var configuration = DeadLetterConfiguration()
    configuration.name = "orders"
    let queue = try await kept.queue(configuration)
    try await queue.add(1)
    try await queue.add(2)
    try await queue.discard(DeadLetter.ID(rawValue: 1), reason: "x")
    let samples = queue.samples()
    func value(_ name: String) -> Double? { samples.first { $0.name == name }?.value }
    #expect(value("dead_letter_jobs") == 1)
    #expect(value("dead_letter_added_total") == 2)
    #expect(value("dead_letter_discarded_total") == 1)
    #expect(value("dead_letter_dropped_total") == 0)
    #expect(samples.allSatisfy { $0.labels.first.map { $0 == ("queue", "orders") } ?? false })
    for sample in samples {
      #expect((sample.kind == .counter) == sample.name.hasSuffix("_total"), "\(sample.name)")
    }
    let statistics = queue.statistics
    #expect(statistics.count == 1 && statistics.bytes > 0 && statistics.redriving == 0)
    #expect((statistics.fileBytes != nil) == (kept == .onDisk))
  }

  @Test(arguments: Kept.allCases) func aClosedQueueRefusesChanges(kept: Kept) async throws {
    let queue = try await kept.queue()
    try await queue.add(1)
    try await queue.close()
    try await queue.close()
    let error = await #expect(throws: DeadLetterError.self) { try await queue.add(2) }
    #expect(error?.code == .closed)
    await #expect(throws: DeadLetterError.self) { try await queue.discard(.all, reason: "x") }
    await #expect(throws: DeadLetterError.self) { try await queue.redrive { _, _ in } }
    await #expect(throws: DeadLetterError.self) { try await queue.compact() }
  }

  @Test(arguments: Kept.allCases) func growthWarnsOnceUntilItShrank(kept: Kept) async throws {
    let clock = ManualClock()
    let events = Events()
    var configuration = DeadLetterConfiguration()
    configuration.clock = clock
    configuration.observer = events.add
    configuration.alert.arrivals = 3
    configuration.alert.window = .seconds(10)
    let queue = try await kept.queue(configuration)
    func warnings() -> [String] {
      events.all.compactMap { kind in
        switch kind {
        case .piledUp(let count, let limit): "piled \(count) > \(limit)"
        case .arrivingFast(let arrivals, _): "fast \(arrivals)"
        default: nil
        }
      }
    }
    for number in 1...12 {
      clock.advance(by: .seconds(4))
      try await queue.add(number)
    }
    #expect(warnings() == ["piled 11 > 10"])
    try await queue.discard(.ids((1...3).map { .init(rawValue: $0) }), reason: "x")
    clock.advance(by: .seconds(100))
    for number in 13...14 { try await queue.add(number) }
    #expect(warnings() == ["piled 11 > 10"])
    try await queue.discard(.ids((4...6).map { .init(rawValue: $0) }), reason: "x")
    clock.advance(by: .seconds(100))
    for number in 15...20 { try await queue.add(number) }
    #expect(warnings() == ["piled 11 > 10", "piled 11 > 10", "fast 4"])
  }

  @Test func badConfigurationsNameTheirField() {
    func field(_ change: (inout DeadLetterConfiguration) -> Void) -> String? {
      var configuration = DeadLetterConfiguration()
      change(&configuration)
      do throws(ConfigurationError) {
        try configuration.validate()
        return nil
      } catch {
        return error.field
      }
    }
    #expect(field { _ in } == nil)
    #expect(field { $0.capacity = 0 } == "capacity")
    #expect(field { $0.maximumBytes = 5 } == "maximumBytes")
    #expect(field { $0.maximumPayloadBytes = 1 << 30 } == "maximumPayloadBytes")
    #expect(field { $0.maximumReportBytes = 0 } == "maximumReportBytes")
    #expect(field { $0.overflow = .spill(to: "") } == "overflow")
    #expect(field { $0.retention.maximumAge = .zero } == "retention.maximumAge")
    #expect(field { $0.retention.maximumCount = -1 } == "retention.maximumCount")
    #expect(field { $0.alert.window = .zero } == "alert.window")
    #expect(field { $0.alert.count = -1 } == "alert.count")
    #expect(field { $0.ownerTimeout = .seconds(-1) } == "ownerTimeout")
  }
}
