public import ErrorContext

/// A running child process, for the body of `withProcess`.
///
///     try await withProcess("curl", ["-O", url]) { process in
///       for try await line in process.lines { print(process.processID, line) }
///     }
///
/// May be used from any task. It is of no use after the body has ended: the process has ended too.
public struct SupervisedProcess: Sendable {
  let child: ChildProcess

  /// The number of the process, which is also that of its session and its group.
  public var processID: Int32 { child.pid }

  /// The lines of both outputs, as they come.
  public var lines: ProcessLines { ProcessLines(buffer: child.lines) }

  /// How many bytes of output were dropped because nobody was reading ``lines``.
  public var droppedLineBytes: Int64 { child.lines.droppedBytes }

  /// Says that the process makes progress, so that it is not called stalled, and writes a mark into its timeline.
  ///
  /// Output and growth of the watched file count by themselves.
  ///
  /// - Parameter note: What to write, such as "45 %".
  public func reportProgress(_ note: String? = nil) { child.progress(note) }

  /// Moves the limit for the whole run: for work whose progress says how long it will take.
  ///
  ///     let progress = ProgressMonitor(.downloads)
  ///     for try await line in process.lines {
  ///       if let fraction = fraction(in: line.text) { progress.report(fraction: fraction) }
  ///       process.limitTotal(to: progress.decision.limit)
  ///     }
  ///
  /// Takes the place of ``ProcessLimits/total``, longer or shorter; `Deadline.current` of the start still holds. One that has passed
  /// ends the process.
  ///
  /// - Parameter limit: From the start of the process to its end; zero and negative count as passed.
  public func limitTotal(to limit: Duration) { child.limitTotal(to: limit) }

  /// Asks the process to end: SIGTERM, the grace time, SIGKILL, for all of its tree.
  ///
  /// Returns at once. A process that was ended so has not failed.
  public func terminate() { child.stop(.requested) }

  /// Suspends until the process has ended, and returns everything known of it.
  ///
  /// - Returns: The report, also of a process that failed; `withProcess` throws what came of it.
  /// - Throws: `CancellationError` when the task is cancelled before.
  public nonisolated(nonsending) func waitUntilExit() async throws(CancellationError)
    -> ProcessReport
  {
    try await child.ending.waitUnlessCancelled()
  }

  /// The report, once the process has ended.
  public var report: ProcessReport? { child.ending.report }

  /// The last samples of the resources, 32 at most, oldest first.
  public nonisolated(nonsending) func samples() async -> [ResourceSample] {
    if let report { return report.samples }
    return await withCheckedContinuation { continuation in
      child.withSamples { continuation.resume(returning: $0) }
    }
  }

  /// Looks at the tree once more, for measurements of the supervision itself.
  ///
  /// - Returns: How many processes there are, and how long looking took.
  package nonisolated(nonsending) func measure() async -> (processes: Int, cost: Duration) {
    await withCheckedContinuation { continuation in
      child.withLook { continuation.resume(returning: ($0, $1)) }
    }
  }
}
