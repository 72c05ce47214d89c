/// What the two forms of `explore` share: everything but the calls of the user's closures.
final class SimulatedDiskExploration: Sendable {
  /// One state to look at: a fresh disk, and how it came about.
  struct Step: Sendable {
    let disk: SimulatedDisk
    let acknowledged: [String]
    let state: CrashState
    /// The state in whose recovery the second crash was.
    let first: FirstCrash?
  }

  struct FirstCrash: Sendable {
    let state: CrashState
    let trace: [TracedCall]
  }

  private struct Found {
    var best: (rank: [Int], violation: CrashViolation)?
    var violations = 0
    var recoveries = 0
    var secondStates = 0
    var secondPoints = 0
    var sampledSecondPoints = 0
  }

  private let options: ExplorationOptions
  private let recorded: SimulatedDisk
  private let trace: [TracedCall]
  private let acknowledged: [String]
  private let seen = SeenStates()
  private let cursor: CrashCursor
  private let hasRecovery: Bool
  private let found = Lock(Found())

  /// Begins to explore what was recorded on a disk.
  init(_ disk: SimulatedDisk, options: ExplorationOptions, hasRecovery: Bool) {
    self.options = options
    self.hasRecovery = hasRecovery
    recorded = disk
    let points: [CrashPoint]
    (points, acknowledged, trace) = disk.machine.withLock {
      ($0.crashPoints ?? [], $0.journal.acknowledged, $0.journal.trace)
    }
    cursor = CrashCursor(
      points, sectorSize: options.disk.sectorSize, options: options, seen: seen)
  }

  /// A disk for a run to be recorded.
  static func disk(_ options: ExplorationOptions) -> SimulatedDisk {
    requireValid(options.validate)
    return SimulatedDisk(seed: options.seed, configuration: options.disk)
  }

  /// From now on every change on the disk is a crash point.
  static func record(_ disk: SimulatedDisk) {
    disk.machine.withLock { machine in
      machine.settle()
      machine.journal.acknowledged = []
      machine.journal.forgetTrace()
      machine.crashPoints = []
      machine.recordCrashPoint()
    }
  }

  /// The next state after a first crash.
  func next() -> Step? {
    guard let state = cursor.next() else { return nil }
    return step(state, on: recorded, first: nil)
  }

  private func step(_ state: CrashState, on crashed: SimulatedDisk, first: FirstCrash?) -> Step {
    let disk = crashed.restarted(state.image, state.space.point)
    let notes = Array(acknowledged.prefix(state.space.point.acknowledged))
    let records = hasRecovery && first == nil
    disk.machine.withLock { machine in
      machine.journal.acknowledged = notes
      machine.journal.isTracing = records
      if records {
        machine.crashPoints = []
        machine.recordCrashPoint()
      }
    }
    return Step(disk: disk, acknowledged: notes, state: state, first: first)
  }

  /// The states that a second crash may leave, while the disk of the step recovered from the first one.
  ///
  /// To be asked when the recovery has ended: what is done to the disk later is no part of it.
  func secondCrashes(in step: Step) -> SecondCrashes? {
    guard hasRecovery, step.first == nil else { return nil }
    let (points, trace) = step.disk.machine.withLock { machine in
      defer { machine.crashPoints = nil }
      return (machine.crashPoints ?? [], machine.journal.trace)
    }
    found.withLock { $0.recoveries += 1 }
    guard points.count > 1 else { return nil }
    let crashes = SecondCrashes(
      disk: step.disk, first: FirstCrash(state: step.state, trace: trace),
      left: options.secondCrashStates,
      cursor: CrashCursor(
        // Those late in the recovery are as interesting as the first ones: which come first is chance.
        points.shuffled(by: options.seed &+ UInt64(bitPattern: Int64(step.state.pointIndex))),
        sectorSize: options.disk.sectorSize, options: options.forSecondCrash, seen: seen,
        seed: options.seed &+ UInt64(points.count)))
    return crashes
  }

  struct SecondCrashes {
    fileprivate let disk: SimulatedDisk
    fileprivate let first: FirstCrash
    fileprivate var left: Int
    fileprivate let cursor: CrashCursor
  }

  /// The next state after a second crash.
  func next(_ crashes: inout SecondCrashes) -> Step? {
    guard crashes.left > 0, let state = crashes.cursor.next() else {
      let counts = crashes.cursor.counts
      found.withLock {
        $0.secondPoints += counts.points
        $0.sampledSecondPoints += counts.sampledPoints
      }
      return nil
    }
    crashes.left -= 1
    found.withLock { $0.secondStates += 1 }
    return step(state, on: crashes.disk, first: crashes.first)
  }

  /// Keeps the error of a check if it has the smallest trace so far.
  func note(_ error: any Error, _ step: Step) {
    let firstState = step.first?.state ?? step.state
    cursor.stop(after: firstState.pointIndex)
    var rank = [
      firstState.pointIndex, step.first == nil ? 0 : 1,
      firstState.space.differences(firstState.choice),
    ]
    if step.first != nil {
      rank += [
        step.state.space.point.callCount, step.state.space.differences(step.state.choice),
      ]
    }
    let isBest = found.withLock { found in
      found.violations += 1
      return found.best.map { rank.lexicographicallyPrecedes($0.rank) } ?? true
    }
    guard isBest else { return }
    let violation = CrashViolation(
      message: "\(error)", underlying: error, seed: options.seed,
      trace: CrashViolation.cut(trace, at: firstState.space.point),
      changes: firstState.space.describe(firstState.choice),
      recoveryTrace: step.first.map { CrashViolation.cut($0.trace, at: step.state.space.point) },
      recoveryChanges: step.first.map { _ in step.state.space.describe(step.state.choice) },
      report: report)
    found.withLock { found in
      if found.best.map({ rank.lexicographicallyPrecedes($0.rank) }) ?? true {
        found.best = (rank, violation)
      }
    }
  }

  /// What was explored so far.
  var report: ExplorationReport {
    let counts = cursor.counts
    return found.withLock { found in
      ExplorationReport(
        seed: options.seed, runs: 1 + found.recoveries, crashPoints: counts.points,
        states: counts.states, distinctStates: seen.count, sampledCrashPoints: counts.sampledPoints,
        secondCrashPoints: found.secondPoints, secondCrashStates: found.secondStates,
        violations: found.violations)
    }
  }

  /// The report, or the error with the smallest trace.
  func finish() throws -> ExplorationReport {
    let report = report
    guard var violation = found.withLock({ $0.best?.violation }) else { return report }
    violation.report = report
    throw violation
  }
}

extension [CrashPoint] {
  fileprivate func shuffled(by seed: UInt64) -> [CrashPoint] {
    var generator = SeededGenerator(seed: seed)
    return shuffled(using: &generator)
  }
}
