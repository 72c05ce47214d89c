import Foundation
import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import CircuitBreaker

@Suite(.offThePool) struct KeyedTests {
  private func make(
    capacity: Int, _ clock: ManualClock = ManualClock()
  ) -> KeyedCircuitBreaker<Int> {
    var configuration = CircuitBreaker.Configuration(consecutiveFailures: 1)
    configuration.clock = clock
    return KeyedCircuitBreaker(name: "host", configuration: configuration, capacity: capacity)
  }

  @Test("Each key has a breaker of its own, named after it")
  func separate() async throws {
    let breakers = make(capacity: 10)
    _ = await failure { try await breakers.run(for: 1) { throw Down() } }
    #expect(breakers.state(of: 1) == .open)
    #expect(breakers.state(of: 2) == .closed)
    #expect(try await breakers.run(for: 2) { "fine" } == "fine")
    let error = await failure { try await breakers.run(for: 1) {} } as? CircuitOpenError
    #expect(error?.name == "host/1")
    #expect(breakers.breaker(for: 1) === breakers.breaker(for: 1))
    #expect(breakers.count == 2)
  }

  @Test(
    "The least recently used breaker goes; one that is open, set, or in use stays before others")
  func eviction() throws {
    let clock = ManualClock()
    let breakers = make(capacity: 4, clock)
    try breakers.admit(for: 0).fail(Down())
    breakers.breaker(for: 1).disable()
    let held = Held(try breakers.admit(for: 2))
    _ = breakers.breaker(for: 3)
    for key in 100..<200 { try breakers.admit(for: key).succeed() }
    #expect(breakers.count == 4)
    #expect(breakers.state(of: 0) == .open)
    #expect(breakers.state(of: 1) == .disabled)
    held.take().fail(Down())
    #expect(breakers.state(of: 2) == .open, "the ticket's breaker is the one of the table")
    // All four are worth keeping now: the newcomer takes the place of the least recently used.
    breakers.breaker(for: 199).forceOpen()
    _ = breakers.breaker(for: 300)
    #expect(breakers.count == 4)
    let samples = breakers.samples()
    func value(_ name: String, _ label: String) -> Double? {
      samples.first { $0.name == name && $0.labels.last?.value == label }?.value
    }
    #expect(value("breaker_evictions_total", "true") == 1)
    #expect(value("breaker_calls_total", "success") == 100, "also of those that went")
    #expect(value("breaker_calls_total", "failure") == 2)
    #expect(samples.allSatisfy { $0.labels.allSatisfy { !$0.value.contains("/") } }, "no key")
  }

  @Test("A breaker whose open time is over may go")
  func openTimeOver() throws {
    let clock = ManualClock()
    let breakers = make(capacity: 2, clock)
    try breakers.admit(for: 0).fail(Down())
    clock.advance(by: .seconds(60))
    for key in 1...2 { _ = breakers.breaker(for: key) }
    #expect(breakers.state(of: 0) == .closed, "it is forgotten")
  }

  @Test("A ticket of a breaker that went is settled all the same")
  func evictedTicket() throws {
    let breakers = make(capacity: 1)
    let held = Held(try breakers.admit(for: 1))
    _ = breakers.breaker(for: 2)
    held.take().fail(Down())
    #expect(breakers.state(of: 1) == .closed)
    #expect(breakers.count == 1)
  }

  @Test("Snapshots of all keys are restored")
  func snapshots() throws {
    let breakers = make(capacity: 10)
    try breakers.admit(for: 1).fail(Down())
    try breakers.admit(for: 2).succeed()
    let saved = breakers.snapshots()
    #expect(saved.keys.sorted() == [1])
    let restored = make(capacity: 10)
    restored.restore(saved)
    #expect(restored.state(of: 1) == .open)
  }

  @Test("The table agrees with a simple list on who was used last")
  func recency() {
    var generator = SeededGenerator(seed: 11)
    var table = RecencyTable<Int, Int>()
    var order: [Int] = []  // oldest first
    for _ in 0..<5000 {
      let key = Int.random(in: 0..<40, using: &generator)
      if let value = table.use(key) {
        #expect(value == key)
        order.removeAll { $0 == key }
        order.append(key)
      } else if order.count < 16 {
        table.insert(key, key)
        order.append(key)
      } else {
        let odd = Int.random(in: 0...3, using: &generator) > 0
        let gone = table.replace(with: key, key, asking: 5) { odd || $0 % 2 == 0 }
        let asked = order.prefix(5)
        if let index = asked.firstIndex(where: { odd || $0 % 2 == 0 }) {
          #expect(gone == order[index])
          let stayed = order.prefix(index)
          order = Array(order.dropFirst(index + 1)) + stayed
        } else {
          #expect(gone == order[0])
          order = Array(order.dropFirst(5)) + order.prefix(5).dropFirst()
        }
        order.append(key)
      }
      #expect(table.count == order.count)
      #expect(Set(table.all.map(\.key)) == Set(order))
    }
  }

  #if os(Linux)
    /// A debug build takes twenty times as long, so there it is a tenth of the keys; the memory is the same.
    @Test("P57: a million distinct keys stay under 64 MB at a capacity of 10,000")
    func p57Memory() async {
      // In a process of its own, in which nothing else grows.
      await #expect(processExitsWith: .success) { try KeyedTests.manyKeys() }
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
      let breakers = KeyedCircuitBreaker<Int>(configuration: .recommended, capacity: 10_000)
      for key in 0..<keys { breakers.breaker(for: key).succeedOnce() }
      let growth = (try residentPages() - before) * 4096
      print("breaker: \(keys) keys, \(breakers.count) kept, \(growth / 1024) KiB more resident")
      #expect(breakers.count == 10_000)
      #expect(growth < 64 << 20)
    }
  #endif
}

extension CircuitBreaker {
  fileprivate func succeedOnce() {
    if let permit = try? enter() { succeed(permit) }
  }
}
