import ReliabilityTesting
import Testing

@testable import DeadLetterQueue

@Suite struct RedriveTests {
  @Test(arguments: Kept.allCases)
  func whatSucceedsLeavesAndWhatFailsStaysWithOneMore(kept: Kept) async throws {
    let events = Events()
    var configuration = DeadLetterConfiguration()
    configuration.observer = events.add
    let queue = try await kept.queue(configuration)
    for number in 1...6 { try await queue.add(number) }
    var seen: [Int] = []
    let report = try await queue.redrive { order, letter in
      seen.append(order.number)
      #expect(letter.redriveCount == 1)
      if order.number % 2 == 0 { throw Broken(text: "still broken", category: .network) }
    }
    #expect(seen == [1, 2, 3, 4, 5, 6])
    #expect(report.selected == 6 && report.succeeded == 3 && report.failed == 3)
    #expect(report.ending == .completed && report.untried == 0)
    let left = try await queue.everything()
    #expect(try left.map { try $0.payload(as: Order.self).number } == [2, 4, 6])
    for letter in left {
      #expect(letter.redriveCount == 1 && letter.redrives.map(\.number) == [1])
      #expect(letter.attempts.count == 2 && letter.attempts.map(\.number) == [1, 2])
      #expect(letter.attempts[1].method == "redrive" && letter.attempts[1].elapsed != nil)
      #expect(letter.category == .network && letter.reason.contains("still broken"))
      #expect(letter.report.category == .network)
      #expect(letter.firstFailure < letter.lastFailure)
    }
    var filter = DeadLetter.Filter()
    filter.minimumRedrives = 1
    #expect(try await queue.count(matching: filter) == 3)
    #expect(events.reports == [report])
    #expect(queue.statistics.counts.redriven == 3 && queue.statistics.counts.failedAgain == 3)
  }

  @Test(arguments: Kept.allCases)
  func redriveAllEndsThoughEverythingDiesAgain(kept: Kept) async throws {
    let queue = try await kept.queue()
    for number in 1...30 { try await queue.add(number) }
    var runs = 0
    let report = try await queue.redrive { order, letter in
      runs += 1
      // Another letter for each one: as a queue does whose jobs die while it is redriven.
      var draft = DeadLetter.Draft(kind: "charge", error: Broken())
      draft.previous = letter.id
      draft.redriveCount = letter.redriveCount
      try await queue.add(order, as: draft)
      throw Broken()
    }
    #expect(runs == 30 && report.failed == 30 && queue.count == 60)
    let children = try await queue.everything().filter { $0.previous != nil }
    #expect(children.count == 30 && children.allSatisfy { $0.redriveCount == 1 })
  }

  @Test(arguments: Kept.allCases) func aDryRunChangesNothing(kept: Kept) async throws {
    let queue = try await kept.queue()
    for number in 1...3 { try await queue.add(number) }
    try await queue.add(bytes: Array("no order".utf8), as: .init(kind: "charge", error: Broken()))
    let before = (queue.statistics.bytes, queue.statistics.fileBytes)
    let budget = RetryBudget(ratio: 0, minimumPerSecond: 1, window: .seconds(1))
    let balance = budget.balance
    let limiter = RateLimiter(RateLimit(1, per: .seconds(60)))
    var options = DeadLetter.RedriveOptions()
    options.isDryRun = true
    (options.budget, options.limiter) = (budget, limiter)
    let report = try await queue.redrive(options: options) { _, _ in
      Issue.record("a dry run ran")
    }
    #expect(report.isDryRun && report.selected == 4)
    #expect(report.succeeded == 3 && report.undecodable == 1)
    #expect((queue.statistics.bytes, queue.statistics.fileBytes) == before)
    #expect(try await queue.everything().allSatisfy { $0.redriveCount == 0 })
    #expect(budget.balance == balance && limiter.tryAcquire().isAllowed)
  }

  @Test(arguments: Kept.allCases)
  func eachRedriveHasAFreshBudgetOfAttempts(kept: Kept) async throws {
    let queue = try await kept.queue()
    try await queue.add(1)
    var options = DeadLetter.RedriveOptions()
    options.retry = RetryPolicy(maxAttempts: 3, backoff: .constant(.zero))
    var runs = 0
    for round in 1...3 {
      _ = try await queue.redrive(options: options) { _, _ in
        runs += 1
        throw Broken()
      }
      #expect(runs == round * 3)
    }
    let letter = try #require(try await queue.everything().first)
    #expect(letter.redriveCount == 3 && letter.attempts.count == 10)
    #expect(letter.attempts.map(\.number) == Array(1...10))
  }

