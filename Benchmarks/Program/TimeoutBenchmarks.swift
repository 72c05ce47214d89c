import CReliabilityAllocationCounter
import Synchronization
import TimeoutManager

/// What a limit of time costs the work it limits.
enum TimeoutBenchmarks {
  /// Short, since the idiom's cancelled sleeps keep their memory until the limit: a longer one slows the idiom down further.
  private static let limit = Duration.seconds(1)

  static let all: [Benchmark] = [
    .timed("timeout/noop") {
      Comparison(
        subject: { iterations in
          for _ in 0..<iterations { try await withTimeout(limit) { await doNothing() } }
        },
        yardstick: (
          "task-group-timeout",
          { iterations in
            for _ in 0..<iterations { try await taskGroupTimeout(limit) { await doNothing() } }
          }
        ))
    },
    .timed("timeout/suspending") {
      Comparison(
        subject: { iterations in
          for _ in 0..<iterations { try await withTimeout(limit) { await Task.yield() } }
        },
        yardstick: (
          "task-group-timeout",
          { iterations in
            for _ in 0..<iterations { try await taskGroupTimeout(limit) { await Task.yield() } }
          }
        ))
    },
    Benchmark(name: "timeout/outstanding-memory", measure: outstandingMemory),
  ]

  private struct TimedOut: Error {}

  /// The timeout that everybody writes.
  private static func taskGroupTimeout<Value: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    try await withThrowingTaskGroup { group in
      group.addTask { try await body() }
      group.addTask {
        try await Task.sleep(for: limit)
        throw TimedOut()
      }
      defer { group.cancelAll() }
      return try await group.next()!
    }
  }

  /// How much the heap grows from one round of 100,000 outstanding one-hour timeouts to the next, after they ended.
  private static func outstandingMemory() async throws -> Result {
    let outstanding = 100_000
    let warmUpRounds = 4
    var growth: [Double] = []
    var peak = 0.0
    var residentAtStart = 0.0
    var last = 0.0
    for round in 0..<14 {
      let before = Memory.heapBytes
      let atPeak = try await oneRound(outstanding)
      let after = Memory.heapBytes
      peak = max(peak, (atPeak - before) / Double(outstanding))
      if round == warmUpRounds - 1 { residentAtStart = Memory.residentBytes }
      if round >= warmUpRounds { growth.append(after - last) }
      last = after
    }
    var result = Result(
      name: "timeout/outstanding-memory", unit: .bytes, summary: Summary(growth))
    result.figures = [
      ("outstanding", Double(outstanding)),
      ("total_growth_bytes", growth.reduce(0, +)),
      ("resident_growth_bytes", Memory.residentBytes - residentAtStart),
      ("peak_bytes_per_timeout", peak),
    ]
    return result
  }

  /// Lets so many timeouts wait at the same time, then all of them end.
  ///
  /// - Returns: Bytes on the heap while all of them waited.
  private static func oneRound(_ count: Int) async throws -> Double {
    let gate = Gate(opensAt: count)
    try await withThrowingTaskGroup { group in
      for _ in 0..<count {
        group.addTask { try await withTimeout(.seconds(3600)) { await gate.arrive() } }
      }
      try await group.waitForAll()
    }
    return gate.heapBytesWhenOpened
  }
}

/// Holds everyone who arrives until all have arrived.
private final class Gate: Sendable {
  private struct State {
    var missing: Int
    var waiting: [CheckedContinuation<Void, Never>] = []
    var heapBytes = 0.0
  }

  private let state: Mutex<State>

  init(opensAt count: Int) {
    state = Mutex(State(missing: count))
  }

  var heapBytesWhenOpened: Double { state.withLock { $0.heapBytes } }

  func arrive() async {
    await withCheckedContinuation { continuation in
      let released: [CheckedContinuation<Void, Never>] = state.withLock { state in
        state.waiting.append(continuation)
        state.missing -= 1
        guard state.missing == 0 else { return [] }
        state.heapBytes = Memory.heapBytes
        defer { state.waiting = [] }
        return state.waiting
      }
      for continuation in released { continuation.resume() }
    }
  }
}

/// What a report of progress costs the work that is making it.
enum ProgressBenchmarks {
  static let all: [Benchmark] = [
    .timed("timeout/progress-report") {
      let progress = ProgressMonitor(.downloads)
      return Comparison(subject: { iterations in
        for iteration in 0..<iterations {
          progress.report(bytes: Int64(iteration) * 16_384, of: 1 << 40)
        }
      })
    },
    .timed("timeout/adaptive-noop") {
      Comparison(
        subject: { iterations in
          for _ in 0..<iterations {
            try await withAdaptiveTimeout(.downloads) { _ in await doNothing() }
          }
        },
        yardstick: (
          "with-timeout",
          { iterations in
            for _ in 0..<iterations {
              try await withTimeout(.seconds(3600)) { await doNothing() }
            }
          }
        ))
    },
  ]
}
