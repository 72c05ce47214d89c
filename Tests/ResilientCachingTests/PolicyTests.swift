import CircuitBreaker
import Foundation
import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import ResilientCaching

@Suite(.offThePool, .timeLimit(.minutes(10))) struct PolicyTests {
  @Test("An entry is fresh for its time and then not; a clock that steps back changes nothing")
  func timeToLive() {
    let lab = Lab(CachePolicy(timeToLive: .seconds(10)))
    lab.cache.set(1, for: "a")
    lab.cache.set(2, for: "b", timeToLive: .seconds(20))
    lab.clock.advance(by: .nanoseconds(9_999_999_999))
    #expect(lab.cache.value(for: "a") == 1)
    lab.clock.advance(by: .nanoseconds(1))
    #expect(lab.cache.value(for: "a") == nil)
    #expect(lab.cache.value(for: "b") == 2)
    #expect(lab.cache.statistics.expirations == 1)
  }

  @Test("Chance shortens lives by up to its part, and a seed makes it repeatable")
  func jitter() {
    func remaining(_ seed: UInt64) -> [Int] {
      let clock = ManualClock()
      var policy = CachePolicy(capacity: 1_000, timeToLive: .seconds(100))
      policy.jitter = 0.5
      policy.clock = clock
      policy.randomness = .seeded(seed)
      let cache = ResilientCache<Int, Int>(policy: policy)
      for key in 0..<1_000 { cache.set(key, for: key) }
      return [50, 25, 25].map { seconds in
        clock.advance(by: .seconds(seconds))
        return (0..<1_000).count { cache.peek($0) != nil }
      }
    }
    let counts = remaining(1)
    #expect(counts[0] == 1_000 && (400...600).contains(counts[1]) && counts[2] == 0)
    #expect(remaining(1) == counts)
  }

  @Test("The least recently used entry goes first, and looking without using does not save it")
  func leastRecentlyUsed() {
    let lab = Lab(CachePolicy(capacity: 3))
    for (value, key) in ["a", "b", "c"].enumerated() { lab.cache.set(value, for: key) }
    #expect(lab.cache.value(for: "a") == 0)
    #expect(lab.cache.peek("b") == 1)
    lab.cache.set(3, for: "d")
    #expect(lab.cache.peek("b") == nil)
    #expect(lab.cache.peek("a") == 0 && lab.cache.peek("c") == 2)
    #expect(lab.cache.statistics.countEvictions == 1 && lab.story == ["evicted"])
  }

  @Test("Costs stay within the budget; what is larger than all of it is returned but not kept")
  func cost() async throws {
    let lab = Lab(CachePolicy(maximumCost: 10), weigher: { _, value in value })
    lab.cache.set(6, for: "a")
    lab.cache.set(4, for: "b")
    #expect(lab.cache.cost == 10 && lab.cache.count == 2)
    lab.cache.set(1, for: "c")
    #expect(lab.cache.peek("a") == nil && lab.cache.cost == 5)
    #expect(try await lab.cache.value(for: "d") { 11 } == 11)
    #expect(lab.cache.count == 2)
    #expect(!lab.cache.set(12, for: "b"))
    #expect(lab.cache.peek("b") == nil, "the old value is out of date")
    for value in [Int.min, -1, 0] { lab.cache.set(value, for: "e\(value)") }
    #expect(lab.cache.cost == 1)
    #expect(!lab.cache.set(.max, for: "f"))
    #expect(lab.cache.statistics.oversized == 3 && lab.cache.statistics.costEvictions == 1)
  }

  @Test("Stale while revalidate: everybody gets the stale value at once, one load renews it")
  func staleWhileRevalidate() async throws {
    let lab = Lab(CachePolicy(timeToLive: .seconds(10), staleWhileRevalidate: .seconds(5)))
    lab.cache.set(1, for: "a")
    lab.clock.advance(by: .seconds(12))
    #expect(lab.cache.value(for: "a") == nil, "who can't load wants a fresh one")
    for _ in 0..<20 { #expect(try await lab.ask().value == 1) }
    await lab.load.reached(1)
    #expect(lab.load.started == 1)
    lab.load.end(1, .success(2))
    while lab.cache.peek("a") != 2 { await Task.yield() }
    #expect(lab.cache.statistics.staleHits == 20)
    lab.clock.advance(by: .seconds(15))
    let late = lab.ask()
    await lab.load.reached(2)
    lab.load.end(2, .success(3))
    #expect(try await late.value == 3, "after the window the load is waited for")
  }

  @Test("P41: a failed refresh keeps the stale value, and is tried again later and later")
  func failedRefresh() async throws {
    let lab = Lab(CachePolicy(timeToLive: .seconds(10), staleWhileRevalidate: .seconds(100)))
    lab.cache.set(1, for: "a")
    lab.clock.advance(by: .seconds(10))
    for (attempt, delay) in [1, 2, 4, 8, 8].enumerated() {
      #expect(try await lab.ask().value == 1)
      await lab.load.reached(attempt + 1)
      lab.load.end(attempt + 1, .failure(Down()))
      while lab.story.count <= attempt { await Task.yield() }
      #expect(lab.events.all.last?.kind == .refreshFailed)
      #expect(lab.events.all.last?.retryAfter == .seconds(delay))
      lab.clock.advance(by: .nanoseconds(delay * 1_000_000_000 - 1))
      #expect(try await lab.ask().value == 1)
      #expect(lab.load.started == attempt + 1, "not before its time")
      lab.clock.advance(by: .nanoseconds(1))
    }
    #expect(try await lab.ask().value == 1)
    await lab.load.reached(6)
    lab.load.end(6, .success(2))
    while lab.cache.peek("a") != 2 { await Task.yield() }
    #expect(lab.cache.statistics.loadFailures == 5)
  }

  @Test("P42: stale if error: the load is waited for; when it fails the stale value is the answer")
  func staleIfError() async throws {
    let lab = Lab(CachePolicy(timeToLive: .seconds(10), staleIfError: .seconds(60)))
    lab.cache.set(1, for: "a")
    lab.clock.advance(by: .seconds(10))
    let tasks = (0..<3).map { _ in lab.ask() }
    await lab.shared(2)
    await lab.load.reached(1)
    lab.load.end(1, .failure(Down()))
    for task in tasks { #expect(try await task.value == 1) }
    #expect(lab.cache.statistics.fallbacks == 3 && lab.story == ["fellBack"])
    #expect(try await lab.ask().value == 1, "no load before its time")
    #expect(lab.load.started == 1)
    lab.clock.advance(by: .seconds(1))
    let second = lab.ask()
    await lab.load.reached(2)
    lab.clock.advance(by: .seconds(59))
    lab.load.end(2, .failure(Down(number: 2)))
    #expect(await failure { try await second.value } as? Down == Down(number: 2), "too old now")
    #expect(lab.cache.count == 0)
  }

  @Test("That there is no value is remembered for a time of its own")
  func negative() async throws {
    var policy = CachePolicy(
      timeToLive: .seconds(100), staleIfError: .seconds(100), negativeTimeToLive: .seconds(5))
    policy.isNegative = { ($0 as? HTTPStatusError)?.statusCode == 404 }
    let lab = Lab(policy)
    let loads = Log<String>()
    for _ in 0..<3 {
      let error = await failure {
        try await lab.cache.value(for: "a") {
          loads.append("a")
          throw HTTPStatusError(404)
        }
      }
      #expect((error as? HTTPStatusError)?.statusCode == 404)
      #expect(
        try await lab.cache.valueIfAny(for: "b") {
          loads.append("b")
          return nil
        } == nil)
    }
    #expect(loads.all == ["a", "b"])
    #expect(lab.cache.statistics.negativeHits == 4)
    #expect(await failure { try await lab.cache.value(for: "b") { 1 } } is NoSuchValueError)
    #expect(lab.cache.value(for: "b") == nil && lab.cache.remove("b") == nil)
    lab.clock.advance(by: .seconds(5))
    #expect(try await lab.cache.value(for: "a") { 1 } == 1)
    // The answer that it is gone takes the place of a stale value.
    lab.clock.advance(by: .seconds(100))
    _ = await failure { try await lab.cache.value(for: "a") { throw NoSuchValueError() } }
    #expect(await failure { try await lab.cache.value(for: "a") { 1 } } is NoSuchValueError)
  }

  @Test("As many refreshes run at once as may; the other stale values wait for their turn")
  func maximumRefreshes() async throws {
    var policy = CachePolicy(timeToLive: .seconds(10), staleWhileRevalidate: .seconds(100))
    policy.maximumRefreshes = 2
    let lab = Lab(policy)
    for key in ["a", "b", "c"] { lab.cache.set(0, for: key) }
    lab.clock.advance(by: .seconds(10))
    for key in ["a", "b", "c"] { #expect(try await lab.ask(key).value == 0) }
    await lab.load.reached(2)
    #expect(lab.cache.statistics.loads == 2)
    lab.load.end(1, .success(1))
    while lab.cache.statistics.loads < 3 { _ = try await lab.ask("c").value }
  }

  @Test("Namespaces keep keys apart and are emptied on their own")
  func namespaces() async throws {
    let lab = Lab()
    let (one, two) = (lab.cache.namespace("one"), lab.cache.namespace("two"))
    lab.cache.set(0, for: "k")
    one.set(1, for: "k")
    two.set(2, for: "k")
    #expect(try await one.value(for: "l") { 11 } == 11)
    #expect([lab.cache.value(for: "k"), one.value(for: "k"), two.value(for: "k")] == [0, 1, 2])
    #expect(one.peek("l") == 11 && lab.cache.peek("l") == nil)
    one.removeAll()
    #expect(lab.cache.namespace("one").value(for: "k") == nil && one.peek("l") == nil)
    #expect(lab.cache.value(for: "k") == 0 && two.value(for: "k") == 2 && lab.cache.count == 2)
    #expect(two.remove("k") == 2 && two.value(for: "k") == nil)
    #expect(try await two.valueIfAny(for: "k") { nil } == nil)
    lab.cache.removeAll()
    #expect(lab.cache.count == 0 && lab.cache.cost == 0)
    #expect(lab.events.all.allSatisfy { $0.namespace != "" })
  }

  @Test("A load in a namespace that was emptied meanwhile is not kept there")
  func namespaceLoads() async throws {
    let lab = Lab()
    let space = lab.cache.namespace("one")
    let task = Task { [load = lab.load] in try await space.value(for: "a") { try await load.run() }
    }
    let other = lab.ask()
    await lab.load.reached(2)
    space.removeAll()
    for number in 1...2 { lab.load.end(number, .success(7)) }
    #expect(try await task.value == 7)
    #expect(try await other.value == 7)
    #expect(space.peek("a") == nil && lab.cache.peek("a") == 7)
  }

  @Test("Versions only grow, and a new one leaves no older entry")
  func versions() {
    let lab = Lab()
    lab.cache.advance(toVersion: 5)
    lab.cache.set(1, for: "a")
    lab.cache.advance(toVersion: 5)
    lab.cache.advance(toVersion: 3)
    #expect(lab.cache.value(for: "a") == 1 && lab.cache.version == 5)
    lab.cache.advance(toVersion: 6)
    #expect(lab.cache.value(for: "a") == nil)
  }

  @Test("Cache against breaker: invalid after every transition")
  func breakerEras() async throws {
    let clock = ManualClock()
    var configuration = CircuitBreaker.Configuration(consecutiveFailures: 1)
    configuration.clock = clock
    let breaker = CircuitBreaker(configuration: configuration)
    var policy = CachePolicy(
      staleWhileRevalidate: .seconds(10_000), staleIfError: .seconds(10_000))
    policy.clock = clock
    let cache = ResilientCache<String, Int>(policy: policy, era: { breaker.era })
    let transitions: [(String, () async throws -> Void)] = [
      ("open", { _ = await failure { try await breaker.run { throw Down() } } }),
      (
        "half-open",
        {
          clock.advance(by: .seconds(60))
          let ticket = try breaker.admit()
          #expect(breaker.state == .halfOpen)
          // What is cached while the probe is out dies with the probe's success.
          cache.set(50, for: "probe")
          ticket.succeed()
        }
      ),
      ("forced open", { breaker.forceOpen() }), ("disabled", { breaker.disable() }),
      ("metrics only", { breaker.observeOnly() }), ("closed", { breaker.reset() }),
      ("reset", { breaker.reset() }),
    ]
    for (name, transition) in transitions {
      cache.set(1, for: "a")
      #expect(cache.value(for: "a") == 1)
      try await transition()
      #expect(cache.peek("a") == nil, "\(name)")
      #expect(cache.value(for: "a") == nil && cache.peek("probe") == nil, "\(name)")
      let value = try await cache.value(for: "a") { 2 }
      #expect(value == 2, "not the stale one: \(name)")
    }
  }

  @Test("P43: cache, breaker and retry compose: a breaker that is open is bridged by what is stale")
  func composition() async throws {
    let lab = Lab(CachePolicy(timeToLive: .seconds(10), staleIfError: .seconds(600)))
    let breaker = CircuitBreaker(configuration: .init(consecutiveFailures: 1))
    let load: @Sendable () async throws -> Int = { try await breaker.run { throw Down() } }
    lab.cache.set(1, for: "a")
    lab.clock.advance(by: .seconds(10))
    #expect(try await lab.cache.value(for: "a", load: load) == 1)
    lab.clock.advance(by: .seconds(1))
    #expect(breaker.state == .open)
    #expect(try await lab.cache.value(for: "a", load: load) == 1)
    #expect(lab.events.all.last?.error is CircuitOpenError)
  }

  @Test("Bad values are refused with field and rule")
  func validation() async {
    let bad: [(String, @Sendable (inout CachePolicy) -> Void)] = [
      ("capacity", { $0.capacity = 0 }), ("capacity", { $0.capacity = 10_000_001 }),
      ("maximumCost", { $0.maximumCost = 0 }), ("timeToLive", { $0.timeToLive = .zero }),
      ("jitter", { $0.jitter = .nan }), ("jitter", { $0.jitter = -0.1 }),
      ("jitter", { $0.jitter = 1.1 }), ("jitter", { $0.jitter = .infinity }),
      ("staleWhileRevalidate", { $0.staleWhileRevalidate = .seconds(-1) }),
      ("staleIfError", { $0.staleIfError = .nanoseconds(-1) }),
      ("negativeTimeToLive", { $0.negativeTimeToLive = .seconds(-1) }),
      ("refreshBackoff.cap", { $0.refreshBackoff.cap = .zero }),
      ("maximumRefreshes", { $0.maximumRefreshes = 0 }), ("loadLease", { $0.loadLease = .zero }),
    ]
    for (field, change) in bad {
      var policy = CachePolicy.default
      change(&policy)
      let error = #expect(throws: ConfigurationError.self) { try policy.validate() }
      #expect(error?.field == field && error?.rule.hasPrefix("must") == true)
    }
    await #expect(processExitsWith: .failure) { _ = CachePolicy(capacity: 0) }
    await #expect(processExitsWith: .failure) {
      var policy = CachePolicy.default
      policy.jitter = .nan
      _ = ResilientCache<Int, Int>(policy: policy)
    }
    await #expect(processExitsWith: .failure) {
      _ = ResilientCache<Int, Int>().namespace("")
    }
    await #expect(processExitsWith: .failure) {
      ResilientCache<Int, Int>().set(1, for: 1, timeToLive: .zero)
    }
  }

  @Test("Huge times neither trap nor overflow")
  func hugeTimes() async throws {
    for start in [Int64.min, -1, Int64.max] {
      let instant = ContinuousClock.Instant(sinceOrigin: .nanoseconds(start))
      let huge = Duration(secondsComponent: .max, attosecondsComponent: 0)
      var policy = CachePolicy(
        capacity: 2, maximumCost: .max, timeToLive: huge, staleWhileRevalidate: huge,
        staleIfError: huge, negativeTimeToLive: huge)
      policy.clock = ManualClock(now: instant)
      policy.loadLease = huge
      policy.jitter = 1
      let cache = ResilientCache<Int, Int>(policy: policy, weigher: { _, _ in .max })
      for key in 0..<5 {
        cache.set(key, for: key, timeToLive: huge)
        _ = try? await cache.value(for: -key - 1) { throw Down() }
        _ = try await cache.valueIfAny(for: -key - 1) { nil }
        #expect(try await cache.value(for: key + 10) { key } == key)
      }
      #expect((0...Int.max).contains(cache.cost) && cache.count <= 2)
    }
  }

  @Test("Figures count everything once, and say what the mission asks for")
  func figures() async throws {
    let lab = Lab(CachePolicy(timeToLive: .seconds(10), staleIfError: .seconds(10)))
    _ = try await lab.cache.value(for: "a") { 1 }
    _ = try await lab.cache.value(for: "a") { 1 }
    _ = lab.cache.value(for: "a")
    lab.clock.advance(by: .seconds(11))
    _ = try await lab.cache.value(for: "a") { throw Down() }
    #expect(lab.cache.statistics.requests == 4 && lab.cache.statistics.hitRatio == 0.5)
    let samples = lab.cache.samples()
    func value(_ name: String, _ label: String? = nil) -> Double? {
      samples.first { $0.name == name && (label == nil || $0.labels.last?.value == label) }?.value
    }
    #expect(value("cache_hits_total", "fresh") == 2 && value("cache_misses_total") == 2)
    #expect(value("cache_fallbacks_total") == 1 && value("cache_hit_ratio") == 0.5)
    #expect(value("cache_entries") == 1 && value("cache_loads_total") == 2)
    #expect(samples.first { $0.name == "cache_load_seconds" }?.distribution?.count == 2)
    #expect(samples.allSatisfy { $0.labels.first?.name == "cache" && !$0.help.isEmpty })
    #expect(samples.allSatisfy { ($0.kind == .counter) == $0.name.hasSuffix("_total") })
    #expect(Set(samples.map { "\($0.name) \($0.labels)" }).count == samples.count)
    #expect(ResilientCache<Int, Int>().statistics.hitRatio == 0)
  }
}
