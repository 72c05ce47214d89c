import Foundation
import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import ResilientCaching

/// Does something when it goes.
private final class Bomb: Sendable {
  private let action: @Sendable () -> Void

  init(_ action: @escaping @Sendable () -> Void) { self.action = action }

  deinit { action() }
}

/// A key all of whose hashes are the same.
private struct Colliding: Hashable, Sendable {
  var number: Int

  func hash(into hasher: inout Hasher) {}
}

@Suite(.offThePool, .timeLimit(.minutes(10))) struct HostileTests {
  @Test("P24: values that use the cache in their deinit never meet its lock")
  func deinitUsesTheCache() async throws {
    let gone = Log<Int>()
    let cache = ResilientCache<Int, Bomb>(policy: CachePolicy(capacity: 2))
    @Sendable func bomb() -> Bomb {
      Bomb { [weak cache] in
        cache?.remove(99)
        gone.append(cache?.count ?? 0)
      }
    }
    for key in 0..<10 { cache.set(bomb(), for: key) }
    for _ in 0..<5 { cache.set(bomb(), for: 9) }
    cache.remove(9)
    cache.namespace("n").set(bomb(), for: 1)
    cache.namespace("n").removeAll()
    cache.advance(toVersion: 1)
    _ = try await cache.value(for: 1) { bomb() }
    cache.removeAll()
    // The task of the load may be the last to let go.
    while gone.all.count < 17 { await Task.yield() }
    #expect(gone.all.count == 17)
  }

  @Test("P24: an observer, a weigher, an era and a predicate may use the cache")
  func closuresUseTheCache() async throws {
    final class Box: Sendable {
      let cache = Lock<ResilientCache<Int, Int>?>(nil)
      var count: Int { cache.withLock { $0 }?.count ?? 0 }
      func empty() { cache.withLock { $0 = nil } }
    }
    let box = Box()
    var policy = CachePolicy(capacity: 2)
    policy.isNegative = { _ in box.count >= 0 }
    let told = Log<Int>()
    let cache = ResilientCache<Int, Int>(
      policy: policy, weigher: { _, _ in box.count }, era: { UInt64(box.count * 0) },
      observer: { _ in
        told.append(box.count)
        box.cache.withLock { $0 }?.remove(-1)
      })
    box.cache.withLock { $0 = cache }
    for key in 0..<5 { _ = try await cache.value(for: key) { key } }
    _ = await failure { try await cache.value(for: 9) { throw Down() } }
    #expect(told.all.count == 10)
    box.empty()
  }

  @Test("A load that starts when the cache is gone ends, and its refresh is cancelled")
  func cacheGoes() async throws {
    let clock = ManualClock()
    let load = ManualLoad<Int>()
    var policy = CachePolicy(timeToLive: .seconds(1), staleWhileRevalidate: .seconds(100))
    policy.jitter = 0
    policy.clock = clock
    var cache: ResilientCache<Int, Int>? = ResilientCache(policy: policy)
    cache!.set(1, for: 1)
    clock.advance(by: .seconds(2))
    #expect(try await cache!.value(for: 1) { try await load.run() } == 1)
    await load.reached(1)
    cache = nil
    while load.cancelled == 0 { await Task.yield() }
  }

  @Test("Who waits keeps the cache")
  func waiterKeepsTheCache() async throws {
    let load = ManualLoad<Int>()
    let task = Task { try await ResilientCache<Int, Int>().value(for: 1) { try await load.run() } }
    await load.reached(1)
    load.end(1, .success(5))
    #expect(try await task.value == 5)
  }

  @Test("Keys that all collide are kept apart")
  func collisions() {
    let cache = ResilientCache<Colliding, Int>(policy: CachePolicy(capacity: 50))
    for number in 0..<200 { cache.set(number, for: Colliding(number: number)) }
    for number in 150..<200 { #expect(cache.value(for: Colliding(number: number)) == number) }
    for number in stride(from: 150, to: 200, by: 2) { cache.remove(Colliding(number: number)) }
    for number in 150..<200 {
      #expect(
        cache.value(for: Colliding(number: number)) == (number % 2 == 0 ? nil : number))
    }
    #expect(cache.count == 25)
  }

  @Test("The index agrees with a dictionary through random insertions and removals")
  func index() {
    var generator = SeededGenerator(seed: 5)
    var index = SlotIndex()
    var dictionary: [Int: UInt32] = [:]
    for step in 0..<6_000 {
      let slot = Int.random(in: 0..<60, using: &generator)
      if let hash = dictionary.removeValue(forKey: slot) {
        index.remove(slot, hash: hash)
      } else {
        // Few hashes, at the end of the table too, so that runs are long and wrap around.
        let hash = UInt32.max - UInt32.random(in: 0..<20, using: &generator)
        dictionary[slot] = hash
        index.insert(slot, hash: hash)
      }
      if step % 60 == 0 {
        for slot in 0..<60 {
          let found = dictionary[slot].map { hash in index.slot(of: hash) { $0 == slot } }
          #expect(found ?? slot == slot)
          if dictionary[slot] == nil {
            for hash in UInt32.max - 20...UInt32.max {
              #expect(index.slot(of: hash) { $0 == slot } < 0, "step \(step)")
            }
          }
        }
      }
    }
  }

  @Test("Entries that are over go although nobody asks for them")
  func sweep() {
    let lab = Lab(CachePolicy(capacity: 1_000, timeToLive: .seconds(10)))
    for key in 0..<500 { lab.cache.set(key, for: "old \(key)") }
    lab.clock.advance(by: .seconds(10))
    for key in 0..<600 { lab.cache.set(key, for: "new \(key)") }
    #expect(lab.cache.count == 600)
  }

  @Test("P29: namespaces leave nothing behind")
  func namespaceMemory() {
    let cache = ResilientCache<Int, Int>(policy: CachePolicy(capacity: 10))
    for number in 0..<10_000 { cache.namespace("tenant \(number)").set(1, for: 1) }
    #expect(cache.guarded.withLock { $0.table.namespaceCount } == 10)
    cache.removeAll()
    #expect(cache.guarded.withLock { $0.table.namespaceCount } == 0)
  }

  @Test("P29: chains of loads that leave tasks behind keep nothing")
  func scopes() async throws {
    let outer = LoadScope(1, within: LoadScope(0, within: nil))
    let inner = LoadScope(2, within: outer)
    #expect(inner.numbers == [2, 1, 0])
    outer.end()
    #expect(inner.numbers == [2, 1])
  }

  #if os(Linux)
    /// A debug build takes many times as long, so there it is a tenth of the keys; the memory is the same.
    @Test("P29: a million distinct keys stay under 64 MB at a capacity of 10,000")
    func memory() async {
      // In a process of its own, in which nothing else grows.
      await #expect(processExitsWith: .success) { try HostileTests.manyKeys() }
    }

    private static func manyKeys() throws {
      func residentPages() throws -> Int {
        let figures = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
        return Int(figures.split(separator: " ")[1]) ?? 0
      }
      #if DEBUG
        let keys = 100_000
      #else
        let keys = 1_000_000
      #endif
      let before = try residentPages()
      let cache = ResilientCache<String, String>(policy: CachePolicy(capacity: 10_000))
      for key in 0..<keys { cache.set("a value of some length \(key)", for: "a long key \(key)") }
      let growth = (try residentPages() - before) * 4096
      print("cache: \(keys) keys, \(cache.count) kept, \(growth / 1024) KiB more resident")
      #expect(cache.count == 10_000)
      #expect(growth < 64 << 20)
    }
  #endif
}
