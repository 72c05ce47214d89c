public import ErrorContext
public import ReliabilityCore
internal import ReliabilityMetrics

/// Tries the best way first and steps down to cheaper ones when it fails for lack of memory or time.
///
///     let ladder = FallbackLadder<MediaQuality>.mediaQuality
///     let outcome = try await ladder.run(key: host, timeout: .seconds(3600)) { attempt in
///       try await download(url, quality: attempt.rung, memoryLimit: attempt.memoryLimit)
///     }
///     print(outcome.name, outcome.passed)  // 480p [720p: failed (memoryExhaustion)]
///
/// A retry repeats the same thing and hopes for better luck; a ladder asks for less. It steps down only on the categories of
/// errors that asking for less helps against; anything else (not found, no access, a full disk) is thrown at once, unchanged.
///
/// Calls that share a key (a host, a kind of content) share what was learned: they begin on the rung that served last. After
/// ``memoryLifetime`` one of them tries a rung higher, so that a ladder climbs again, a rung at a time. What is remembered is
/// bounded; what is forgotten first costs one more step down.
public final class FallbackLadder<Rung: Sendable>: MetricsSource {
  /// The name of the ladder, for errors, events and metrics.
  public let name: String

  /// The rungs, best first.
  public let steps: [Step]

  /// How long it is remembered that a key's calls were served by a lower rung.
  public let memoryLifetime: Duration

  private let observer: (@Sendable (LadderEvent) -> Void)?
  private let classifier: ErrorClassifier?
  private let clock: any TimeSource
  private let memory: Lock<RungMemory>
  private let served: [Counter]
  private let steppedDown: [Counter]
  private let exhausted: Counter

  /// Makes a ladder.
  ///
  /// - Parameters:
  ///   - name: What it is for: one of a small set of words.
  ///   - steps: The rungs, best first; one at least, each with a name of its own.
  ///   - memoryLifetime: How long to stay on a lower rung before one call tries a higher one, above zero; ten minutes
  ///     unless given.
  ///   - rememberedKeys: How many keys that stepped down are remembered; zero or more.
  ///   - classifier: Says what kind of trouble an error is; `nil` for `ErrorClassifier.default` at that moment.
  ///   - clock: The time.
  ///   - observer: Told about steps, on the caller's task, outside locks.
  /// - Precondition: ``validate(_:memoryLifetime:rememberedKeys:)`` does not throw.
  public init(
    name: String = "default", _ steps: [Step], memoryLifetime: Duration = .seconds(600),
    rememberedKeys: Int = 1000, classifier: ErrorClassifier? = nil,
    clock: any TimeSource = ContinuousClock(),
    observer: (@Sendable (LadderEvent) -> Void)? = nil
  ) {
    requireValid { () throws(ConfigurationError) in
      try Self.validate(steps, memoryLifetime: memoryLifetime, rememberedKeys: rememberedKeys)
    }
    self.name = name
    self.steps = steps
    self.memoryLifetime = memoryLifetime
    self.observer = observer
    self.classifier = classifier
    self.clock = clock
    memory = Lock(RungMemory(capacity: rememberedKeys, lifetime: memoryLifetime))
    func counter(_ metric: String, _ help: String, _ step: Step) -> Counter {
      Counter(metric, help: help, labels: [("ladder", name), ("rung", step.name)])
    }
    served = steps.map { counter("ladder_served_total", "Calls that the rung served", $0) }
    steppedDown = steps.map {
      counter("ladder_stepped_down_total", "Calls that the rung failed and a lower one tried", $0)
    }
    exhausted = Counter(
      "ladder_exhausted_total", help: "Calls that no rung served", labels: [("ladder", name)])
  }

  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public static func validate(
    _ steps: [Step], memoryLifetime: Duration = .seconds(600), rememberedKeys: Int = 1000
  ) throws(ConfigurationError) {
    try check(!steps.isEmpty, "steps", "must not be empty")
    try check(
      Set(steps.map(\.name)).count == steps.count, "steps", "must have names of their own")
    for (index, step) in steps.enumerated() { try step.validate(as: "steps[\(index)]") }
    try check(memoryLifetime > .zero, "memoryLifetime", "must be greater than zero")
    try check(rememberedKeys >= 0, "rememberedKeys", "must not be negative")
  }

