import ErrorContext
import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import RetryKit
import Testing
import TimeoutManager

struct OutOfMemory: ClassifiedError, Equatable {
  var category: ErrorCategory { .memoryExhaustion }
  var retryability: Retryability { .retryable() }
}

struct DiskFull: ClassifiedError {
  var category: ErrorCategory { .fileSystem }
  var retryability: Retryability { .notRetryable }
}

let timedOut = TimeoutError(limit: .seconds(1), elapsed: .seconds(1))

@Suite struct FallbackLadderTests {
  typealias Ladder = FallbackLadder<MediaQuality>

  func ladder(
    _ clock: ManualClock = ManualClock(), _ events: Log<LadderEvent> = Log()
  ) -> Ladder {
    .mediaQuality(name: "quality", memoryLifetime: .seconds(600), clock: clock) {
      events.append($0)
    }
  }

  @Test("The first rung serves when nothing is wrong, without an event")
  func firstRung() async throws {
    let events = Log<LadderEvent>()
    let outcome = try await ladder(ManualClock(), events).run(timeout: .seconds(100)) { attempt in
      #expect(attempt.number == 1)
      #expect(attempt.timeout == .seconds(100))
      #expect(attempt.memoryLimit == 8192 << 20)
      return attempt.name
    }
    #expect(outcome.value == "720p")
    #expect(outcome.rung == .p720)
    #expect(outcome.passed.isEmpty)
    #expect(events.count == 0)
  }

