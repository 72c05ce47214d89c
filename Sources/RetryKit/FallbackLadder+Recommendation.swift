extension FallbackLadder {
  /// The rung to begin with: the highest one whose memory limit is free; for long work one rung lower.
  ///
  /// Pure arithmetic: nothing is looked up, nothing remembered. When no rung's limit is free it is the lowest one.
  ///
  /// - Parameters:
  ///   - availableMemory: How much memory is free, in bytes; negative counts as zero.
  ///   - duration: How long the work's material is (a video's length), zero when nobody knows.
  ///   - longWork: From more than how long on one rung lower is recommended; four hours unless given.
  /// - Returns: The rung's place in ``steps``.
  public func recommendedIndex(
    availableMemory: Int, duration: Duration = .zero, longWork: Duration = .seconds(4 * 3600)
  ) -> Int {
    let last = steps.count - 1
    let free = steps.firstIndex { $0.memoryLimit ?? 0 <= max(0, availableMemory) } ?? last
    return duration > longWork ? min(free + 1, last) : free
  }

  /// The rung to begin with, as ``recommendedIndex(availableMemory:duration:longWork:)`` finds it.
  public func recommendedRung(
    availableMemory: Int, duration: Duration = .zero, longWork: Duration = .seconds(4 * 3600)
  ) -> Rung {
    steps[
      recommendedIndex(availableMemory: availableMemory, duration: duration, longWork: longWork)
    ].rung
  }
}