  /// Runs the body on one rung after the other until one serves.
  ///
  /// **Cancellation** is final and thrown unchanged: no lower rung is tried, nothing is learned. So is any error in a task
  /// that is cancelled. No further rung begins after the **deadline** (`Deadline.current`).
  ///
  /// - Parameters:
  ///   - key: What shares the memory of the rung that served; `nil` to begin at the top and remember nothing.
  ///   - timeout: The limit of time for the best rung; each gets it times its multiplier.
  ///   - availableMemory: How much memory is free, in bytes; rungs that need more are passed over, except for the lowest
  ///     one. `nil` when nobody knows.
  ///   - fileID: Where this is called, for `CompositionMonitor`; leave the default.
  ///   - line: Where this is called; leave the default.
  ///   - body: The work on one rung. Runs where the caller runs.
  /// - Returns: The body's value, the rung that served, and why those above did not.
  /// - Throws: The error on which the rung does not step down, unchanged; ``LadderError`` when every rung that was tried
  ///   stepped down.
  public nonisolated(nonsending) func run<Value: ~Copyable>(
    key: String? = nil, timeout: Duration? = nil, availableMemory: Int? = nil,
    fileID: String = #fileID, line: UInt = #line,
    _ body: nonisolated(nonsending) (_ attempt: Attempt) async throws -> Value
  ) async throws -> LadderOutcome<Rung, Value> {
    var descent = LadderDescent(steps)
    if let key { descent.begin(start(for: key)) }
    while let index = descent.next(availableMemory: availableMemory) {
      let step = steps[index]
      let timeout = timeout.map { $0.saturatingMultiply(by: step.timeoutMultiplier) }
      func attempt(_ number: Int) -> Attempt {
        Attempt(
          rung: step.rung, name: step.name, index: index, number: number, timeout: timeout,
          memoryLimit: step.memoryLimit)
      }
      do {
        let value: Value
        let started = startRetry(step.retry.settings)
        do {
          value = try await body(attempt(1))
        } catch {
          value = try await retryAgain(
            step.retry.settings, true, started, after: error, fileID, line, method: step.name
          ) { number in
            try await body(attempt(number))
          }
        }
        noteServed(index, key, descent)
        return LadderOutcome(
          value: value, rung: step.rung, name: step.name, index: index, passed: descent.passed)
      } catch {
        try noteFailure(error, on: index, &descent)
      }
    }
    throw noteExhausted(descent)
  }

  /// How often each rung served and failed, and how often none served.
  public func samples() -> [MetricSample] {
    (served + steppedDown + [exhausted]).flatMap { $0.samples() }
  }
}

extension FallbackLadder {
  private func start(for key: String) -> RungMemory.Start {
    let now = clock.now
    return memory.withLock { $0.begin(key, now: now) }
  }

  private func noteServed(_ index: Int, _ key: String?, _ descent: LadderDescent<Rung>) {
    served[index].increment()
    if index > 0 { tell(.served, index, next: nil) }
    guard let key, descent.learnedSomething(servedBy: index) else { return }
    let now = clock.now
    memory.withLock { $0.learn(key, index, now: now) }
  }

  /// - Throws: The error, when no lower rung helps against it.
  private func noteFailure(
    _ error: any Error, on index: Int, _ descent: inout LadderDescent<Rung>
  ) throws {
    if Task.isCancelled { throw error }
    let classification = (classifier ?? .default).classify(error)
    if classification.category == .cancelled { throw error }
    guard steps[index].stepsDownOn.contains(classification.category) else {
      tell(.failed(classification.category), index, next: nil)
      throw error
    }
    let isOver = Deadline.current.map { !$0.allows(.zero, from: clock.now) } ?? false
    descent.failed(index, error, classification, timeIsUp: isOver)
    guard let next = descent.upcoming else { return }
    steppedDown[index].increment()
    tell(.steppedDown(classification.category), index, next: next)
  }

  private func noteExhausted(_ descent: LadderDescent<Rung>) -> LadderError<Rung> {
    exhausted.increment()
    tell(.exhausted, descent.lastTried, next: nil)
    let classification = descent.lastClassification
    return LadderError(
      ladder: name, passed: descent.passed, category: classification.category,
      retryability: classification.retryability)
  }

  private func tell(_ kind: LadderEvent.Kind, _ index: Int, next: Int?) {
    guard let observer else { return }
    observer(
      LadderEvent(
        kind: kind, ladder: name, rung: steps[index].name, next: next.map { steps[$0].name }))
  }
}
