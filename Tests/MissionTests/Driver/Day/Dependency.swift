import Reliability

/// Something far away whose troubles change by the hour, as a seed says: quiet hours, bad ones, and an outage.
final class Dependency: Sendable {
  private let clock: any TimeSource
  private let start: ContinuousClock.Instant
  private let chance: Lock<SeededGenerator>
  /// The part of the calls that fail, by hour.
  let troubles: [Double]

  init(seed: UInt64, clock: any TimeSource) {
    self.clock = clock
    start = clock.now
    var generator = SeededGenerator(seed: seed)
    let usual: [Double] = [0, 0, 0.02, 0.1, 0.3]
    var troubles = (0..<24).map { _ in usual[Int.random(in: 0..<5, using: &generator)] }
    troubles[Int.random(in: 2..<22, using: &generator)] = 1
    self.troubles = troubles
    chance = Lock(generator)
  }

  private var trouble: Double {
    troubles[min(23, Int((clock.now - start).components.seconds / 3600))]
  }

  /// One call: it takes its time, and fails as the hour says; one in fifty of the good ones hangs.
  func call() async throws {
    let (delay, fails, hangs) = chance.withLock { chance in
      (
        Int.random(in: 20...400, using: &chance), Double.random(in: 0..<1, using: &chance),
        Int.random(in: 0..<50, using: &chance) == 0
      )
    }
    try await clock.wait(for: hangs ? .seconds(3600) : .milliseconds(delay))
    if fails < trouble { throw NetworkError("the line is down") }
  }
}
