internal import ErrorContext
internal import ReliabilityCore

/// The way of one call down a ladder, without clock, task and side effects.
struct LadderDescent<Rung: Sendable> {
  typealias Step = FallbackLadder<Rung>.Step

  private let steps: [Step]
  /// The rung to try next, before memory is looked at; `nil` when there is none.
  private(set) var upcoming: Int? = 0
  private(set) var passed: [PassedRung<Rung>] = []
  private(set) var failures = 0
  private(set) var lastTried = 0
  private(set) var lastClassification = Classification.unknown
  private var began = 0
  private var isClimb = false

  init(_ steps: [Step]) {
    self.steps = steps
  }

  /// Begins on the rung that memory names.
  mutating func begin(_ start: RungMemory.Start) {
    began = min(start.rung, steps.count - 1)
    isClimb = start.isClimb
    for index in 0..<began { pass(index, .remembered) }
    upcoming = began
  }

  /// The rung to try now: the next one whose memory is free, or the lowest.
  mutating func next(availableMemory: Int?) -> Int? {
    guard var index = upcoming else { return nil }
    while index < steps.count - 1, let available = availableMemory,
      let needed = steps[index].memoryLimit, needed > available
    {
      pass(index, .memory(needed: needed, available: available))
      index += 1
    }
    lastTried = index
    upcoming = index
    return index
  }

  /// A rung failed with an error on which it steps down.
  mutating func failed(
    _ index: Int, _ error: any Error, _ classification: Classification, timeIsUp: Bool
  ) {
    failures += 1
    lastClassification = classification
    pass(index, .failed(error, classification.category))
    upcoming = index + 1 < steps.count ? index + 1 : nil
    guard timeIsUp, upcoming != nil else { return }
    for index in index + 1..<steps.count { pass(index, .deadline) }
    upcoming = nil
  }

  /// Whether the rung that served is news: after a step down, or when a climb came to where it wanted.
  ///
  /// Rungs that were passed over for lack of memory say nothing about the next call.
  func learnedSomething(servedBy index: Int) -> Bool {
    failures > 0 || (isClimb && index == began)
  }

  private mutating func pass(_ index: Int, _ reason: PassedRung<Rung>.Reason) {
    passed.append(PassedRung(rung: steps[index].rung, name: steps[index].name, reason: reason))
  }
}