  @Test(arguments: Kept.allCases)
  func anEmptySharedBudgetEndsItAndLeavesTheRest(kept: Kept) async throws {
    let clock = ManualClock()
    let queue = try await kept.queue()
    for number in 1...10 { try await queue.add(number) }
    let budget = RetryBudget(ratio: 0, minimumPerSecond: 4, window: .seconds(1), clock: clock)
    var options = DeadLetter.RedriveOptions()
    options.budget = budget
    let report = try await queue.redrive(options: options) { _, _ in }
    #expect(report.ending == .budgetSpent && report.succeeded == 4 && report.untried == 6)
    #expect(try await queue.numbers() == [5, 6, 7, 8, 9, 10])
    #expect(try await queue.everything().allSatisfy { $0.redriveCount == 0 })
  }

  @Test(arguments: Kept.allCases) func aLimiterPacesTheLetters(kept: Kept) async throws {
    let clock = ManualClock()
    let queue = try await kept.queue()
    for number in 1...5 { try await queue.add(number) }
    var options = DeadLetter.RedriveOptions()
    options.limiter = RateLimiter(RateLimit(1, per: .seconds(1)), clock: clock)
    let start = clock.now
    let chosen = options
    let run = Task { try await queue.redrive(options: chosen) { _, _ in } }
    for _ in 1...4 { await clock.advanceToNext() }
    #expect(try await run.value.succeeded == 5)
    #expect(clock.now - start >= .seconds(4))
  }

