import Foundation
import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import RateLimiting

/// What users of other limiters hit, by the numbers of our list of pain points; more are beside what they are about.
@Suite(.offThePool) struct LimiterPainPointTests {
  @Test("P6: permits come by the time source alone, to the nanosecond; no wall clock has a way in")
  func p6WallClock() {
    let clock = ManualClock()
    let limiter = RateLimiter(RateLimit(1, per: .seconds(10)), clock: clock)
    let keyed = KeyedRateLimiter<Int>(RateLimit(1, per: .seconds(10)), clock: clock)
    #expect(limiter.tryAcquire().isAllowed && keyed.tryAcquire(for: 1).isAllowed)
    clock.advance(by: .nanoseconds(9_999_999_999))
    #expect(!limiter.tryAcquire().isAllowed && !keyed.tryAcquire(for: 1).isAllowed)
    #expect(limiter.tryAcquire().retryAfter == .nanoseconds(1))
    clock.advance(by: .nanoseconds(1))
    #expect(limiter.tryAcquire().isAllowed && keyed.tryAcquire(for: 1).isAllowed)
  }

  @Test("P36: waiters hold no thread: a thousand and those who serve them go on upon one")
  func p36SuspendOnly() async throws {
    let clock = ManualClock()
    let limiter = ConcurrencyLimiter(.fixed(1), maximumWaiters: 1_000, clock: clock)
    let rate = RateLimiter(
      RateLimit(1_000, per: .seconds(1), burst: 1), maximumWaiters: 1_000, clock: clock)
    let ended = Shared(0)
    try await withThrowingTaskGroup { group in
      for _ in 0..<500 {
        group.addTask {
          try await limiter.run { await Task.yield() }
          ended.withLock { $0 += 1 }
        }
        group.addTask {
          try await rate.acquire()
          ended.withLock { $0 += 1 }
        }
      }
      while ended.withLock({ $0 }) < 1_000 {
        clock.advance(by: .milliseconds(1))
        await Task.yield()
      }
      try await group.waitForAll()
    }
  }

  @Test("P37: 200,000 leave a line from its front, its middle and its end without a search")
  func p37LeavingIsCheap() {
    // By a search for each, this would take hours.
    var line = WaitingLine<Int>()
    let tickets = (0..<200_000).map { line.append($0) }
    for index in 0..<50_000 {
      #expect(line.remove(tickets[index]) == index)
      if line.first != index + 1 { Issue.record("\(index)") }
    }
    for index in (150_000..<200_000).reversed() where line.remove(tickets[index]) != index {
      Issue.record("\(index)")
    }
    for index in stride(from: 50_000, to: 150_000, by: 2) where line.remove(tickets[index]) != index
    {
      Issue.record("\(index)")
    }
    #expect(line.count == 50_000 && line.removeFirst() == 50_001)
  }

  #if os(Linux)
    /// A debug build takes twenty times as long, so there it is a tenth of the keys; the memory is the same.
    @Test("P29: a million distinct keys stay under 64 MB at a capacity of 10,000")
    func p29Memory() async {
      // In a process of its own, in which nothing else grows.
      await #expect(processExitsWith: .success) { try LimiterPainPointTests.manyKeys() }
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
      let limiter = KeyedRateLimiter<Int>(
        .perClient, RateLimit(1_000, per: .seconds(3600)), capacity: 10_000)
      for key in 0..<keys { _ = limiter.tryAcquire(for: key) }
      let growth = (try residentPages() - before) * 4096
      print("limiter: \(keys) keys, \(limiter.count) kept, \(growth / 1024) KiB more resident")
      #expect(limiter.count == 10_000)
      #expect(growth < 64 << 20)
    }
  #endif
}
