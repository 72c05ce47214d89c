import ReliabilityTestSupport
import Synchronization
import Testing
import TimeoutManager

/// The few tests of the real timer.
///
/// Bounds are wide: they run on busy machines.
///
/// Serialized, because several of them keep a thread of the small pool busy on purpose.
@Suite(.realTime, .serialized) struct RealTimeTimeoutTests {
  @Test(.timeLimit(.minutes(10)))
  func limitEndsABodyThatSuspends() async throws {
    let start = ContinuousClock.now
    await #expect(throws: TimeoutError.self) {
      try await withTimeout(.milliseconds(50)) {
        try await ContinuousClock().wait(for: .seconds(3600))
      }
    }
    #expect(start.duration(to: .now) >= .milliseconds(50))
    #expect(start.duration(to: .now) < .seconds(1800))
  }

  @Test(.timeLimit(.minutes(10)))
  func limitReachesABodyThatComputesWithoutSuspending() async throws {
    await #expect(throws: TimeoutError.self) {
      try await withTimeout(.milliseconds(20)) {
        while !Task.isCancelled {}
        throw CancellationError()
      }
    }
  }

  @Test(.timeLimit(.minutes(10)))
  func cancellationReachesABodyThatComputesWithoutSuspending() async throws {
    let began = Atomic(false)
    let task = Task.detached {
      try await withTimeout(.seconds(3600)) {
        began.store(true, ordering: .releasing)
        while !Task.isCancelled {}
        throw CancellationError()
      }
    }
    while !began.load(ordering: .acquiring) { await Task.yield() }
    task.cancel()
    #expect(await task.result.failure is CancellationError)
  }

  @Test(.timeLimit(.minutes(10)))
  func cancellationHandlerThatBlocksDoesNotHoldUpOtherDeadlines() async throws {
    let release = Atomic(false)
    async let blocked = Result.of {
      try await withTimeout(.milliseconds(10)) {
        await withTaskCancellationHandler {
          try? await ContinuousClock().wait(for: .seconds(3600))
        } onCancel: {
          while !release.load(ordering: .acquiring) {}
        }
        throw CancellationError()
      }
    }
    await #expect(throws: TimeoutError.self) {
      try await withTimeout(.milliseconds(50)) {
        try await ContinuousClock().wait(for: .seconds(3600))
      }
    }
    release.store(true, ordering: .releasing)
    #expect(await blocked.failure is TimeoutError)
  }

  /// Every thread of the pool computes at the priority of the cancellations: the limits must reach them all the same.
  @Test(.timeLimit(.minutes(10)), arguments: [TaskPriority.high, .medium, .low])
  func limitReachesBodiesThatKeepEveryCoreBusy(priority: TaskPriority) async {
    let bodies = (0..<16).map { _ in
      Task.detached(priority: priority) {
        try await withTimeout(.milliseconds(20)) {
          // Counted from here: a busy machine begins the last of them long after the first.
          let giveUp = ContinuousClock.now + .seconds(120)
          while !Task.isCancelled && ContinuousClock.now < giveUp {}
          try Task.checkCancellation()
        }
      }
    }
    for body in bodies { #expect(await body.result.failure is TimeoutError) }
  }

  /// A body that ends just as its limit passes: one outcome, the right one, whoever wins.
  @Test(.timeLimit(.minutes(10)))
  func bodyThatFinishesAtTheLimitHasExactlyOneOutcome() async throws {
    let rounds = 100_000
    let lanes = 4
    let tallies = await withTaskGroup(of: (values: Int, timeouts: Int).self) { group in
      for lane in 0..<lanes {
        group.addTask {
          var tally = (values: 0, timeouts: 0)
          for round in 0..<rounds / lanes {
            do {
              // 70 µs is one tick of the scheduler: limit and body meet within it.
              let value = try await withTimeout(.microseconds(20 + (round + lane) % 90)) {
                let end = ContinuousClock.now + .microseconds(round % 110)
                if round % 3 == 0 { await Task.yield() }
                while ContinuousClock.now < end {
                  if Task.isCancelled && round % 2 == 0 { throw CancellationError() }
                }
                return round
              }
              if value == round { tally.values += 1 }
            } catch is TimeoutError {
              tally.timeouts += 1
            } catch {
              Issue.record("neither a value nor a timeout: \(error)")
            }
          }
          return tally
        }
      }
      return await group.reduce((values: 0, timeouts: 0)) {
        ($0.values + $1.values, $0.timeouts + $1.timeouts)
      }
    }
    #expect(tallies.values + tallies.timeouts == rounds)
    #expect(tallies.values > 0 && tallies.timeouts > 0)
  }

  @Test(.timeLimit(.minutes(10)))
  func limitsThatEndTogetherAreReportedAsTheOuterOne() async throws {
    for _ in 0..<2000 {
      let outcome = await Result.of {
        try await withTimeout(.microseconds(300), kind: .total) {
          try await withTimeout(.seconds(60), kind: .attempt) {
            try await ContinuousClock().wait(for: .seconds(600))
          }
        }
      }
      let error = try #require(outcome.failure as? TimeoutError)
      // Where the machine took all the time away before the inner call began, its error is the cause of the outer one's,
      // or comes before the timer.
      #expect(error.kind == .total || error.limit == .zero)
    }
  }

  @Test(.timeLimit(.minutes(10)))
  func waitThatIsCancelledEndsAtOnce() async throws {
    let task = Task { try await ContinuousClock().wait(for: .seconds(3600)) }
    task.cancel()
    #expect(await task.result.failure is CancellationError)
  }
}

/// Memory of outstanding limits, on the real scheduler.
@Suite(.realTime) struct RealTimeOutstandingTimeoutTests {
  /// The body's own object: alive as long as anything of the call is.
  final class Held: Sendable {}

  /// Counts objects and those of them that still live.
  final class Census: Sendable {
    private let references = Lock<[WeakReference<Held>]>([])
    func add(_ object: Held) { references.withLock { $0.append(WeakReference(object)) } }
    var count: Int { references.withLock { $0.count } }
    var living: Int { references.withLock { $0.count { $0.object != nil } } }
  }

  @Test(.timeLimit(.minutes(10)))
  func hundredThousandOutstandingHourLongLimitsLeaveNothingBehind() async throws {
    let count = 100_000
    let gate = Gate()
    let held = Census()
    try await withThrowingTaskGroup { group in
      for _ in 0..<count {
        group.addTask {
          let object = Held()
          held.add(object)
          try await withTimeout(.seconds(3600)) {
            await gate.wait()
            withExtendedLifetime(object) {}
          }
        }
      }
      // Limits of other tests come and go meanwhile.
      while held.count < count || DeadlineScheduler.shared.count < count { await Task.yield() }
      gate.open()
      try await group.waitForAll()
    }
    #expect(held.living == 0)
    // Other tests run at the same time, with some thousands of limits of their own.
    #expect(DeadlineScheduler.shared.count < count / 2)
  }
}
