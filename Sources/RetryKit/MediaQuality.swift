public import ReliabilityCore

/// The quality of a video, best first: what a download steps down on when memory or time run out.
///
///     let ladder = FallbackLadder<MediaQuality>.mediaQuality
///     let outcome = try await ladder.run(key: host, timeout: .seconds(3600)) { attempt in
///       try await download(url, format: attempt.rung.rawValue)
///     }
public enum MediaQuality: String, Hashable, Sendable, CaseIterable, Codable {
  /// 720 lines.
  case p720 = "720p"
  /// 480 lines.
  case p480 = "480p"
  /// 360 lines.
  case p360 = "360p"
  /// The least that is offered.
  case worst

  /// How many threads the work on a video should use: one for each processor and each 512 MB of free memory, 8 at most.
  ///
  /// - Parameters:
  ///   - processors: How many processors there are.
  ///   - availableMemory: How much memory is free, in bytes.
  /// - Returns: The least of the three, 1 at least.
  public static func recommendedThreads(processors: Int, availableMemory: Int) -> Int {
    max(1, min(processors, availableMemory / (512 << 20), 8))
  }
}

extension MediaQuality: CustomStringConvertible {
  /// The quality as people write it.
  public var description: String { rawValue }
}

extension FallbackLadder<MediaQuality> {
  /// A ladder of video qualities for the process: 8, 4, 2 and 1 GB of memory; the whole of the limit of time, then 0.8, 0.6
  /// and 0.5 of it; steps down when memory or time run out.
  public static var mediaQuality: FallbackLadder { sharedMediaQuality }

  /// A ladder of video qualities of your own, with the same rungs.
  ///
  /// - Parameters:
  ///   - name: What it is for.
  ///   - memoryLifetime: How long to stay on a lower rung before one call tries a higher one.
  ///   - clock: The time.
  ///   - observer: Told about steps, on the caller's task, outside locks.
  public static func mediaQuality(
    name: String, memoryLifetime: Duration = .seconds(600),
    clock: any TimeSource = ContinuousClock(),
    observer: (@Sendable (LadderEvent) -> Void)? = nil
  ) -> FallbackLadder {
    FallbackLadder(
      name: name,
      [
        Step(.p720, timeoutMultiplier: 1.0, memoryLimit: 8192 << 20),
        Step(.p480, timeoutMultiplier: 0.8, memoryLimit: 4096 << 20),
        Step(.p360, timeoutMultiplier: 0.6, memoryLimit: 2048 << 20),
        Step(.worst, timeoutMultiplier: 0.5, memoryLimit: 1024 << 20),
      ], memoryLifetime: memoryLifetime, clock: clock, observer: observer)
  }
}

private let sharedMediaQuality = FallbackLadder<MediaQuality>.mediaQuality(name: "quality")
