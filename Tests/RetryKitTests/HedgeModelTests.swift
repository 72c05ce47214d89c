import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import RetryKit

/// Thousands of calls whose attempts end in any order and any way, against what must hold of each.
@Suite(.offThePool) struct HedgeModelTests {
  /// What an attempt does when its turn comes.
  enum End: CaseIterable {
    case succeed, fail, failForAll, pushBack, turnAway, giveUp
  }

  enum Operation {
    case end(End)
    case advance, cancelCaller
  }

  @Test(
    "Random calls: every attempt that started ends once, one wins at most, nothing is left behind",
    arguments: [1, 2, 3, 4] as [UInt64])
  func conservation(seed: UInt64) async throws {
    var generator = SeededGenerator(seed: seed)
    var totals = Totals()
    for _ in 0..<5500 { try await oneCall(&generator, &totals, seed) }
    #expect(totals.started == totals.won + totals.lost + totals.failed + totals.cancelled)
    // The mixture reaches every outcome often.
    for count in [totals.won, totals.lost, totals.failed, totals.cancelled] { #expect(count > 300) }
  }

  struct Totals {
    var (started, won, lost, failed, cancelled) = (0, 0, 0, 0, 0)
  }

  func oneCall(
    _ generator: inout SeededGenerator, _ totals: inout Totals, _ seed: UInt64
  ) async throws {
    let stage = Stage(tellsMoments: false)
    let abandons = Int.random(in: 0..<4, using: &generator) == 0
    let listens = abandons || Bool.random(using: &generator)
    let maxAttempts = Int.random(in: 1...4, using: &generator)
    let delays: [HedgeDelay] = [.fixed(.seconds(1)), .fixed(.zero), .afterFailure]
    let policy = stage.policy(delays.randomElement(using: &generator)!, maxAttempts: maxAttempts)
    let running = Running()
    let task = Task {
      if abandons {
        return try await hedge(abandoningLosers: policy) {
          try await running.attempt($0, stage, listens)
        }
      }
      return try await hedge(policy) { try await running.attempt($0, stage, listens) }
    }
    await stage.gate(1).arrival()
    var isCancelled = false
    // Until everything that may run has been told to end.
    for _ in 0..<12 {
      switch Int.random(in: 0..<8, using: &generator) {
      case 0..<5:
        let attempt = Int.random(in: 1...maxAttempts, using: &generator)
        let end = End.allCases.randomElement(using: &generator)!
        stage.gate(attempt).open(error(for: end))
      case 5, 6:
        stage.clock.advance(by: .milliseconds(Int.random(in: 0...1500, using: &generator)))
      default:
        guard Int.random(in: 0..<6, using: &generator) == 0 else { continue }
        isCancelled = true
        task.cancel()
      }
    }
    for attempt in 1...maxAttempts { stage.gate(attempt).open() }
    let result = await task.result
    check(stage, result, maxAttempts, abandons: abandons, isCancelled, running, seed)
    for event in stage.events.all {
      switch event.kind {
      case .started: totals.started += 1
      case .won: totals.won += 1
      case .lost: totals.lost += 1
      case .failed: totals.failed += 1
      case .cancelled: totals.cancelled += 1
      case .stopped: break
      }
    }
  }

  func error(for end: End) -> (any Error)? {
    switch end {
    case .succeed: nil
    case .fail: Flaky()
    case .failForAll: Classified(category: .validation, retryability: .notRetryable)
    case .pushBack: Classified(retryability: .retryable(after: .seconds(5)))
    case .turnAway: TurnedAway()
    case .giveUp: CancellationError()
    }
  }

  func check(
    _ stage: Stage, _ result: Result<Int, any Error>, _ maxAttempts: Int, abandons: Bool,
    _ isCancelled: Bool, _ running: Running, _ seed: UInt64
  ) {
    let events = stage.events.all
    var ends: [Int: HedgeEvent.Kind] = [:]
    var started = 0
    var isSound = true
    for event in events {
      switch event.kind {
      case .started:
        started += 1
        isSound = isSound && event.attempt == started
      case .stopped: break
      default:
        isSound = isSound && ends[event.attempt] == nil && event.attempt <= started
        ends[event.attempt] = event.kind
      }
    }
    isSound = isSound && ends.count == started && (1...maxAttempts).contains(started)
    let winners = ends.filter { $0.value == .won }.map(\.key)
    switch result {
    case .success(let attempt): isSound = isSound && winners == [attempt]
    case .failure: isSound = isSound && winners.isEmpty
    }
    if !abandons { isSound = isSound && running.count == 0 }
    // The winner is only ever cancelled by a caller that gave up.
    if !isCancelled { isSound = isSound && !winners.contains { stage.cancelled.all.contains($0) } }
    isSound = isSound && stage.clock.scheduledCount == 0
    if !isSound {
      Issue.record("seed \(seed): \(stage.kinds), \(result), \(running.count) running")
    }
  }

  /// Counts the bodies that are running.
  final class Running: Sendable {
    private let value = Lock(0)

    var count: Int { value.withLock { $0 } }

    func attempt(_ attempt: Int, _ stage: Stage, _ listens: Bool) async throws -> Int {
      value.withLock { $0 += 1 }
      defer { value.withLock { $0 -= 1 } }
      return try await stage.attempt(attempt, listens: listens)
    }
  }
}
