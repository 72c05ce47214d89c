/// The states met so far, by their hash: each is looked at once.
final class SeenStates: Sendable {
  private let hashes = Lock(Set<UInt64>())

  /// - Returns: Whether the state is new.
  func insert(_ hash: UInt64) -> Bool { hashes.withLock { $0.insert(hash).inserted } }

  var count: Int { hashes.withLock { $0.count } }
}

/// One state that a crash may leave.
struct CrashState: Sendable {
  let space: CrashSpace
  let choice: [Int]
  let image: SimulatedImage
  /// Counts the crash points of a run.
  let pointIndex: Int
}

/// Goes through the crash points of a run and the states of each, and gives those that are new.
///
/// Usable from several threads, each of which takes the next state.
final class CrashCursor: Sendable {
  struct Counts: Sendable {
    var points = 0
    var sampledPoints = 0
    var states = 0
  }

  private enum Way {
    case everyPoint(next: [Int]?)
    /// `left` counts states; `tries` ends a search for ever rarer ones.
    case drawn(corners: [[Int]], next: Int, left: Int, tries: Int)
  }

  private struct State {
    var points: ArraySlice<CrashPoint>
    var pointIndex = -1
    var space: CrashSpace?
    /// Whether every state of the crash point was looked at.
    var wasExhaustive = false
    var way = Way.everyPoint(next: nil)
    var known: [Int: UInt64] = [:]
    var generator: SeededGenerator
    var counts = Counts()
    /// The last crash point that is still of interest.
    var lastPoint = Int.max
  }

  private let state: Lock<State>
  private let sectorSize: Int
  private let options: ExplorationOptions
  private let seen: SeenStates

  init(
    _ points: [CrashPoint], sectorSize: Int, options: ExplorationOptions, seen: SeenStates,
    seed: UInt64? = nil
  ) {
    self.sectorSize = sectorSize
    self.options = options
    self.seen = seen
    state = Lock(
      State(points: points[...], generator: SeededGenerator(seed: seed ?? options.seed)))
  }

  var counts: Counts { state.withLock { $0.counts } }

  /// No crash point after this one is of interest any more.
  func stop(after pointIndex: Int) {
    state.withLock { $0.lastPoint = min($0.lastPoint, pointIndex) }
  }

  /// The next state that was not met before, or `nil` when there are no more.
  func next() -> CrashState? {
    state.withLock { state in
      while true {
        guard let space = state.space, let choice = nextChoice(&state, in: space) else {
          guard enterNextPoint(&state) else { return nil }
          continue
        }
        guard let image = space.image(choice) else { continue }
        state.counts.states += 1
        if case .drawn(let corners, let next, let left, let tries) = state.way {
          state.way = .drawn(corners: corners, next: next, left: left - 1, tries: tries)
        }
        if seen.insert(space.digest(image, known: &state.known)) {
          return CrashState(
            space: space, choice: choice, image: image, pointIndex: state.pointIndex)
        }
      }
    }
  }

  private func enterNextPoint(_ state: inout State) -> Bool {
    guard state.pointIndex < state.lastPoint, let point = state.points.popFirst() else {
      state.space = nil
      return false
    }
    let space = CrashSpace(
      point, sectorSize: sectorSize, after: state.wasExhaustive ? state.space?.point : nil)
    state.pointIndex += 1
    state.counts.points += 1
    state.known = [:]
    state.space = space
    if point.pending.count <= options.exhaustiveOperations
      && space.count <= options.exhaustiveStates
    {
      state.way = .everyPoint(next: space.origin)
      state.wasExhaustive = true
    } else {
      state.counts.sampledPoints += 1
      state.wasExhaustive = false
      state.way = .drawn(
        corners: space.corners(limit: options.samples), next: 0, left: options.samples,
        tries: options.samples &* 10)
    }
    return true
  }

  private func nextChoice(_ state: inout State, in space: CrashSpace) -> [Int]? {
    switch state.way {
    case .everyPoint(let next):
      guard var choice = next else { return nil }
      let result = choice
      state.way = .everyPoint(next: space.advance(&choice) ? choice : nil)
      return result
    case .drawn(let corners, let next, let left, let tries):
      if left <= 0 || tries <= 0 { return nil }
      state.way = .drawn(corners: corners, next: next + 1, left: left, tries: tries - 1)
      return next < corners.count ? corners[next] : space.sample(using: &state.generator)
    }
  }
}
