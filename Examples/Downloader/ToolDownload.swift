internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// One file on its way to the disk by an external tool.
///
/// The tool writes to a place of its own. What it brought is copied, hashed on the way, into a temporary file that takes its
/// name only when it is complete and verified. Each attempt walks the ladder of qualities.
///
/// Unchecked: attempts come one after the other.
final class ToolDownload: FileTransfer, @unchecked Sendable {
  private let item: DownloadItem
  private let path: String
  private let method: ToolTransfer
  private let progress: @Sendable (_ received: Int, _ expected: Int?) -> Void

  private var own = TransferOutcome()
  private var ownFailures: [AttemptRecord] = []
  private var file: AtomicFile?
  /// Whether what is known about runs of this kind counts: not any more once that has ended one.
  private var trustsLearned = true
  /// What the tool was allowed when it last said how far it was.
  private var decision: TimeoutDecision?
  /// Takes over when the tool has failed, where that is wanted.
  private var builtIn: (any FileTransfer)?

  init(
    _ item: DownloadItem, to path: String, method: ToolTransfer,
    progress: @escaping @Sendable (_ received: Int, _ expected: Int?) -> Void
  ) {
    self.item = item
    self.path = path
    self.method = method
    self.progress = progress
  }

  var outcome: TransferOutcome {
    guard let other = builtIn?.outcome else { return own }
    var all = other
    all.attempts += own.attempts
    all.timeouts += own.timeouts
    all.served = "the built-in client"
    all.passed = own.passed
    return all
  }

  var failures: [AttemptRecord] { ownFailures + (builtIn?.failures ?? []) }
  var temporaryPath: String? { builtIn?.temporaryPath ?? file?.temporaryPath }

  func attempt() async throws {
    if let builtIn { return try await builtIn.attempt() }
    own.attempts += 1
    do {
      try await fetch()
    } catch {
      if error.underlying(as: CancellationError.self) != nil || Task.isCancelled { throw error }
      guard method.settings.fallsBack else { throw error }
      breadcrumb("the tool has failed; the built-in client takes over")
      file = nil
      let other = method.builtIn.transfer(of: item, to: path, progress: progress)
      builtIn = other
      try await other.attempt()
    }
  }

  func publish() async throws {
    if let builtIn { return try await builtIn.publish() }
    _ = try await file?.publish()
  }

  // MARK: One attempt

  private func fetch() async throws {
    if method.builtIn.policy != .any {
      try await AddressBook.shared.check(item.address.host, method.builtIn.policy)
    }
    let file: AtomicFile
    if let kept = self.file {
      file = kept
    } else {
      file = try await AtomicFile(
        replacing: path, options: AtomicFile.Options(durability: method.builtIn.durability))
      self.file = file
    }
    let scratch = ToolScratch(for: file.temporaryPath)
    do {
      try await walk(scratch)
      try await BlockingThreads.shared.run { try self.take(scratch, into: file) }
    } catch {
      try? await BlockingThreads.shared.run { scratch.remove() }
      throw error
    }
    try await BlockingThreads.shared.run { scratch.remove() }
  }

  /// Runs the tool for one quality after the other until one serves.
  private func walk(_ scratch: ToolScratch) async throws {
    let limit = method.builtIn.limits.timeout(of: item.name)
    guard let ladder = method.ladder else {
      try await run(scratch, quality: nil, timeout: limit, memory: nil, method: "tool")
      return
    }
    let free = AvailableMemory.bytes
    do {
      let outcome = try await ladder.run(
        key: item.address.server, timeout: limit, availableMemory: free
      ) { step in
        try await self.run(
          scratch, quality: step.rung, timeout: step.timeout ?? limit, memory: step.memoryLimit,
          method: "tool at \(step.name)")
      }
      own.served = outcome.name
      own.passed = outcome.passed.map(\.description)
    } catch let error as LadderError<MediaQuality> {
      own.passed = error.passed.map(\.description)
      throw error
    }
  }

