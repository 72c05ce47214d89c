internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// Keeps what belongs to a download from one attempt to the next, and tells people how it gets on.
final class DownloadTracker: Sendable {
  /// One job that a worker works on.
  struct Work: Sendable {
    let id: JobID
    let item: DownloadItem
    let transfer: any FileTransfer
    /// The number of the worker, from 0.
    let worker: Int
    /// The name, safe to show.
    let shown: String
    let start = ContinuousClock.now
  }

  /// What came of the downloads so far.
  struct Counts: Sendable {
    var succeeded = 0
    var skipped = 0
    var failed = 0
    var verified = 0
    var retries = 0
    var timeouts = 0
    var resumptions = 0
    var bytes = 0
    var failures: [ErrorReport] = []
    var lastError: String?
    /// Files by what brought them, where there was a choice.
    var served: [String: Int] = [:]
  }

  /// Where a transfer's progress goes: to the worker and the lease of the attempt that is under way.
  ///
  /// The next attempt of a transfer may be another worker's.
  private final class Listener: Sendable {
    private let attempt = Lock<(worker: Int, context: JobContext)?>(nil)

    func listen(_ worker: Int, _ context: JobContext) {
      attempt.withLock { $0 = (worker, context) }
    }

    func tell(_ display: ProgressDisplay, _ received: Int, _ total: Int?) {
      guard let (worker, context) = attempt.withLock({ $0 }) else { return }
      display.advance(worker: worker, bytes: received, of: total)
      if let total, total > 0 { context.report(progress: Double(received) / Double(total)) }
    }
  }

  private struct Kept {
    var transfer: any FileTransfer
    var listener: Listener
  }

  private struct State {
    /// Transfers of jobs that wait for another attempt.
    var transfers: [JobID: Kept] = [:]
    var listeners: [JobID: Listener] = [:]
    var names: [JobID: String] = [:]
    var workers: Set<Int> = []
    var counts = Counts()
  }

  let display: ProgressDisplay
  private static let transfersKept = 256
  private let state = Lock(State())
  /// How many reports of failures are kept for the summary.
  private let failuresKept: Int

  init(display: ProgressDisplay, failuresKept: Int) {
    self.display = display
    self.failuresKept = failuresKept
  }

  var counts: Counts { state.withLock { $0.counts } }

  /// Forgets the transfers that wait for another attempt, and so removes what they had.
  func forgetAll() {
    let transfers = state.withLock { state in
      defer { state.transfers = [:] }
      return state.transfers
    }
    _ = consume transfers
  }

  // MARK: From the worker

  /// An attempt begins.
  ///
  /// - Parameter make: Makes the transfer, unless an earlier attempt did.
  func begin(
    _ context: JobContext, _ item: DownloadItem,
    _ make: (_ name: String, @escaping @Sendable (Int, Int?) -> Void) -> any FileTransfer
  ) -> Work {
    let (kept, worker) = state.withLock { state in
      var number = 0
      while state.workers.contains(number) { number += 1 }
      state.workers.insert(number)
      state.names[context.id] = item.name
      // Taken out: should an attempt that was given up still be on its way, it keeps it for itself.
      return (state.transfers.removeValue(forKey: context.id), number)
    }
    let listener = kept?.listener ?? Listener()
    listener.listen(worker, context)
    let transfer =
      kept?.transfer
      ?? make(item.name) { [display] received, total in listener.tell(display, received, total) }
    state.withLock { $0.listeners[context.id] = listener }
    let work = Work(
      id: context.id, item: item, transfer: transfer, worker: worker, shown: Self.shown(item.name))
    display.begin(worker: worker, work.shown, isContinued: kept != nil)
    return work
  }

  /// The file was published.
  func succeeded(_ work: Work) {
    let outcome = work.transfer.outcome
    state.withLock { state in
      state.workers.remove(work.worker)
      state.names[work.id] = nil
      state.listeners[work.id] = nil
      state.counts.succeeded += 1
      state.counts.bytes += outcome.bytes
      if work.item.checksum != nil { state.counts.verified += 1 }
      state.counts.add(outcome)
      if let served = outcome.served { state.counts.served[served, default: 0] += 1 }
    }
    var attempts = outcome.attempts > 1 ? ", \(outcome.attempts) attempts" : ""
    if let served = outcome.served {
      let passed = outcome.passed.isEmpty ? "" : " (\(outcome.passed.joined(separator: "; ")))"
      attempts += ", \(served)\(passed)"
    }
    display.end(
      worker: work.worker, "\(work.shown)  \(ByteText.short(outcome.bytes))\(attempts)",
      isGood: true)
  }

  /// The attempt ended without the file.
  func stopped(_ work: Work) {
    state.withLock { state in
      state.workers.remove(work.worker)
      // Each may hold a file open; beyond this the next attempt starts over.
      let listener = state.listeners.removeValue(forKey: work.id)
      if state.transfers.count < Self.transfersKept, let listener {
        state.transfers[work.id] = Kept(transfer: work.transfer, listener: listener)
      }
    }
    display.end(worker: work.worker, nil, isGood: false)
  }

  /// The file was there already.
  func skip(_ id: JobID, _ item: DownloadItem, bytes: Int) {
    state.withLock { state in
      state.counts.succeeded += 1
      state.counts.skipped += 1
    }
    display.end(
      worker: -1, "\(Self.shown(item.name))  \(ByteText.short(bytes)), there already",
      isGood: true)
  }

  // MARK: From the queue

  /// Something happened to a job.
  func note(_ event: JobEvent) {
    switch event.kind {
    case .retrying(let attempt, let most, _, let error):
      let name = event.id.flatMap { id in state.withLock { $0.names[id] } } ?? ""
      let reason = FailureText.reason(of: error)
      display.note(
        "     \(Self.shown(name)): \(reason) Attempt \(attempt + 1) of \(most) follows.")
      state.withLock { state in
        state.counts.lastError = reason
        state.counts.retries += 1
      }
    case .cancelled, .completed, .failed:
      guard let id = event.id else { return }
      let gone = state.withLock { state in
        state.names[id] = nil
        return state.transfers.removeValue(forKey: id)
      }
      _ = consume gone
    default: break
    }
  }

  /// A job has failed for good.
  ///
  /// - Returns: The report of its end.
  func failed(_ dead: DeadJob) -> ErrorReport {
    let (transfer, name) = state.withLock { state in
      let name = state.names.removeValue(forKey: dead.job.id)
      return (state.transfers.removeValue(forKey: dead.job.id)?.transfer, name)
    }
    let job = try? DownloadJob(encodedPayload: dead.job.payload)
    let title = name ?? job?.name ?? "job \(dead.job.id)"
    let report = ErrorReport(
      dead.error,
      download: ErrorReport.DownloadDetails(
        title: title, url: job?.url ?? "", attempts: transfer?.failures ?? dead.attempts,
        temporaryPath: transfer?.temporaryPath, recoveryTaken: "removed the temporary file"))
    state.withLock { state in
      state.counts.failed += 1
      if let outcome = transfer?.outcome { state.counts.add(outcome) }
      state.counts.lastError = report.userMessage
      if state.counts.failures.count < failuresKept { state.counts.failures.append(report) }
    }
    display.end(
      worker: -1, "\(Self.shown(title)): \(FailureText.line(about: dead.error))", isGood: false)
    return report
  }

  private static func shown(_ name: String) -> String {
    String(name.quotedForDisplay.dropFirst().dropLast())
  }
}

extension DownloadTracker.Counts {
  fileprivate mutating func add(_ outcome: TransferOutcome) {
    timeouts += outcome.timeouts
    resumptions += outcome.resumptions
  }
}
