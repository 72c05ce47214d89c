import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import ResilientCaching

/// The number of an era, of which some readings come late.
private final class ScriptedEra: Sendable {
  private let state = Lock((now: UInt64(0), late: [UInt64]()))

  func read() -> UInt64 {
    state.withLock { $0.late.isEmpty ? $0.now : $0.late.removeFirst() }
  }
  func enter(_ era: UInt64) { state.withLock { $0.now = era } }
  func comesLate(_ late: [UInt64]) { state.withLock { $0.late = late } }
  var isReadUp: Bool { state.withLock { $0.late.isEmpty } }
}

private struct Withdrawn: ClassifiedError {
  var category: ErrorCategory { .cancelled }
  var retryability: Retryability { .notRetryable }
}

@Suite(.offThePool, .timeLimit(.minutes(10))) struct LateAndHungTests {
  private func stalePolicy() -> CachePolicy {
    var policy = CachePolicy(timeToLive: .seconds(10), staleWhileRevalidate: .seconds(10_000))
    policy.maximumRefreshes = 2
    policy.loadLease = .seconds(60)
    return policy
  }

  @Test("Refreshes that hang give their places back after their lease, and others are renewed")
  func hungRefreshes() async throws {
    let lab = Lab(stalePolicy())
    for key in ["a", "b", "c"] { lab.cache.set(0, for: key) }
    lab.clock.advance(by: .seconds(10))
    #expect(try await lab.ask("a").value == 0)
    await lab.load.reached(1)
    lab.clock.advance(by: .seconds(5))
    #expect(try await lab.ask("b").value == 0)
    await lab.load.reached(2)
    lab.clock.advance(by: .nanoseconds(55_000_000_000 - 1))
    #expect(try await lab.ask("c").value == 0)
    #expect(lab.cache.statistics.loads == 2, "within the lease of both")
    lab.clock.advance(by: .nanoseconds(1))
    #expect(try await lab.ask("c").value == 0)
    #expect(lab.cache.statistics.loads == 3)
    await lab.load.reached(3)
    while lab.load.cancelled < 1 { await Task.yield() }
    // One place was given back and is taken again; the other one is for five seconds more.
    #expect(try await lab.ask("a").value == 0)
    #expect(lab.cache.statistics.loads == 3)
    lab.clock.advance(by: .seconds(5))
    #expect(try await lab.ask("a").value == 0)
    await lab.load.reached(4)
    lab.load.end(3, .success(3))
    lab.load.end(4, .success(4))
    while lab.cache.peek("c") != 3 || lab.cache.peek("a") != 4 { await Task.yield() }
    #expect(lab.cache.guarded.withLock { $0.refreshes } == 0)
  }

  @Test("A refresh that is out of date but awaited takes no place, and gives none back twice")
  func outdatedRefreshes() async throws {
    var policy = CachePolicy(
      timeToLive: .seconds(10), staleWhileRevalidate: .seconds(10), staleIfError: .seconds(100))
    policy.maximumRefreshes = 1
    let lab = Lab(policy)
    for key in ["a", "b"] { lab.cache.set(0, for: key) }
    lab.clock.advance(by: .seconds(10))
    #expect(try await lab.ask("a").value == 0)
    await lab.load.reached(1)
    lab.clock.advance(by: .seconds(10))
    let waits = lab.ask("a")
    await lab.shared(1)
    lab.cache.set(1, for: "a")
    #expect(lab.cache.guarded.withLock { $0.refreshes } == 0)
    lab.load.end(1, .success(5))
    #expect(try await waits.value == 5)
    #expect(lab.cache.guarded.withLock { $0.refreshes } == 0)
    #expect(lab.cache.peek("a") == 1)
  }

  @Test("A reading of the era that comes late does not set the cache back")
  func lateEras() async throws {
    let (era, kinds) = (ScriptedEra(), Log<String>())
    let cache = ResilientCache<String, Int>(
      era: { era.read() }, observer: { kinds.append($0.kind.rawValue) })
    era.enter(1)
    #expect(cache.set(1, for: "a"))
    era.comesLate([0, 0])
    #expect(cache.value(for: "a") == 1)
    era.comesLate([0, 0])
    #expect(try await cache.value(for: "a") { 2 } == 1)
    era.comesLate([0])
    #expect(!cache.set(3, for: "a"), "it may be of the era before")
    #expect(cache.value(for: "a") == 1)
    _ = try await cache.value(for: "b") {
      era.comesLate([0])
      return 4
    }
    #expect(era.isReadUp && cache.value(for: "b") == 4)
    era.comesLate([0])
    #expect(cache.remove("b") == 4)
    #expect(kinds.all == ["cleared", "loaded"])
    #expect(cache.peek("a") == 1)
  }

  @Test("Also the eras before the last one are known as late")
  func olderEras() {
    let era = ScriptedEra()
    let cache = ResilientCache<String, Int>(era: { era.read() })
    for number in 1...8 {
      era.enter(UInt64(number))
      #expect(cache.set(number, for: "a"))
    }
    for number in 0..<8 {
      era.comesLate([UInt64(number), UInt64(number)])
      #expect(cache.value(for: "a") == 8)
    }
  }

  @Test("An era that the cache never saw and that is read late does not shut out the present one")
  func skippedEra() async throws {
    for asks in [false, true] {
      let era = ScriptedEra()
      let cache = ResilientCache<String, Int>(era: { era.read() })
      era.enter(2)
      #expect(cache.set(2, for: "a"))
      era.comesLate([1, 1])
      #expect(cache.value(for: "a") == nil)
      if asks {
        #expect(try await cache.value(for: "a") { 3 } == 3)
      } else {
        #expect(cache.set(3, for: "a"))
      }
      #expect(cache.value(for: "a") == 3)
    }
  }

  @Test("An era that comes again, against the rule, empties the cache but hangs nobody")
  func recurringEra() {
    let era = ScriptedEra()
    let cache = ResilientCache<String, Int>(era: { era.read() })
    for round in 0..<5 {
      era.enter(UInt64(round % 2))
      #expect(cache.value(for: "a") == nil)
      #expect(cache.set(round, for: "a"))
      #expect(cache.value(for: "a") == round)
    }
  }

  @Test("What is set while the era changes is not kept in the new one")
  func eraChangesInWeigher() {
    let era = ScriptedEra()
    let cache = ResilientCache<String, Int>(
      weigher: { _, value in
        if value == 2 { era.enter(1) }
        return 1
      }, era: { era.read() })
    #expect(cache.set(1, for: "a"))
    cache.set(2, for: "a")
    #expect(cache.value(for: "a") == nil)
  }

  @Test("A refresh that ends as cancelled by itself is backed off, and counts as no failure")
  func cancelledRefresh() async throws {
    let lab = Lab(stalePolicy())
    lab.cache.set(1, for: "a")
    lab.clock.advance(by: .seconds(10))
    for (attempt, delay) in [1, 2, 4].enumerated() {
      #expect(try await lab.ask().value == 1)
      await lab.load.reached(attempt + 1)
      lab.load.end(attempt + 1, .failure(Withdrawn()))
      while lab.story.count <= attempt { await Task.yield() }
      #expect(lab.events.all.last?.kind == .loadCancelled)
      #expect(lab.events.all.last?.retryAfter == .seconds(delay))
      lab.clock.advance(by: .nanoseconds(delay * 1_000_000_000 - 1))
      #expect(try await lab.ask().value == 1)
      #expect(lab.cache.statistics.loads == attempt + 1, "not before its time")
      lab.clock.advance(by: .nanoseconds(1))
    }
    let statistics = lab.cache.statistics
    #expect(statistics.loadFailures == 0 && statistics.loadCancellations == 3)
  }

  @Test("The priority of who joins before a load has its task is not lost")
  func earlyPriority() async {
    var machine = CacheStateMachine<Int, Int>(
      name: "m", rules: CacheRules(.default), isObserved: false, era: 0, seed: 1)
    var after = CacheStateMachine<Int, Int>.Aftermath()
    _ = machine.ask(
      CacheAddress(1, in: CacheSpace()), waiter: CacheWaiter(), number: 7, within: [],
      CacheMoment(now: 0, era: 0), &after)
    for priority in [TaskPriority.low, .high, .medium] {
      #expect(machine.hurry(7, to: priority) == nil)
    }
    let task = Task {}
    let attached = machine.attach(task, to: 7)
    #expect(attached.isWanted && attached.priority == .high)
    #expect(machine.hurry(7, to: .high) == task)
    #expect(machine.hurry(8, to: .high) == nil)
    let unknown = machine.attach(task, to: 8)
    #expect(!unknown.isWanted && unknown.priority == nil)
    await task.value
  }

  @Test("Times of less than a nanosecond are not none")
  func tinyTimes() async throws {
    let tiny = Duration(secondsComponent: 0, attosecondsComponent: 1)
    var policy = CachePolicy(timeToLive: tiny)
    policy.loadLease = tiny
    let lab = Lab(policy)
    lab.cache.set(1, for: "b")
    lab.cache.set(1, for: "c", timeToLive: tiny)
    #expect(lab.cache.value(for: "b") == 1 && lab.cache.value(for: "c") == 1)
    let tasks = [lab.ask(), lab.ask()]
    await lab.shared(1)
    await lab.load.reached(1)
    lab.load.end(1, .success(1))
    for task in tasks { #expect(try await task.value == 1) }
    #expect(lab.cache.statistics.loads == 1)
  }

  @Test("Only a value that would have been kept counts as outdated, with an event")
  func outdatedCounts() async throws {
    let lab = Lab(CachePolicy(maximumCost: 10), weigher: { _, value in value })
    let ends: [Result<Int, any Error>] = [.success(11), .failure(NoSuchValueError()), .success(1)]
    for (index, end) in ends.enumerated() {
      let task = lab.ask()
      await lab.load.reached(index + 1)
      lab.cache.remove("a")
      lab.load.end(index + 1, end)
      _ = await task.result
    }
    #expect(lab.story == ["oversized", "loadFailed", "outdated"])
    #expect(lab.cache.statistics.outdated == 1 && lab.cache.statistics.oversized == 1)
  }
}