  @Test("Memory and time running out step down, rung by rung, each with its own limits")
  func stepsDown() async throws {
    let events = Log<LadderEvent>()
    let limits = Log<Duration?>()
    let outcome = try await ladder(ManualClock(), events).run(timeout: .seconds(100)) { attempt in
      limits.append(attempt.timeout)
      switch attempt.rung {
      case .p720: throw OutOfMemory()
      case .p480: throw timedOut
      case .p360: throw OutOfMemory()
      case .worst: return attempt.index
      }
    }
    #expect(outcome.value == 3)
    #expect(limits.all == [.seconds(100), .seconds(80), .seconds(60), .seconds(50)])
    #expect(
      outcome.passed.map(\.description) == [
        "720p: failed (memoryExhaustion)", "480p: failed (timeout)",
        "360p: failed (memoryExhaustion)",
      ])
    #expect(
      events.all.map(\.description) == [
        "quality: 720p failed (memoryExhaustion), going on with 480p",
        "quality: 480p failed (timeout), going on with 360p",
        "quality: 360p failed (memoryExhaustion), going on with worst",
        "quality: served by worst",
      ])
  }

  @Test(
    "Not found, no access and a full disk are thrown at once, unchanged",
    arguments: [
      HTTPStatusError(404), HTTPStatusError(401), HTTPStatusError(403), DiskFull(),
      HTTPStatusError(507), ValidationError("bad"), NetworkError("reset"),
    ] as [any ClassifiedError])
  func finalErrors(error: any ClassifiedError) async {
    let tried = Log<MediaQuality>()
    let thrown = await failure {
      try await ladder().run { attempt in
        tried.append(attempt.rung)
        throw error
      }
    }
    #expect(tried.all == [.p720])
    #expect(thrown.map { type(of: $0) == type(of: error) } == true)
  }

  @Test("When a lower rung fails for good its error is thrown unchanged, not the first one")
  func finalErrorBelow() async {
    let thrown = await failure {
      try await ladder().run { attempt in
        if attempt.rung == .p720 { throw OutOfMemory() }
        throw HTTPStatusError(404)
      }
    }
    #expect(thrown as? HTTPStatusError == HTTPStatusError(404))
  }

  @Test("When no rung serves, the error carries every rung's and is classified as the lowest one's")
  func exhausted() async throws {
    let thrown = await failure {
      try await ladder().run { attempt in
        if attempt.rung == .worst { throw timedOut }
        throw OutOfMemory()
      }
    }
    let error = try #require(thrown as? LadderError<MediaQuality>)
    #expect(error.category == .timeout)
    #expect(error.retryability.isRetryable)
    #expect(error.passed.map(\.name) == ["720p", "480p", "360p", "worst"])
    #expect(error.causes.count == 4)
    #expect(error.causes.first is TimeoutError)
    #expect(thrown!.underlying(as: OutOfMemory.self) == OutOfMemory())
    #expect(ErrorClassifier.default.classify(error).category == .timeout)
    #expect(
      "\(error)"
        == "no rung of quality served: 720p: failed (memoryExhaustion); "
        + "480p: failed (memoryExhaustion); 360p: failed (memoryExhaustion); "
        + "worst: failed (timeout)")
  }

  @Test("A context around the error changes nothing about what it is")
  func throughContext() async throws {
    let outcome = try await ladder().run { attempt in
      try withErrorContext("transcode") {
        if attempt.rung == .p720 { throw OutOfMemory() }
        return attempt.name
      }
    }
    #expect(outcome.value == "480p")
  }

  @Test("Cancellation is final: no lower rung, nothing learned, thrown unchanged")
  func cancellation() async throws {
    let ladder = ladder()
    let tried = Log<MediaQuality>()
    let own = await failure {
      try await ladder.run(key: "host") { attempt in
        tried.append(attempt.rung)
        throw CancellationError()
      }
    }
    #expect(own is CancellationError)
    let task = Task {
      try await ladder.run(key: "host") { attempt in
        tried.append(attempt.rung)
        cancelMyself()
        throw OutOfMemory()
      }
    }
    await #expect(throws: OutOfMemory.self) { _ = try await task.value.value }
    #expect(tried.all == [.p720, .p720])
    #expect(try await ladder.run(key: "host") { $0.name }.value == "720p")
  }

  @Test("P12: no rung begins when the deadline has passed; the error says which were not tried")
  func deadline() async throws {
    let clock = ManualClock()
    let ladder = ladder(clock)
    let scope = DeadlineScope(until: clock.now.advanced(by: .seconds(5)))
    let thrown = await failure {
      try await Deadline.$scope.withValue(scope) {
        try await ladder.run { _ in
          clock.advance(by: .seconds(5))
          throw timedOut
        }
      }
    }
    let error = try #require(thrown as? LadderError<MediaQuality>)
    #expect(error.causes.count == 1)
    #expect(error.passed.last?.description == "worst: no time left")
  }

  @Test("A rung is tried as often as it says, and never again after memory ran out")
  func attempts() async throws {
    var steps = Ladder.mediaQuality.steps
    steps[0] = .init(.p720, attempts: 3)
    steps[0].retry.backoff = .none
    steps[1] = .init(.p480, attempts: 3)
    let ladder = Ladder(name: "often", steps)
    let tried = Log<String>()
    _ = try await ladder.run { attempt in
      tried.append("\(attempt.name) \(attempt.number)")
      if attempt.rung == .p720 { throw timedOut }
      if attempt.rung == .p480 { throw OutOfMemory() }
    }
    #expect(tried.all == ["720p 1", "720p 2", "720p 3", "480p 1", "360p 1"])
  }

  @Test("Rungs that need more memory than is free are passed over, but never the lowest one")
  func memory() async throws {
    let outcome = try await ladder().run(availableMemory: 3000 << 20) { $0.name }
    #expect(outcome.value == "360p")
    #expect(
      outcome.passed.map(\.description) == [
        "720p: needs 8192 MB of memory, 3000 MB are free",
        "480p: needs 4096 MB of memory, 3000 MB are free",
      ])
    #expect(try await ladder().run(availableMemory: 0) { $0.name }.value == "worst")
    #expect(try await ladder().run(availableMemory: .min) { $0.name }.value == "worst")
    #expect(try await ladder().run(availableMemory: .max) { $0.name }.value == "720p")
  }

  @Test("The rung that served is remembered for its key, and climbed from when its time is over")
  func remembers() async throws {
    let clock = ManualClock()
    let ladder = ladder(clock)
    let broken = Lock<Set<MediaQuality>>([.p720, .p480])
    let tried = Log<MediaQuality>()
    func call(_ key: String?) async throws -> MediaQuality {
      try await ladder.run(key: key) { attempt in
        tried.append(attempt.rung)
        if broken.withLock({ $0.contains(attempt.rung) }) { throw OutOfMemory() }
      }.rung
    }
    #expect(try await call("host") == .p360)
    #expect(try await call("host") == .p360)
    #expect(tried.all == [.p720, .p480, .p360, .p360], "the second call began where it works")
    _ = try await call("other")
    _ = try await call(nil)
    #expect(tried.all.suffix(6) == [.p720, .p480, .p360, .p720, .p480, .p360])

    clock.advance(by: .seconds(600))
    #expect(try await call("host") == .p360)
    #expect(tried.all.suffix(2) == [.p480, .p360], "one rung higher was tried, and failed")
    #expect(try await call("host") == .p360)
    #expect(tried.all.last == .p360)

    broken.withLock { $0 = [] }
    clock.advance(by: .seconds(600))
    #expect(try await call("host") == .p480)
    #expect(try await call("host") == .p480)
    clock.advance(by: .seconds(600))
    #expect(try await call("host") == .p720)
    #expect(try await call("host") == .p720)
    #expect(ladder.samples().allSatisfy { $0.value >= 0 })
  }

  @Test("Failed rungs are told to the error context by their names")
  func journal() async {
    let error = await failure {
      try await withErrorContext("download") {
        try await ladder().run { attempt in
          if attempt.rung == .p720 { throw OutOfMemory() }
          throw HTTPStatusError(404)
        }
      }
    }
    #expect((error as? ContextualError)?.attempts.map(\.method) == ["720p", "480p"])
  }

  @Test("Counts by rung; counters never fall")
  func metrics() async throws {
    let ladder = ladder()
    for _ in 0..<3 { _ = try await ladder.run { _ in } }
    _ = try await ladder.run { if $0.rung == .p720 { throw OutOfMemory() } }
    _ = await failure { try await ladder.run { _ in throw OutOfMemory() } }
    let figures = Dictionary(
      uniqueKeysWithValues: ladder.samples().map { sample in
        ("\(sample.name) \(sample.labels.map(\.value).joined(separator: " "))", sample.value)
      })
    #expect(figures["ladder_served_total quality 720p"] == 3)
    #expect(figures["ladder_served_total quality 480p"] == 1)
    #expect(figures["ladder_stepped_down_total quality 720p"] == 2)
    #expect(figures["ladder_stepped_down_total quality worst"] == 0)
    #expect(figures["ladder_exhausted_total quality"] == 1)
  }

  @MainActor
  @Test(
    "Works on the main actor with captures that are not Sendable, and hands over what can't be copied"
  )
  func isolation() async throws {
    let scratch = Scratch()
    let outcome = try await ladder().run { attempt in
      MainActor.assertIsolated()
      scratch.count += 1
      if attempt.rung == .p720 { throw OutOfMemory() }
      return Unique(value: scratch.count)
    }
    #expect(outcome.value.value == 2)
  }

  @Test("Bad configuration is refused with field and rule")
  func configuration() {
    func broken(_ change: (inout Ladder.Step) -> Void) -> ConfigurationError? {
      var steps = Ladder.mediaQuality.steps
      change(&steps[1])
      do {
        try Ladder.validate(steps)
        return nil
      } catch {
        return error
      }
    }
    #expect(broken { $0.timeoutMultiplier = 0 }?.field == "steps[1].timeoutMultiplier")
    #expect(broken { $0.timeoutMultiplier = .nan }?.field == "steps[1].timeoutMultiplier")
    #expect(broken { $0.timeoutMultiplier = .infinity }?.field == "steps[1].timeoutMultiplier")
    #expect(broken { $0.memoryLimit = 0 }?.field == "steps[1].memoryLimit")
    #expect(broken { $0.retry.maxAttempts = 0 }?.field == "steps[1].retry.maxAttempts")
    #expect(broken { $0.name = "720p" }?.rule == "must have names of their own")
    #expect(broken { $0.name = "" }?.field == "steps[1].name")
    #expect(throws: ConfigurationError.self) { try Ladder.validate([]) }
    #expect(throws: ConfigurationError.self) {
      try Ladder.validate(Ladder.mediaQuality.steps, memoryLifetime: .zero)
    }
    #expect(broken { _ in } == nil)
  }
}