  @Test(arguments: Kept.allCases)
  func aTurnThatComesAfterTheDeadlineIsRefusedAtOnce(kept: Kept) async throws {
    let events = Events()
    let queue = try await kept.queue(
      {
        var configuration = DeadLetterConfiguration()
        configuration.observer = events.add
        return configuration
      }())
    for number in 1...3 { try await queue.add(number) }
    var options = DeadLetter.RedriveOptions()
    options.limiter = RateLimiter(RateLimit(1, per: .seconds(3600)), maximumWaiters: 0)
    await #expect(throws: RateLimitedError.self) {
      try await queue.redrive(options: options) { _, _ in }
    }
    #expect(events.reports.last?.ending == .stopped && events.reports.last?.succeeded == 1)
    #expect(queue.count == 2)
  }

  @Test(arguments: Kept.allCases)
  func aRejectionBeforeTheCallCountsNothingAndEndsIt(kept: Kept) async throws {
    let queue = try await kept.queue()
    for number in 1...3 { try await queue.add(number) }
    let clock = ManualClock()
    let budget = RetryBudget(ratio: 0, minimumPerSecond: 4, window: .seconds(1), clock: clock)
    var options = DeadLetter.RedriveOptions()
    options.budget = budget
    let report = try await queue.redrive(options: options) { order, _ in
      if order.number == 2 { throw TurnedAway() }
    }
    #expect(report.ending == .turnedAway && report.succeeded == 1 && report.cancelled == 1)
    #expect(budget.balance == 3)
    #expect(try await queue.everything().map(\.redriveCount) == [0, 0])
  }

  @Test(arguments: Kept.allCases) func tooManyFailuresInARowEndIt(kept: Kept) async throws {
    let queue = try await kept.queue()
    for number in 1...9 { try await queue.add(number) }
    var options = DeadLetter.RedriveOptions()
    options.maximumFailuresInARow = 3
    let report = try await queue.redrive(options: options) { order, _ in
      if order.number != 2 { throw Broken() }
    }
    #expect(report.ending == .failing && report.failed == 4 && report.untried == 4)
  }

  @Test(arguments: Kept.allCases)
  func aCancelledRedriveLeavesTheLetterAsItWas(kept: Kept) async throws {
    let events = Events()
    let disk = Kept.disk()
    var configuration = DeadLetterConfiguration()
    configuration.observer = events.add
    let queue = try await kept.queue(configuration, on: disk)
    for number in 1...3 { try await queue.add(number) }
    let task = Task {
      try await queue.redrive { order, _ in
        if order.number == 2 {
          unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
          throw Broken(text: "closed under me")
        }
      }
    }
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(events.reports.last?.ending == .cancelled && events.reports.last?.cancelled == 1)
    #expect(try await queue.everything().map(\.redriveCount) == [0, 0])
    // A body that gives up by itself is no failure, and the others go on.
    let report = try await queue.redrive { order, _ in
      if order.number == 2 { throw CancellationError() }
    }
    #expect(report.cancelled == 1 && report.succeeded == 1 && report.ending == .completed)
    try await queue.close()
    if kept == .onDisk {
      let again = try await kept.queue(on: disk)
      #expect(try await again.everything().map(\.redriveCount) == [0])
    }
  }

  @Test(arguments: Kept.allCases)
  func aBodyThatSucceedsInACancelledTaskTakesItsLetterAway(kept: Kept) async throws {
    let queue = try await kept.queue()
    for number in 1...2 { try await queue.add(number) }
    let task = Task {
      try await queue.redrive { _, _ in unsafe withUnsafeCurrentTask { unsafe $0?.cancel() } }
    }
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(try await queue.numbers() == [2])
  }

  @Test(arguments: Kept.allCases) func aDyingTaskMayStillGiveUpItsWork(kept: Kept) async throws {
    let queue = try await kept.queue()
    let task = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      try await queue.add(1)
    }
    try await task.value
    #expect(try await queue.numbers() == [1])
  }

  @Test(arguments: Kept.allCases)
  func whatIsBeingRedrivenIsNeitherDiscardedNorRedrivenTwice(kept: Kept) async throws {
    let queue = try await kept.queue()
    for number in 1...4 { try await queue.add(number) }
    var inner = DeadLetter.RedriveReport()
    let report = try await queue.redrive { order, letter in
      guard order.number == 1 else { return }
      #expect(try await queue.discard(letter.id, reason: "now") == false)
      #expect(try await queue.letter(letter.id)?.redriveCount == 1)
      #expect(queue.statistics.redriving == 1)
      inner = try await queue.redrive { order, _ in #expect(order.number != 1) }
    }
    #expect(inner.skipped == 1 && inner.succeeded == 3)
    #expect(report.succeeded == 1 && report.skipped == 3 && queue.count == 0)
  }

  @Test(arguments: Kept.allCases)
  func payloadsThatNoLongerDecodeStayAndBlockNothing(kept: Kept) async throws {
    let events = Events()
    var configuration = DeadLetterConfiguration()
    configuration.observer = events.add
    let queue = try await kept.queue(configuration)
    let draft = DeadLetter.Draft(kind: "charge", error: Broken())
    let foreign: [[UInt8]] = [
      Array(#"{"id":"old form"}"#.utf8), [0, 255, 254, 10], [], Array("{".utf8),
    ]
    for (index, bytes) in foreign.enumerated() {
      try await queue.add(bytes: bytes, as: draft)
      try await queue.add(index)
    }
    let report = try await queue.redrive { _, _ in }
    #expect(report.undecodable == 4 && report.succeeded == 4 && report.failed == 0)
    let left = try await queue.everything()
    #expect(left.map(\.payload) == foreign && left.allSatisfy { $0.redriveCount == 0 })
    for letter in left {
      #expect(throws: DecodingError.self) { try letter.payload(as: Order.self) }
    }
    #expect(queue.statistics.counts.undecodable == 4)
    let told = events.all.count { if case .undecodable = $0 { true } else { false } }
    #expect(told == 4)
  }

  @Test(arguments: Kept.allCases) func aRedriveIsForAFewAndInOrder(kept: Kept) async throws {
    let queue = try await kept.queue()
    for number in 1...6 { try await queue.add(number, kind: number > 3 ? "late" : "early") }
    var options = DeadLetter.RedriveOptions()
    (options.maximumCount, options.order) = (2, .newestFirst)
    var seen: [Int] = []
    try await queue.redrive(.kind("late"), options: options) { order, _ in
      seen.append(order.number)
    }
    #expect(seen == [6, 5])
    options.maximumCount = -1
    #expect(try await queue.redrive(options: options) { _, _ in }.selected == 0)
  }

  @MainActor @Test func aBodyOnTheMainActorUsesItsState() async throws {
    let queue = DeadLetterQueue<Order>()
    try await queue.add(1)
    var state = 0
    try await queue.redrive { order, _ in
      MainActor.assertIsolated()
      state += order.number
    }
    #expect(state == 1)
  }
}
