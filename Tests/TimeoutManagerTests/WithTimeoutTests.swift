import ReliabilityTesting
import Testing
import TimeoutManager

@Suite struct WithTimeoutTests {
  let clock = ManualClock()

  struct Broken: Error, Equatable {}

  @Test func bodyThatReturnsInTimeGivesItsValueAndLeavesNoAlarm() async throws {
    let value = try await withTimeout(.seconds(1), clock: clock) { 42 }
    #expect(value == 42)
    #expect(clock.scheduledCount == 0)
  }

  @Test func bodyThatThrowsInTimeThrowsItsErrorUnchanged() async {
    await #expect(throws: Broken()) {
      try await withTimeout(.seconds(1), clock: clock) { throw Broken() }
    }
    #expect(clock.scheduledCount == 0)
  }

  @Test func limitCancelsTheBodyAndThrowsTimeoutErrorWithLimitAndElapsedTime() async throws {
    async let outcome = Result.of {
      try await withTimeout(.seconds(10), kind: .attempt, clock: clock) {
        try await clock.wait(for: .seconds(60))
      }
    }
    await clock.scheduled(atLeast: 2)
    clock.advance(by: .seconds(10))
    let error = try #require(await outcome.failure as? TimeoutError)
    #expect(error.kind == .attempt)
    #expect(error.limit == .seconds(10))
    #expect(error.elapsed == .seconds(10))
    #expect(error.cause == nil)
    #expect(error.category == .timeout)
    #expect(error.retryability == .retryable())
    #expect(clock.scheduledCount == 0)
  }

  @Test func bodyThatTurnsTheCancellationIntoAnErrorOfItsOwnBecomesTheCause() async throws {
    async let outcome = Result.of {
      try await withTimeout(.seconds(10), clock: clock) {
        do { try await clock.wait(for: .seconds(60)) } catch { throw Broken() }
      }
    }
    await clock.scheduled(atLeast: 2)
    clock.advance(by: .seconds(10))
    let error = try #require(await outcome.failure as? TimeoutError)
    #expect(error.cause as? Broken == Broken())
  }

  @Test func bodyThatReturnsAValueAfterTheLimitGivesTheValue() async throws {
    async let outcome = Result.of {
      try await withTimeout(.seconds(10), clock: clock) {
        try? await clock.wait(for: .seconds(60))
        return "late but whole"
      }
    }
    await clock.scheduled(atLeast: 2)
    clock.advance(by: .seconds(10))
    #expect(await outcome.value == "late but whole")
  }

  // P11: a cancellation by the caller is never reported as a timeout.
  @Test func cancellationOfTheCallerStaysACancellation() async throws {
    let task = Task {
      try await withTimeout(.seconds(10), clock: clock) {
        try await clock.wait(for: .seconds(60))
      }
    }
    await clock.scheduled(atLeast: 2)
    task.cancel()
    let outcome = await task.result
    #expect(outcome.failure is CancellationError)
    #expect(clock.scheduledCount == 0)
  }

  @Test func cancellationBeforeTheLimitWinsEvenWhenTheBodyEndsAfterIt() async throws {
    let gate = Gate()
    let task = Task {
      try await withTimeout(.seconds(10), clock: clock) {
        await gate.wait()
        throw Broken()
      }
    }
    await clock.scheduled(atLeast: 1)
    task.cancel()
    clock.advance(by: .seconds(11))
    gate.open()
    #expect(await task.result.failure is Broken)
  }

  // A limit that is nested in late cleanup has no time left; the cancellation came first all the same.
  @Test func cancellationStaysOneWhenANestedLimitFindsNoTimeLeft() async throws {
    for isAbandoning in [false, true] {
      let (clock, gate) = (ManualClock(), Gate())
      let task = Task {
        try await withTimeout(.seconds(5), clock: clock) {
          await gate.wait()
          if isAbandoning {
            try await withTimeout(abandoningAfter: .seconds(1), clock: clock) {}
          } else {
            try await withTimeout(.seconds(1), clock: clock) {}
          }
        }
      }
      await clock.scheduled(atLeast: 1)
      task.cancel()
      clock.advance(by: .seconds(6))
      gate.open()
      #expect(await task.result.failure is CancellationError)
    }
  }

  @Test func limitBeforeTheCancellationStaysATimeout() async throws {
    let gate = Gate()
    let task = Task {
      try await withTimeout(.seconds(10), clock: clock) {
        await gate.wait()
        throw Broken()
      }
    }
    await clock.scheduled(atLeast: 1)
    clock.advance(by: .seconds(11))
    task.cancel()
    gate.open()
    let error = try #require(await task.result.failure as? TimeoutError)
    #expect(error.cause as? Broken == Broken())
    #expect(error.elapsed == .seconds(11))
  }

  @Test func callerThatIsCancelledAlreadyRunsTheBodyCancelled() async throws {
    let task = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      return try await withTimeout(.seconds(10), clock: clock) { Task.isCancelled }
    }
    #expect(try await task.value)
  }

  // P10: the call does not return before the body, so nothing it holds is given back early.
  @Test func bodyThatIgnoresCancellationIsAwaited() async throws {
    let gate = Gate()
    let ended = Lock(false)
    let task = Task {
      let outcome = await Result.of {
        try await withTimeout(.seconds(10), clock: clock) {
          await gate.wait()
          ended.withLock { $0 = true }
          throw CancellationError()
        }
      }
      #expect(ended.withLock { $0 })
      return outcome.failure is TimeoutError
    }
    await clock.scheduled(atLeast: 1)
    clock.advance(by: .seconds(3600))
    gate.open()
    #expect(await task.value)
  }

  @Test(arguments: [Duration.zero, .seconds(-1), .seconds(Int64.min)])
  func limitOfZeroOrLessThrowsAtOnceAndNeverRunsTheBody(limit: Duration) async {
    await #expect(throws: TimeoutError.self) {
      try await withTimeout(limit, clock: clock) { Issue.record("the body ran") }
    }
    #expect(clock.scheduledCount == 0)
  }

  @Test(arguments: [Duration.seconds(Int64.max), .seconds(1 << 62), .nanoseconds(1)])
  func hugeAndTinyLimitsDoNotTrap(limit: Duration) async throws {
    #expect(try await withTimeout(limit, clock: clock) { 1 } == 1)
    #expect(try await withTimeout(limit) { 1 } >= 1)
  }

  @Test func deadlineThatHasPassedThrowsAtOnce() async {
    await #expect(throws: TimeoutError.self) {
      try await withTimeout(until: Deadline(clock.now), clock: clock) {
        Issue.record("the body ran")
      }
    }
  }

  // P12
  @Test func deadlineIsVisibleInTheBodyAndNestedDeadlinesTakeTheMinimum() async throws {
    #expect(Deadline.current == nil)
    let start = clock.now
    try await withTimeout(.seconds(10), clock: clock) {
      #expect(Deadline.current?.instant == start + .seconds(10))
      try await withTimeout(.seconds(60), clock: clock) {
        #expect(Deadline.current?.instant == start + .seconds(10))
      }
      try await withTimeout(.seconds(1), clock: clock) {
        #expect(Deadline.current?.instant == start + .seconds(1))
        async let child = Deadline.current
        #expect(await child?.instant == start + .seconds(1))
      }
      #expect(Deadline.current?.instant == start + .seconds(10))
    }
    #expect(Deadline.current == nil)
  }

  @Test func outerLimitEndsAnInnerOneThatIsLonger() async throws {
    async let outcome = Result.of {
      try await withTimeout(.seconds(5), kind: .total, clock: clock) {
        try await withTimeout(.seconds(60), kind: .attempt, clock: clock) {
          try await clock.wait(for: .seconds(600))
        }
      }
    }
    await clock.scheduled(atLeast: 3)
    clock.advance(by: .seconds(5))
    let error = try #require(await outcome.failure as? TimeoutError)
    #expect(error.kind == .total)
    #expect(error.limit == .seconds(5))
  }

  @Test func deadlineHoldsInATaskThatTheBodyStartsAlthoughNothingCancelsThatTask() async throws {
    let stray = try await withTimeout(.seconds(5), clock: clock) {
      Task {
        await Result.of {
          try await withTimeout(.seconds(60), clock: clock) {
            try await clock.wait(for: .seconds(600))
          }
        }
      }
    }
    await clock.scheduled(atLeast: 2)
    clock.advance(by: .seconds(5))
    #expect(await stray.value.failure is TimeoutError)
  }

  /// Held by what a body returns or throws.
  final class Held: Sendable {}
  struct Carrier: Error { let held = Held() }

  /// How a call ends whose body leaves a task behind.
  enum Ending: CaseIterable { case inTime, afterTheLimit, cancelled }

  // A connection whose read loop was started under a limit: the loop must not keep the connection.
  @Test(.timeLimit(.minutes(10)), arguments: Ending.allCases, [false, true])
  func taskThatTheBodyLeavesBehindKeepsNeitherItsResultNorItsError(
    ending: Ending, throwing: Bool
  ) async throws {
    let (body, stray) = (Gate(), Gate())
    let clock = ManualClock()
    let reference = await Task {
      let task = Task {
        await Result.of {
          try await withTimeout(.seconds(5), clock: clock) {
            Task { await stray.wait() }
            await body.wait()
            if throwing { throw Carrier() }
            return Held()
          }
        }
      }
      await clock.scheduled(atLeast: 1)
      switch ending {
      case .inTime: break
      case .afterTheLimit: clock.advance(by: .seconds(5))
      case .cancelled: task.cancel()
      }
      body.open()
      let outcome = await task.value
      let error = (outcome.failure as? TimeoutError)?.cause ?? outcome.failure
      return (outcome.value ?? (error as? Carrier)?.held).map { WeakReference($0) }
    }.value
    // The thread that ends the child, or cancels it, may hold it for a moment longer.
    while reference?.object != nil, !Task.isCancelled { await Task.yield() }
    #expect(reference != nil && reference?.object == nil)
    stray.open()
  }

  @Test(arguments: [
    (Duration.zero, "0 s"), (.microseconds(500), "500 µs"), (.microseconds(1500), "1 ms"),
    (.milliseconds(250), "250 ms"), (.milliseconds(1005), "1.005 s"), (.seconds(30), "30 s"),
    (.seconds(Int64.max) * 4, "9223372036.854 s"),
  ])
  func limitIsShownInTheUnitThatFits(limit: Duration, text: String) {
    let error = TimeoutError(limit: limit, elapsed: limit)
    #expect(error.description == "total timeout: limit \(text), ended after \(text)")
  }

  // P48: an empty result is a result.
  @Test func optionalAndVoidResultsAreResults() async throws {
    let nothing: Int? = try await withTimeout(.seconds(1), clock: clock) { nil }
    #expect(nothing == nil)
    try await withTimeout(.seconds(1), clock: clock) {}
  }
}
