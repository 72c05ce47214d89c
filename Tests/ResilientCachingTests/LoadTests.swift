import CircuitBreaker
import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import ResilientCaching

private final class Era: Sendable {
  private let number = Lock<UInt64>(0)

  var now: UInt64 { number.withLock { $0 } }
  func change() { number.withLock { $0 += 1 } }
}

@Suite(.offThePool, .timeLimit(.minutes(10))) struct LoadTests {
  @Test("P40: of a hundred who ask at once, one load serves all")
  func singleFlight() async throws {
    let lab = Lab()
    let tasks = (0..<100).map { _ in lab.ask() }
    await lab.shared(99)
    await lab.load.reached(1)
    lab.load.end(1, .success(7))
    for task in tasks { #expect(try await task.value == 7) }
    #expect(lab.load.started == 1)
    #expect(lab.cache.value(for: "a") == 7)
    #expect(lab.cache.statistics.misses == 100 && lab.cache.statistics.loads == 1)
  }

  @Test("P40: the leader's cancellation ends its wait at once, and the followers get their value")
  func leaderCancelled() async throws {
    let lab = Lab()
    let leader = lab.ask()
    await lab.load.reached(1)
    let follower = lab.ask()
    await lab.shared(1)
    leader.cancel()
    #expect(await failure { try await leader.value } is CancellationError)
    #expect(lab.load.cancelled == 0)
    lab.load.end(1, .success(1))
    #expect(try await follower.value == 1)
    #expect(lab.cache.peek("a") == 1)
  }

  @Test("P40: a follower's cancellation ends its wait at once and nothing else")
  func followerCancelled() async throws {
    let lab = Lab()
    let leader = lab.ask()
    await lab.load.reached(1)
    let follower = lab.ask()
    await lab.shared(1)
    follower.cancel()
    #expect(await failure { try await follower.value } is CancellationError)
    #expect(lab.load.cancelled == 0)
    lab.load.end(1, .success(1))
    #expect(try await leader.value == 1)
  }

  @Test("P40: when all who wait have left, the load is cancelled, and the next one starts anew")
  func allCancelled() async throws {
    let lab = Lab()
    let tasks = [lab.ask()]
    await lab.load.reached(1)
    let more = (0..<5).map { _ in lab.ask() }
    await lab.shared(5)
    for task in tasks + more { task.cancel() }
    for task in tasks + more {
      #expect(await failure { try await task.value } is CancellationError)
    }
    while lab.load.cancelled < 1 { await Task.yield() }
    let next = lab.ask()
    await lab.load.reached(2)
    lab.load.end(2, .success(2))
    #expect(try await next.value == 2)
    #expect(lab.cache.statistics.loadCancellations == 1)
    #expect(lab.cache.statistics.loadFailures == 0, "neither a success nor a failure")
  }

  @Test("A load that ignores its cancellation serves nobody, and what it brings is not kept")
  func ignoresCancellation() async throws {
    let cache = ResilientCache<String, Int>()
    let (started, ended) = (Log<Int>(), Log<Int>())
    let goOn = ManualLoad<Int>()
    let task = Task {
      try await cache.value(for: "a") {
        started.append(1)
        let value = await Task.detached { try? await goOn.run() }.value
        ended.append(1)
        return value ?? 0
      }
    }
    await goOn.reached(1)
    task.cancel()
    #expect(await failure { try await task.value } is CancellationError)
    #expect(try await cache.value(for: "a") { 2 } == 2)
    goOn.end(1, .success(1))
    while ended.all.isEmpty { await Task.yield() }
    for _ in 0..<100 { await Task.yield() }
    #expect(cache.value(for: "a") == 2)
  }

  @Test("A cancelled task starts no load, but gets a hit")
  func cancelledBefore() async throws {
    let lab = Lab()
    lab.cache.set(1, for: "hit")
    let task = Task { [cache = lab.cache] in
      while !Task.isCancelled { await Task.yield() }
      let hit = try await cache.value(for: "hit") { 2 }
      let error = await failure { try await cache.value(for: "a") { 3 } }
      return (hit, error is CancellationError)
    }
    task.cancel()
    let (hit, isCancellation) = try await task.value
    #expect(hit == 1 && isCancellation)
    #expect(lab.cache.statistics.loads == 0)
  }

  @Test("An error goes unchanged to all who wait, and the next one asks anew")
  func errors() async throws {
    let lab = Lab()
    let tasks = (0..<10).map { _ in lab.ask() }
    await lab.shared(9)
    await lab.load.reached(1)
    lab.load.end(1, .failure(Down(number: 4)))
    for task in tasks {
      #expect(await failure { try await task.value } as? Down == Down(number: 4))
    }
    #expect(lab.cache.count == 0)
    #expect(try await lab.cache.value(for: "a") { 5 } == 5)
    #expect(lab.story == ["loadFailed", "loaded"])
  }

  @Test("P40: a cancellation that the load throws by itself is passed on and counts as no failure")
  func loadCancelsItself() async throws {
    let lab = Lab(CachePolicy(timeToLive: .seconds(10), staleIfError: .seconds(100)))
    lab.cache.set(1, for: "a")
    lab.clock.advance(by: .seconds(10))
    let error = await failure { try await lab.cache.value(for: "a") { throw CancellationError() } }
    #expect(error is CancellationError)
    #expect(lab.cache.statistics.loadFailures == 0 && lab.cache.statistics.loadCancellations == 1)
    #expect(try await lab.cache.value(for: "a") { 2 } == 2, "no setback either")
  }

  @Test("What a load brings after its key was set, removed, or invalidated is not kept")
  func outdated() async throws {
    let changes: [@Sendable (Lab) -> Void] = [
      { $0.cache.set(9, for: "a") }, { $0.cache.remove("a") }, { $0.cache.removeAll() },
      { $0.cache.advance(toVersion: 1) }, { $0.changeEra() },
    ]
    for change in changes {
      let lab = Lab()
      let early = lab.ask()
      await lab.load.reached(1)
      change(lab)
      if lab.cache.value(for: "a") == nil {
        let late = lab.ask()
        await lab.load.reached(2)
        lab.load.end(1, .success(1))
        #expect(try await early.value == 1, "it asked before")
        #expect(lab.cache.peek("a") == nil)
        lab.load.end(2, .success(2))
        #expect(try await late.value == 2, "it asked after")
        #expect(lab.cache.value(for: "a") == 2)
      } else {
        lab.load.end(1, .success(1))
        #expect(try await early.value == 1)
        #expect(lab.cache.value(for: "a") == 9)
      }
      #expect(lab.cache.statistics.outdated == 1)
    }
  }

  @Test("A load that takes longer than its lease is not waited for by those who ask later")
  func lease() async throws {
    let lab = Lab()
    let hung = lab.ask()
    await lab.load.reached(1)
    lab.clock.advance(by: .seconds(300))
    let next = lab.ask()
    await lab.load.reached(2)
    lab.load.end(2, .success(2))
    #expect(try await next.value == 2)
    lab.load.end(1, .success(1))
    #expect(try await hung.value == 1)
    #expect(lab.cache.value(for: "a") == 2)
  }

  @Test("A load may ask for other keys, and one that would wait for itself is told")
  func recursion() async throws {
    let cache = ResilientCache<String, Int>(name: "tree")
    let sum = try await cache.value(for: "a") {
      try await cache.value(for: "b") { try await cache.value(for: "c") { 1 } + 1 } + 1
    }
    #expect(sum == 3 && cache.count == 3)
    cache.removeAll()
    let same = await failure {
      try await cache.value(for: "a") { try await cache.value(for: "a") { 1 } }
    }
    #expect((same as? RecursiveLoadError)?.cache == "tree")
    let circle = await failure {
      try await cache.value(for: "a") {
        try await cache.value(for: "b") { try await cache.value(for: "a") { 1 } }
      }
    }
    #expect(circle is RecursiveLoadError)
    let other = ResilientCache<Int, Int>()
    let overTwoCaches = await failure {
      try await cache.value(for: "a") {
        try await other.value(for: 1) { try await cache.value(for: "a") { 1 } }
      }
    }
    #expect(overTwoCaches is RecursiveLoadError)
    // In another namespace it is another key.
    let space = cache.namespace("other")
    #expect(try await cache.value(for: "a") { try await space.value(for: "a") { 4 } } == 4)
  }

  @Test("A circle that two tasks close is found by the one who closes it; nothing hangs")
  func circleOfTwoTasks() async throws {
    let cache = ResilientCache<String, Int>()
    let gates = [ManualLoad<Int>(), ManualLoad<Int>()]
    func ask(_ key: String, _ gate: ManualLoad<Int>, then other: String) -> Task<Int, any Error> {
      Task {
        try await cache.value(for: key) {
          _ = try await gate.run()
          return try await cache.value(for: other) { 0 }
        }
      }
    }
    let tasks = [ask("a", gates[0], then: "b"), ask("b", gates[1], then: "a")]
    for gate in gates { await gate.reached(1) }
    for gate in gates { gate.end(1, .success(0)) }
    for task in tasks { #expect(await failure { try await task.value } is RecursiveLoadError) }
  }

  @TaskLocal static var trace = 0

  @Test("A load has its leader's task-local values and priority, but not its deadline")
  func inheritance() async throws {
    let cache = ResilientCache<String, [Int]>()
    let scope = DeadlineScope(until: ContinuousClock.now.advanced(by: .seconds(1000)))
    let seen = try await Self.$trace.withValue(5) {
      try await Deadline.$scope.withValue(scope) {
        try await cache.value(for: "a") { [Self.trace, Deadline.current == nil ? 1 : 0] }
      }
    }
    #expect(seen == [5, 1])
  }

  @Test("A limit of time ends the wait of one, not the load of the others")
  func deadlines() async throws {
    let lab = Lab()
    let patient = lab.ask()
    await lab.load.reached(1)
    let hasty = lab.ask()
    await lab.shared(1)
    hasty.cancel()  // as `withTimeout` does with its body
    #expect(await failure { try await hasty.value } is CancellationError)
    lab.load.end(1, .success(1))
    #expect(try await patient.value == 1)
  }

  @MainActor private var onMain: Int { 3 }

  @Test("Works from the main actor, whose state a load reaches by awaiting it")
  @MainActor func mainActor() async throws {
    let cache = ResilientCache<String, Int>()
    #expect(try await cache.value(for: "a") { await onMain } == 3)
    #expect(try await cache.valueIfAny(for: "b") { nil } == nil)
    cache.set(4, for: "c")
    #expect(cache.value(for: "c") == 4)
  }

  @Test(
    "Cancellation and the load's end at the same moment: one outcome each, and nothing is stuck")
  func race() async throws {
    let cache = ResilientCache<Int, Int>(policy: CachePolicy(capacity: 8))
    for round in 0..<300 {
      let key = round % 4
      let tasks = (0..<6).map { index in
        Task {
          try await cache.value(for: key) {
            for _ in 0..<(round % 5) { await Task.yield() }
            return round
          }
        }
      }
      for (index, task) in tasks.enumerated() where (index + round) % 3 != 0 {
        for _ in 0..<(index % 3) { await Task.yield() }
        task.cancel()
      }
      for task in tasks {
        switch await task.result {
        case .success(let value): #expect(value % 4 == key)
        case .failure(let error): #expect(error is CancellationError)
        }
      }
      if round % 2 == 0 { cache.remove(key) }
    }
    while cache.samples().first(where: { $0.name == "cache_loads_running" })!.value > 0 {
      await Task.yield()
    }
    let statistics = cache.statistics
    #expect(statistics.misses - statistics.sharedLoads == statistics.loads)
  }

  @Test("Many tasks do everything at once: bounds hold, and no value is of an older era")
  func storm() async throws {
    let era = Era()
    var policy = CachePolicy(
      capacity: 32, maximumCost: 100, timeToLive: .milliseconds(1),
      staleWhileRevalidate: .milliseconds(1), staleIfError: .milliseconds(2))
    policy.refreshBackoff = .constant(.milliseconds(1))
    let cache = ResilientCache<Int, UInt64>(
      policy: policy, weigher: { key, _ in key % 7 }, era: { era.now },
      observer: { _ in })
    await withTaskGroup { group in
      for worker in 0..<8 {
        group.addTask {
          var generator = SeededGenerator(seed: UInt64(worker))
          for step in 0..<1_500 {
            let key = Int.random(in: 0..<64, using: &generator)
            let before = era.now
            switch Int.random(in: 0..<20, using: &generator) {
            case 0: cache.remove(key)
            case 1: cache.set(before, for: key)
            case 2: cache.namespace("n").removeAll()
            case 3 where step % 10 == 0: era.change()
            case 4: _ = try? await cache.namespace("n").value(for: key) { before }
            case 5:
              let task = Task { try await cache.value(for: key) { before } }
              task.cancel()
              _ = try? await task.value
            case 6: _ = try? await cache.value(for: key) { throw Down() }
            default:
              let value = try? await cache.value(for: key) { era.now }
              if let value, value < before { Issue.record("\(value) in era \(before)") }
            }
            if cache.count > 32 || !(0...100).contains(cache.cost) { Issue.record("bounds") }
          }
        }
      }
    }
  }
}
