internal import ReliabilityCore
internal import ReliabilityIO

extension OrphanSweeper {
  /// Sweeps a directory unless this process did so less than a minute ago: what every store does when it is opened.
  ///
  /// For a thread that may block. An error is none of the store's business: the next minute tries again.
  ///
  /// - Returns: `nil` when it was not due or the directory can't be listed.
  @discardableResult
  static func sweepIfDue(
    _ directory: String, fileSystem: FileSystem, schedule: SweepSchedule = .shared,
    clock: any TimeSource = ContinuousClock()
  ) -> SweepReport? {
    // A simulated disk runs the same calls each time, whatever ran before in this process.
    if fileSystem.backend is RealFileSystem, !schedule.isDue(directory, at: clock.now) {
      return nil
    }
    return try? sweepBlocking(directory, options: Options(), fileSystem: fileSystem)
  }
}

/// When each directory was last swept by this process.
final class SweepSchedule: Sendable {
  static let shared = SweepSchedule()

  static let interval = Duration.seconds(60)

  /// By path: two spellings of one directory are swept twice, which is harmless.
  private let last = Lock<[String: Duration]>([:])

  /// Whether a sweep is due; if so, it counts as done.
  func isDue(_ directory: String, at instant: ContinuousClock.Instant) -> Bool {
    let now = instant.sinceOrigin
    return last.withLock { last in
      if let before = last[directory], now - before < SweepSchedule.interval { return false }
      // A process that walks through many directories must not remember them all.
      if last.count >= 256 { last = last.filter { now - $0.value < SweepSchedule.interval } }
      if last.count < 4096 { last[directory] = now }
      return true
    }
  }
}
