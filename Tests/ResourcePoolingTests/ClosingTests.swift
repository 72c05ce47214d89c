import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing
import TimeoutManager

@testable import ResourcePooling

/// A browser with its page and its driver, as a scanner uses them.
private struct Scanner {
  let story = Log<String>()
  let events = Log<PoolEvent>()
  let clock = ManualClock()
  let pool: ResourcePool<Int>

  /// - Parameter broken: The parts that can't be opened, and those that throw when closed.
  init(broken: Set<String> = [], _ change: (inout PoolConfiguration) -> Void = { _ in }) {
    var configuration = PoolConfiguration(minimum: 0, maximum: 3)
    configuration.clock = clock
    change(&configuration)
    configuration.observer = { [events] in events.append($0) }
    pool = ResourcePool(name: "browsers", configuration: configuration) { [story] parts in
      for part in ["driver", "browser", "page"] {
        _ = try await parts.add(part) {
          if broken.contains("open \(part)") { throw Down() }
          story.append("open \(part)")
          return part
        } close: { part in
          #expect(!Task.isCancelled)
          story.append("close \(part)")
          if broken.contains("close \(part)") { throw Down(number: 7) }
        }
      }
      return 1
    }
  }

  static let opened = ["open driver", "open browser", "open page"]
  static let closed = ["close page", "close browser", "close driver"]

  var closerErrors: [String] { events.all.compactMap(\.closer) }
}

