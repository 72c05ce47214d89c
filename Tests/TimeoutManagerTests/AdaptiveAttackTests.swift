import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import TimeoutManager

@Suite struct AdaptiveAttackTests {
  let clock = ManualClock()

  /// Not `Sendable`: only the caller's isolation may touch it.
  final class Notes {
    var lines: [String] = []
  }

  @MainActor @Test func bodyRunsOnTheCallersIsolationWithWhatIsNotSendable() async throws {
    let notes = Notes()
    let same = try await withAdaptiveTimeout(.downloads) { progress in
      MainActor.assertIsolated()
      notes.lines.append("before")
      await Task.yield()
      MainActor.assertIsolated()
      notes.lines.append("after")
      progress.report(fraction: 1)
      return notes
    }
    #expect(same === notes)
    #expect(notes.lines == ["before", "after"])
  }

  @Test func monitorThatOutlivesItsWorkDoesNothingAndKeepsNothingAlive() async throws {
    weak var operation: AdaptiveOperation?
    let monitor = try await withAdaptiveTimeout(.downloads, clock: clock) { progress in
      operation = progress.state.withLock { $0.operation }
      #expect(operation != nil)
      return progress
    }
    #expect(operation == nil)
    let before = monitor.decision
    monitor.report(bytes: 5, of: 10)
    monitor.advance(bytes: 5)
    monitor.heartbeat()
    monitor.setPressure(1)
    #expect(monitor.decision == before)
    #expect(clock.scheduledCount == 0)
  }

  @Test func hostileReportsNeverTrap() async throws {
    var timeout = AdaptiveTimeout(base: .nanoseconds(1), maximum: .seconds(Int64.max))
    timeout.heartbeats = PhiAccrualDetector(threshold: 300)
    timeout.speedTimeConstants = (.nanoseconds(1), .seconds(Int64.max))
    timeout.margin = .greatestFiniteMagnitude
    let progress = ProgressMonitor(timeout, clock: clock)
    for value in [Int64.min, -1, 0, 1, .max] {
      for total in [Int64.min, -1, 0, 1, .max] {
        progress.report(bytes: value, of: total)
        progress.advance(bytes: Int(value))
        clock.advance(by: .seconds(Int64(1)))
      }
    }
    for value in [Double.nan, .infinity, -.infinity, -1, 0, 0.5, 2] {
      progress.report(fraction: value)
      progress.setPressure(value)
      progress.heartbeat()
      clock.advance(by: .nanoseconds(1))
      #expect(!progress.decision.description.isEmpty)
    }
    #expect(progress.decision.completed == 1)
  }

  @Test func reportsFromManyTasksLoseNothing() async throws {
    let total = 4 * 5_000
    let done = try await withAdaptiveTimeout(.downloads) { progress in
      await withTaskGroup { group in
        for _ in 0..<4 {
          group.addTask {
            for _ in 0..<5_000 { progress.advance(bytes: 1) }
          }
        }
      }
      return progress.decision.completed
    }
    #expect(done == Double(total))
  }

  @Test("A limit, a cancellation and the end at the same moment have one outcome")
  func oneOutcome() async throws {
    for round in 0..<200 {
      let clock = ManualClock()
      let task = Task {
        try await withAdaptiveTimeout(
          AdaptiveTimeout(base: .seconds(10), maximum: .seconds(20), stall: .seconds(5)),
          clock: clock
        ) { progress in
          try await clock.wait(for: .seconds(5))
          progress.report(bytes: 1)
          return round
        }
      }
      await clock.scheduled(atLeast: 3)
      let other = Task { if round % 2 == 0 { task.cancel() } }
      clock.advance(by: .seconds(5))
      await other.value
      switch await task.result {
      case .success(let value): #expect(value == round)
      case .failure(let error as TimeoutError): #expect(error.kind == .stall)
      case .failure(let error): #expect(error is CancellationError && round % 2 == 0)
      }
      #expect(clock.scheduledCount == 0)
    }
  }
}

/// A value that several tasks may set.
final class Shared<Value: Sendable>: Sendable {
  private let content: Lock<Value>

  init(_ value: Value) { content = Lock(value) }

  var value: Value {
    get { content.withLock { $0 } }
    set { content.withLock { $0 = newValue } }
  }
}