  private func run(
    _ scratch: ToolScratch, quality: MediaQuality?, timeout: Duration, memory: Int?,
    method name: String
  ) async throws {
    let start = method.builtIn.clock.now
    let limits = method.builtIn.limits
    let kind = "\(name) \(limits.kind(of: item))"
    let pace = ProgressMonitor(
      limits.tool(for: item.name, total: timeout, learns: trustsLearned), kind: kind,
      clock: method.builtIn.clock)
    do {
      try await BlockingThreads.shared.run { scratch.remove() }
      try await supervise(scratch, quality: quality, pace: pace, memory: memory)
      // Karn's rule: what had to be repeated says nothing of how long it takes.
      if own.attempts == 1 {
        limits.learned.record(start.duration(to: method.builtIn.clock.now), for: kind)
      }
    } catch {
      explain(error, kind)
      let category = ErrorClassifier.default.classify(error).category
      if category == .timeout { own.timeouts += 1 }
      ownFailures.append(
        AttemptRecord(
          number: own.attempts, failure: error, category: category,
          elapsed: start.duration(to: method.builtIn.clock.now), method: name))
      throw error
    }
  }

  /// When a limit of time has ended the tool: writes down what that was computed from.
  private func explain(_ error: any Error, _ kind: String) {
    guard let failure = error.underlying(as: ProcessError.self), failure.code == .timedOut else {
      return
    }
    let reason = failure.report.stopReason
    breadcrumb("\(reason?.rawValue ?? "time") limit: \(decision.map { "\($0)" } ?? "")")
    guard reason == .totalLimit else { return }
    trustsLearned = false
    method.builtIn.limits.learned.recordTimeout(for: kind)
  }

  /// Runs the tool once.
  ///
  /// - Parameter pace: Told what the tool says of its progress; decides how long it may take.
  private func supervise(
    _ scratch: ToolScratch, quality: MediaQuality?, pace: ProgressMonitor, memory: Int?
  ) async throws {
    var limit = pace.decision.limit
    decision = pace.decision
    var configuration = ProcessConfiguration()
    configuration.limits.total = limit
    configuration.limits.stall = method.builtIn.limits.toolStall
    configuration.limits.memory = memory.map { .sampled(bytes: Int64($0)) }
    configuration.watchedFile = scratch.path
    configuration.failsOnEmptyFile = true
    configuration.grace = method.grace
    let command = method.settings.command
    let arguments = command.arguments(
      ToolCommand.Values(
        url: item.url.absoluteString, output: scratch.path,
        quality: quality?.rawValue ?? MediaQuality.worst.rawValue,
        threads: MediaQuality.recommendedThreads(
          processors: ProcessInfo.processInfo.activeProcessorCount,
          availableMemory: AvailableMemory.bytes ?? 0)))
    try await method.supervisor.withProcess(
      command.program, arguments, configuration: configuration
    ) { process in
      for try await line in process.lines {
        guard let part = Self.percentage(in: line.text) else { continue }
        process.reportProgress("\(Int(part)) %")
        pace.report(fraction: part / 100)
        let allowed = pace.decision
        decision = allowed
        if allowed.limit != limit {
          limit = allowed.limit
          process.limitTotal(to: limit)
        }
        let size = scratch.size
        progress(size, part > 0 ? max(size, Int(min(Double(size) * 100 / part, 1e18))) : nil)
      }
      _ = try await process.waitUntilExit()
    }
  }

  /// The last percentage that a line of output names.
  static func percentage(in line: String) -> Double? {
    guard let sign = line.lastIndex(of: "%") else { return nil }
    let number = line[..<sign].reversed().drop { $0 == " " }.prefix { $0.isNumber || $0 == "." }
    return Double(String(number.reversed())).flatMap { (0...100).contains($0) ? $0 : nil }
  }

  /// Takes over what the tool has written.
  private func take(_ scratch: ToolScratch, into file: AtomicFile) throws {
    let wantsDigest = item.checksum != nil || method.builtIn.alwaysDigests
    var digest = SHA256()
    guard let source = FileHandle(forReadingAtPath: scratch.path) else {
      throw DownloadError(.wrongLength(received: 0, expected: 1))
    }
    defer { try? source.close() }
    if file.size > 0 { try file.truncate(to: 0) }
    while let piece = try source.read(upToCount: 1 << 20), !piece.isEmpty {
      try unsafe piece.withUnsafeBytes { bytes in
        unsafe try file.append(bytes.bindMemory(to: UInt8.self).span)
        if wantsDigest { unsafe digest.update(bytes) }
      }
    }
    own.bytes = Int(file.size)
    progress(own.bytes, own.bytes)
    guard wantsDigest else { return }
    own.digest = digest.hexadecimal
    if let checksum = item.checksum, own.digest != checksum {
      throw DownloadError(
        .wrongChecksum(received: digest.hexadecimal, expected: checksum))
    }
  }
}
