internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// Downloads the files of a plan, several at once; each succeeds or fails by itself.
final class DownloadRun: Sendable {
  private let plan: DownloadPlan
  private let directory: String
  private let options: Options
  private let display: ProgressDisplay
  private let state: Lock<State>

  private struct State {
    var next = 0
    var summary = RunSummary()
  }

  /// Makes a run.
  ///
  /// - Parameters:
  ///   - plan: What to download.
  ///   - directory: Where to; it must exist.
  ///   - options: How.
  ///   - display: Shows how it goes.
  init(plan: DownloadPlan, directory: String, options: Options, display: ProgressDisplay) {
    self.plan = plan
    self.directory = directory
    self.options = options
    self.display = display
    var state = State()
    state.summary.files = plan.items.count
    self.state = Lock(state)
  }

  /// Downloads everything.
  ///
  /// When the task is cancelled, what is under way is given up and cleaned away.
  func perform() async -> RunSummary {
    let start = ContinuousClock.now
    await withTaskGroup { group in
      for worker in 0..<min(options.workers, plan.items.count) {
        group.addTask { await self.work(as: worker) }
      }
    }
    display.close()
    let orphans = Self.temporaryFiles(in: directory).count
    return state.withLock { state in
      state.summary.seconds = (ContinuousClock.now - start) / .seconds(1)
      state.summary.orphanedTemporaryFiles = orphans
      return state.summary
    }
  }

  private func work(as worker: Int) async {
    while !Task.isCancelled, let item = nextItem() {
      await download(item, worker: worker)
    }
  }

  private func nextItem() -> DownloadItem? {
    state.withLock { state in
      guard state.next < plan.items.count else { return nil }
      defer { state.next += 1 }
      return plan.items[state.next]
    }
  }

  /// Downloads one file; whatever goes wrong stays with this file.
  private func download(_ item: DownloadItem, worker: Int) async {
    let shown = String(item.name.quotedForDisplay.dropFirst().dropLast())
    display.begin(worker: worker, shown)
    var file: FileDownload?
    do {
      try await withErrorContext(
        "download", ["url": .public(item.url), "file": .public(item.name)]
      ) {
        let started = try await FileDownload(
          item, to: "\(directory)/\(item.name)", limits: options
        ) { [display] received, total in
          display.advance(worker: worker, bytes: received, of: total)
        }
        file = started
        try await retry(policy(for: shown)) { try await started.attempt() }
        try await started.publish()
      }
      succeeded(item, shown: shown, worker: worker, file?.outcome ?? FileDownload.Outcome())
    } catch {
      // Also when it was stopped: nothing unfinished stays on the disk.
      try? await file?.discard()
      failed(item, shown: shown, worker: worker, file, error)
    }
  }

  private func policy(for shown: String) -> RetryPolicy {
    var policy = RetryPolicy(
      maxAttempts: options.attempts, backoff: .exponential(base: options.backoff))
    policy.observer = { [display, options] event in
      guard case .retrying = event.kind, let error = event.error else { return }
      let reason = FailureText.reason(of: error)
      display.note(
        "     \(shown): \(reason) Attempt \(event.attempt + 1) of \(options.attempts) follows.")
    }
    return policy
  }

  private func succeeded(
    _ item: DownloadItem, shown: String, worker: Int, _ outcome: FileDownload.Outcome
  ) {
    count(outcome)
    state.withLock { state in
      state.summary.succeeded += 1
      state.summary.bytes += outcome.bytes
      if item.checksum != nil { state.summary.verified += 1 }
    }
    let attempts = outcome.attempts > 1 ? ", \(outcome.attempts) attempts" : ""
    display.end(
      worker: worker, "\(shown)  \(ByteText.short(outcome.bytes))\(attempts)", isGood: true)
  }

  private func failed(
    _ item: DownloadItem, shown: String, worker: Int, _ file: FileDownload?, _ error: any Error
  ) {
    if let file { count(file.outcome) }
    // Stopped from outside: neither a success nor a failure.
    guard !Task.isCancelled else { return display.end(worker: worker, nil, isGood: false) }
    let report = ErrorReport(
      error,
      download: ErrorReport.DownloadDetails(
        title: item.name, url: item.url.absoluteString, attempts: file?.failures ?? [],
        temporaryPath: file?.temporaryPath, recoveryTaken: "removed the temporary file"))
    state.withLock { state in
      state.summary.failed += 1
      state.summary.failures.append(report)
    }
    display.end(worker: worker, "\(shown): \(FailureText.line(about: error))", isGood: false)
  }

  private func count(_ outcome: FileDownload.Outcome) {
    state.withLock { state in
      state.summary.retries += max(0, outcome.attempts - 1)
      state.summary.timeouts += outcome.timeouts
      state.summary.resumptions += outcome.resumptions
    }
  }

  /// The summary when nothing could be tried at all.
  func refused(_ error: any Error) -> RunSummary {
    var summary = state.withLock { $0.summary }
    summary.failed = summary.files
    summary.failures = [ErrorReport(error)]
    return summary
  }

  /// The temporary files of this process that lie in the output directory.
  private static func temporaryFiles(in directory: String) -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    let process = ".\(String(ProcessInfo.processInfo.processIdentifier, radix: 16))."
    return names.filter {
      $0.hasPrefix(".") && $0.hasSuffix(".rtmp") && $0.contains(process)
    }
  }
}
