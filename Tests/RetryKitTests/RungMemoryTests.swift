import ReliabilityCore
import Testing

@testable import RetryKit

@Suite struct RungMemoryTests {
  let now = ContinuousClock.now

  func after(_ seconds: Int) -> ContinuousClock.Instant { now.advanced(by: .seconds(seconds)) }

  @Test("A key that fell begins where it was served; others at the top")
  func remembers() {
    var memory = RungMemory(capacity: 10, lifetime: .seconds(60))
    memory.learn("a", 2, now: now)
    #expect(memory.begin("a", now: after(59)) == .init(rung: 2))
    #expect(memory.begin("b", now: now) == .init(rung: 0))
  }

  @Test("When its time is over one call climbs a rung and the others stay")
  func climbs() {
    var memory = RungMemory(capacity: 10, lifetime: .seconds(60))
    memory.learn("a", 2, now: now)
    #expect(memory.begin("a", now: after(60)) == .init(rung: 1, isClimb: true))
    #expect(memory.begin("a", now: after(61)) == .init(rung: 2))
    memory.learn("a", 1, now: after(62))
    #expect(memory.begin("a", now: after(63)) == .init(rung: 1))
    #expect(memory.begin("a", now: after(122)) == .init(rung: 0, isClimb: true))
    memory.learn("a", 0, now: after(123))
    #expect(memory.count == 0)
    #expect(memory.begin("a", now: after(124)) == .init(rung: 0))
  }

  @Test("A climb that never comes back is made by another call a lifetime later")
  func lostClimb() {
    var memory = RungMemory(capacity: 10, lifetime: .seconds(60))
    memory.learn("a", 1, now: now)
    #expect(memory.begin("a", now: after(60)).isClimb)
    #expect(!memory.begin("a", now: after(119)).isClimb)
    #expect(memory.begin("a", now: after(120)).isClimb)
  }

  @Test("P29: the number of keys is bounded; the one whose time ends first goes")
  func bounded() {
    var memory = RungMemory(capacity: 3, lifetime: .seconds(60))
    for (index, key) in ["a", "b", "c"].enumerated() { memory.learn(key, 1, now: after(index)) }
    memory.learn("a", 2, now: after(3))
    memory.learn("d", 1, now: after(4))
    #expect(memory.count == 3)
    #expect(memory.begin("b", now: after(5)).rung == 0, "b was learned first")
    #expect(memory.begin("a", now: after(5)).rung == 2)
    for number in 0..<100_000 { memory.learn("\(number)", 1, now: now) }
    #expect(memory.count == 3)
    var none = RungMemory(capacity: 0, lifetime: .seconds(60))
    none.learn("a", 1, now: now)
    #expect(none.count == 0)
  }

  @Test("Agrees with a plain dictionary on random operations")
  func model() {
    var generator = SeededGenerator(seed: 7)
    var memory = RungMemory(capacity: 1000, lifetime: .seconds(60))
    var plain: [String: (rung: Int, until: ContinuousClock.Instant)] = [:]
    var time = now
    for _ in 0..<50_000 {
      time = time.advanced(by: .seconds(Int.random(in: 0...3, using: &generator)))
      let key = "\(Int.random(in: 0..<50, using: &generator))"
      if Bool.random(using: &generator) {
        let rung = Int.random(in: 0...3, using: &generator)
        memory.learn(key, rung, now: time)
        plain[key] = rung == 0 ? nil : (rung, time.advanced(by: .seconds(60)))
      } else {
        var expected = RungMemory.Start()
        if let known = plain[key] {
          let isClimb = time >= known.until
          expected = .init(rung: isClimb ? known.rung - 1 : known.rung, isClimb: isClimb)
          if isClimb { plain[key]!.until = time.advanced(by: .seconds(60)) }
        }
        let start = memory.begin(key, now: time)
        if start != expected {
          Issue.record("\(key): \(start) instead of \(expected)")
          return
        }
      }
    }
    #expect(memory.count == plain.count)
  }
}