@Suite(.offThePool, .timeLimit(.minutes(10))) struct ClosingTests {
  @Test("Closed on success: page, browser, driver")
  func closedOnSuccess() async throws {
    let scanner = Scanner()
    try await scanner.pool.withResource { _ in }
    #expect(scanner.story.all == Scanner.opened)
    await scanner.pool.stop()
    #expect(scanner.story.all == Scanner.opened + Scanner.closed)
  }

  @Test("Closed on error: page, browser, driver")
  func closedOnError() async throws {
    let scanner = Scanner { $0.discardAfter = { $0 is Down } }
    let error = await failure { try await scanner.pool.withResource { _ in throw Down() } }
    #expect(error is Down)
    await until { scanner.pool.statistics.closed == 1 }
    #expect(scanner.story.all == Scanner.opened + Scanner.closed)
  }

  @Test("Closed on timeout: page, browser, driver")
  func closedOnTimeout() async throws {
    let scanner = Scanner { $0.discardAfter = { $0 is CancellationError } }
    let (pool, clock) = (scanner.pool, scanner.clock)
    let task = Task {
      try await withTimeout(.seconds(5), clock: clock) {
        try await pool.withResource { _ in try await clock.wait(for: .seconds(3600)) }
      }
    }
    await until { pool.statistics.lent == 1 && clock.scheduledCount == 2 }
    clock.advance(by: .seconds(5))
    #expect(await failure { try await task.value } is TimeoutError)
    await until { pool.statistics.closed == 1 }
    #expect(scanner.story.all == Scanner.opened + Scanner.closed)
  }

  @Test("Closed on cancellation: page, browser, driver")
  func closedOnCancellation() async throws {
    let scanner = Scanner { $0.discardAfter = { $0 is CancellationError } }
    let (pool, clock) = (scanner.pool, scanner.clock)
    let task = Task {
      try await pool.withResource { _ in try await clock.wait(for: .seconds(3600)) }
    }
    await until { pool.statistics.lent == 1 }
    task.cancel()
    #expect(await failure { try await task.value } is CancellationError)
    await until { pool.statistics.closed == 1 }
    #expect(scanner.story.all == Scanner.opened + Scanner.closed)
  }

  @Test("A start that fails half way closes what was opened, in order", arguments: 0..<3)
  func startFailure(_ part: Int) async throws {
    let name = ["driver", "browser", "page"][part]
    let scanner = Scanner(broken: ["open \(name)"])
    let error = await failure { try await scanner.pool.withResource { _ in } }
    #expect((error as? PoolCreationError)?.cause is Down)
    #expect(
      scanner.story.all == Array(Scanner.opened.prefix(part)) + Scanner.closed.suffix(part))
    #expect(scanner.pool.statistics.creating == 0 && scanner.pool.statistics.created == 0)
  }

  @Test("A part that can't be closed is reported, the others are closed, the first error stands")
  func startAndCloseFailure() async throws {
    let scanner = Scanner(broken: ["open page", "close browser"])
    let error = await failure { try await scanner.pool.withResource { _ in } }
    #expect((error as? PoolCreationError)?.cause as? Down == Down())
    #expect(
      scanner.story.all == ["open driver", "open browser", "close browser", "close driver"])
    #expect(scanner.closerErrors == ["browser"])
  }

  @Test("All closers run in order even when each of them throws")
  func closersThatThrow() async throws {
    let scanner = Scanner(broken: ["close page", "close browser", "close driver"])
    try await scanner.pool.withResource { _ in }
    await scanner.pool.stop()
    #expect(scanner.story.all == Scanner.opened + Scanner.closed)
    #expect(scanner.closerErrors == ["page", "browser", "driver"])
    #expect(scanner.pool.statistics.closerErrors == 3 && scanner.pool.statistics.closed == 1)
  }

  @Test("A list of closers runs in order; one that hangs is cancelled and the next runs")
  func listOfClosers() async throws {
    let story = Log<String>()
    let clock = ManualClock()
    var configuration = PoolConfiguration()
    configuration.clock = clock
    configuration.observer = { event in
      if let closer = event.closer { story.append("\(closer) failed: \(event.error!)") }
    }
    let pool = ResourcePool<Int>(
      name: "scanners", configuration: configuration,
      closers: [
        ResourceCloser("page") { _ in
          story.append("page")
          try await clock.wait(for: .seconds(Int64.max))
        },
        ResourceCloser("browser") { _ in
          #expect(!Task.isCancelled)
          story.append("browser")
        },
        ResourceCloser("driver") { _ in story.append("driver") },
      ]
    ) { 1 }
    try await pool.withResource { _ in }
    let stop = Task { await pool.stop() }
    await clock.scheduled(atLeast: 2)
    clock.advance(by: .seconds(10))
    await stop.value
    #expect(
      story.all == [
        "page", "page failed: pool scanners: upkeep after 10.0 seconds, 0 of 10 lent", "browser",
        "driver",
      ])
  }

  @Test func stoppingWaitsForLoansAndRefusesEverybodyElse() async throws {
    let lab = Lab(.init(minimum: 0, maximum: 1))
    let held = try await lab.pool.held()
    let waiting = Task { try await lab.pool.withResource { _ in } }
    await until { lab.figures.waiting == 1 }
    let isStopped = Box(false)
    let stop = Task {
      await lab.pool.stop()
      isStopped.value = true
    }
    let refusal = await failure { try await waiting.value } as? PoolUnavailableError
    #expect(refusal?.code == .stopped && refusal?.retryability == .notRetryable)
    #expect(await failure { try await lab.pool.withResource { _ in } } is PoolUnavailableError)
    #expect(!lab.pool.hasIdle)
    lab.clock.advance(by: .seconds(29))
    #expect(!isStopped.value && lab.figures.lent == 1)
    held.giveBack()
    await stop.value
    #expect(lab.figures.closed == 1 && lab.figures.isConserved && lab.saw("close 1"))
    #expect(lab.clock.scheduledCount == 0)
    await lab.pool.stop()
    await lab.pool.run()
  }

  @Test("What has not come back when the time is over is closed all the same, and once")
  func recall() async throws {
    let lab = Lab(rollback: { _ in })
    let held = try await lab.pool.held()
    let stop = Task { await lab.pool.stop(drainingFor: .seconds(5)) }
    await lab.clock.scheduled(atLeast: 1)
    lab.clock.advance(by: .seconds(5))
    await stop.value
    #expect(
      lab.story.all == ["created #1", "evicted #1, recalled", "close 1", "closed #1"])
    held.giveBack()
    #expect(lab.figures.closed == 1 && lab.figures.lent == 0 && lab.figures.isConserved)
    #expect(lab.story.all.count == 4)
  }

  @Test func cancellingTheStopEndsTheWaitForLoansButNotTheClosing() async throws {
    let lab = Lab(close: { _ in #expect(!Task.isCancelled) })
    let held = try await lab.pool.held()
    let stop = Task { await lab.pool.stop(drainingFor: .seconds(Int64.max)) }
    await until { lab.pool.core.inspect { $0.machine.phase == .stopping } }
    stop.cancel()
    await stop.value
    #expect(lab.figures.closed == 1)
    held.drop()
  }

  @Test func theDeadlineBoundsTheWaitForLoans() async throws {
    let lab = Lab()
    let held = try await lab.pool.held()
    let scope = DeadlineScope(until: lab.clock.now.advanced(by: .seconds(2)))
    let stop = Task { await Deadline.$scope.withValue(scope) { await lab.pool.stop() } }
    await lab.clock.scheduled(atLeast: 1)
    lab.clock.advance(by: .seconds(2))
    await stop.value
    held.giveBack()
    #expect(lab.figures.isConserved && lab.figures.closed == 1)
  }

  @Test("A pool can be stopped while it creates, and closes what comes of it")
  func stopWhileCreating() async throws {
    for ignoresCancellation in [true, false] {
      let gate = Gate()
      let lab = Lab(create: { [clock = ManualClock()] _ in
        if ignoresCancellation {
          await gate.pass()
        } else {
          try await clock.wait(for: .seconds(3600))
        }
      })
      let waiting = Task { try await lab.pool.withResource { _ in } }
      await until { lab.figures.creating == 1 }
      if ignoresCancellation { await until { gate.waiting == 1 } }
      let stop = Task { await lab.pool.stop() }
      #expect(await failure { try await waiting.value } is PoolUnavailableError)
      gate.open()
      await stop.value
      #expect(lab.figures.created == (ignoresCancellation ? 1 : 0))
      #expect(lab.figures.isConserved && lab.figures.closed == lab.figures.created)
      #expect(lab.figures.creationErrors == 0)
    }
  }

  @Test func stoppingWaitsForTheRollbackThatIsUnderWayAndCloses() async throws {
    let gate = Gate()
    let lab = Lab(rollback: { _ in await gate.pass() })
    try await lab.pool.withResource { _ in }
    await until { gate.waiting == 1 }
    let stop = Task { await lab.pool.stop(drainingFor: .zero) }
    await until { lab.pool.core.inspect { $0.machine.phase == .stopping } }
    gate.open()
    await stop.value
    #expect(
      lab.story.all == ["created #1", "rollback 1", "evicted #1, stopped", "close 1", "closed #1"])
    #expect(lab.figures.isConserved)
  }

  @Test func aPartThatIsAddedTooLateTraps() async {
    await #expect(processExitsWith: .failure) {
      let leaked = Box<ResourceParts?>(nil)
      let pool = ResourcePool<Int> { parts in
        leaked.value = parts
        return 1
      }
      try await pool.withResource { _ in }
      _ = try await leaked.value!.add("late") {
        1
      } close: { _ in
      }
    }
  }

  @Test("Rapid start and stop leaves nothing behind")
  func rapidStartAndStop() async throws {
    let open = Box(0)
    for round in 0..<300 {
      let pool = ResourcePool<Int>(name: "rapid", configuration: .init(minimum: 3, maximum: 5)) {
        open.update { $0 += 1 }
        await Task.yield()
        return round
      } close: { _ in
        open.update { $0 -= 1 }
      }
      let run = Task { await pool.run() }
      for _ in 0..<(round % 7) { await Task.yield() }
      if round % 3 == 0 { _ = try? await pool.withResource { _ in } }
      if round % 2 == 0 { run.cancel() } else { await pool.stop() }
      await run.value
      #expect(pool.statistics.isConserved && pool.statistics.idle == 0)
    }
    #expect(open.value == 0)
  }

  @Test func aPoolThatNobodyHasAnyMoreClosesItsResources() async throws {
    let closed = Log<Int>()
    var held: Held<Int>?
    do {
      let numbers = Box(0)
      let pool = ResourcePool<Int>(name: "dropped") {
        numbers.update { numbers in
          numbers += 1
          return numbers
        }
      } close: { number in
        closed.append(number)
      }
      let first = try await pool.held()
      held = try await pool.held()
      first.giveBack()
    }
    await until { closed.all == [1] }
    held?.giveBack()
    await until { closed.all == [1, 2] }
  }
}
