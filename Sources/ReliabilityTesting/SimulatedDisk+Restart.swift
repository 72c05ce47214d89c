extension SimulatedDisk {
  /// How a simulated machine goes down.
  public enum Crash: Hashable, Sendable {
    /// Only the process ends (`kill -9`): everything it wrote is there.
    case processKilled
    /// The power fails, and nothing has reached the medium but what was synced.
    case powerCut
    /// The power fails just after the kernel wrote back everything it could.
    case powerCutAfterWriteback
  }

  /// The disk as it is found after a crash and a restart.
  ///
  /// A disk of its own: nothing is open, no lock is held, no fault is set, and files have another device number. This
  /// one stays as it is.
  ///
  /// - Parameter crash: How the machine goes down.
  /// - Returns: The disk after the restart.
  public func restarted(after crash: Crash = .powerCut) -> SimulatedDisk {
    let (point, visible) = machine.withLock { ($0.crashPointNow, $0.visible) }
    let image =
      switch crash {
      case .processKilled: visible
      case .powerCut: point.durable
      case .powerCutAfterWriteback: written(point)
      }
    return restarted(image, point)
  }

  /// Every state a power cut now may leave, each as a disk of its own; the one in which nothing is lost comes first.
  ///
  /// - Parameters:
  ///   - limit: The most states. When there are more, they are drawn by the seed.
  ///   - seed: Decides what is drawn.
  /// - Returns: The disks, no two alike.
  public func crashStates(limit: Int = 10_000, seed: UInt64 = 1) -> [SimulatedDisk] {
    var options = ExplorationOptions()
    options.seed = seed
    options.exhaustiveStates = limit
    options.exhaustiveOperations = .max
    options.samples = limit
    let point = machine.withLock { $0.crashPointNow }
    let cursor = CrashCursor(
      [point], sectorSize: configuration.sectorSize, options: options, seen: SeenStates())
    var disks: [SimulatedDisk] = []
    while disks.count < limit, let state = cursor.next() {
      disks.append(restarted(state.image, point))
    }
    return disks
  }

  /// What the kernel could write back: all but what a failed sync made it forget.
  private func written(_ point: CrashPoint) -> SimulatedImage {
    var image = point.durable
    for change in point.pending {
      if case .write(_, _, _, _, true) = change.effect {
        image.apply(change.effect, .prefixThenZeros(0))
      } else {
        image.apply(change.effect)
      }
    }
    return image
  }

  /// A disk that starts with an image.
  func restarted(_ image: SimulatedImage, _ point: CrashPoint) -> SimulatedDisk {
    // Half a minute for the restart. Another seed: a program that starts again does not choose the same names.
    let seed = seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(point.version) &+ 1
    var machine = SimulatedMachine(
      image.settled(), nextNode: point.nextNode, now: point.now, configuration: configuration,
      seed: seed)
    machine.advanceClock(by: 30_000_000_000)
    return SimulatedDisk(
      machine, seed: seed, processIdentifier: processIdentifier % 32_000 + 1)
  }
}

extension SimulatedMachine {
  /// What a crash at this moment depends on.
  var crashPointNow: CrashPoint {
    CrashPoint(
      version: version, durableVersion: durableVersion, callCount: journal.callCount,
      durable: durable, pending: pending,
      nextNode: nextNode, now: now, acknowledged: journal.acknowledged.count)
  }
}
