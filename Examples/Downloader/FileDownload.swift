internal import Foundation
internal import FoundationNetworking
internal import Reliability
internal import ReliabilityExampleSupport

/// One file on its way to the disk by the built-in client.
///
/// What has arrived is kept from one attempt to the next, in a temporary file beside the destination; it takes its
/// name only when it is complete and verified.
///
/// Unchecked: attempts come one after the other, and each waits for the thread that works for it.
final class FileDownload: FileTransfer, @unchecked Sendable {
  private let item: DownloadItem
  private let path: String
  private let method: BuiltInTransfer
  private let progress: @Sendable (_ received: Int, _ expected: Int?) -> Void

  private(set) var outcome = TransferOutcome()
  private(set) var failures: [AttemptRecord] = []
  private var file: AtomicFile?
  private var digest: SHA256?
  // What proves that the rest on the server belongs to what is here: a strong ETag or a date.
  private var validator: String?
  private var description = ""
  /// Whether what is known about the kind of file counts: not any more once that has ended an attempt.
  private var trustsLearned = true
  /// Of the attempt that runs.
  private var monitor: ProgressMonitor?

  private var received: Int { Int(file?.size ?? 0) }
  private var wantsDigest: Bool { item.checksum != nil || method.alwaysDigests }

  /// Prepares a download; touches nothing yet.
  init(
    _ item: DownloadItem, to path: String, method: BuiltInTransfer,
    progress: @escaping @Sendable (_ received: Int, _ expected: Int?) -> Void
  ) {
    self.item = item
    self.path = path
    self.method = method
    self.progress = progress
  }

  /// The path of what has arrived so far.
  var temporaryPath: String? { file?.temporaryPath }

  /// Tries once: continues where the last attempt broke off, or starts from the first byte.
  ///
  /// - Throws: What went wrong, classified. What arrived before is kept when it can be continued.
  func attempt() async throws {
    outcome.attempts += 1
    let start = ContinuousClock.now
    description = "GET of the whole file"
    do {
      try await withAdaptiveTimeout(
        method.limits.adaptive(for: item.name, learns: trustsLearned),
        kind: method.limits.kind(of: item), attempt: outcome.attempts, clock: method.clock
      ) { monitor in
        self.monitor = monitor
        defer { self.monitor = nil }
        try await transfer()
      }
    } catch {
      if let timeout = error.underlying(as: TimeoutError.self) {
        outcome.timeouts += 1
        if timeout.kind == .total { trustsLearned = false }
      }
      failures.append(
        AttemptRecord(
          number: outcome.attempts, failure: error,
          category: ErrorClassifier.default.classify(error).category,
          elapsed: ContinuousClock.now - start, method: description))
      throw error
    }
  }

  /// Gives the complete file its name.
  func publish() async throws {
    try await method.threads.run {
      _ = try self.file?.publish()
    }
  }

  // MARK: One attempt

  private func transfer() async throws {
    var address = item.address
    for _ in 0...10 {
      guard let next = try await fetch(address) else { return }
      address = try HTTPAddress(next)
    }
    throw URLError(.httpTooManyRedirects)
  }

  /// Sends one request and takes its answer.
  ///
  /// - Returns: Where the answer leads instead, or `nil` when the file is complete.
  private func fetch(_ address: HTTPAddress) async throws -> URL? {
    var fields = HTTPClient.fields
    if received > 0, let validator {
      fields += [HTTPField("Range", "bytes=\(received)-"), HTTPField("If-Range", validator)]
      description = "GET of the rest from byte \(received)"
    }
    let isContinued = fields.count > HTTPClient.fields.count
    if address.isPlain {
      let fetch = try await HTTPFetch.prepared(
        host: address.host, port: address.port, target: address.target, headers: fields,
        policy: method.policy, silence: method.limits.silence, book: method.book)
      return try await onThread {
        try self.receive(fetch, address, isContinued: isContinued)
      } onCancel: {
        fetch.cancel()
      }
    }
    let exchange = try await HTTPClient().begin(address, fields, method.policy)
    defer { exchange.giveUp() }
    return try await onThread {
      try self.receive(exchange.exchange, isContinued: isContinued)
    } onCancel: {
      exchange.giveUp()
    }
  }

  /// Runs a body that blocks; a cancellation wins over whatever it makes of it.
  private func onThread(
    _ body: @escaping @Sendable () throws -> URL?, onCancel: @escaping @Sendable () -> Void
  ) async throws -> URL? {
    try await withTaskCancellationHandler {
      do {
        let next = try await method.threads.run(body)
        // A connection that was shut down looks like the end of a body without a length.
        try Task.checkCancellation()
        return next
      } catch {
        try Task.checkCancellation()
        throw error
      }
    } onCancel: {
      onCancel()
    }
  }

  private func receive(
    _ fetch: HTTPFetch, _ address: HTTPAddress, isContinued: Bool
  ) throws -> URL? {
    do {
      let answer = try fetch.open()
      defer { answer.finish() }
      if let destination = HTTPClient.redirect(answer.head, from: address.url) {
        return destination
      }
      unsafe try take(answer.head, isContinued: isContinued) { body in
        unsafe try answer.read(body)
      }
      return nil
    } catch HTTPFetch.Failure.silent {
      let limit = method.limits.silence
      throw TimeoutError(kind: .stall, limit: limit, elapsed: limit)
    } catch let failure as HTTPFetch.Failure {
      throw DownloadError(.connection, cause: failure)
    }
  }

  private func receive(_ exchange: Exchange, isContinued: Bool) throws -> URL? {
    let limit = method.limits.silence
    let head = try exchange.response(within: limit)
    unsafe try take(head, isContinued: isContinued) { body in
      guard let bytes = try exchange.next(within: limit) else { return false }
      unsafe try bytes.withUnsafeBytes { unsafe try body($0) }
      return true
    }
    return nil
  }

  /// Reads what comes next of a body; `false` when nothing more does.
  private typealias Next = ((UnsafeRawBufferPointer) throws -> Void) throws -> Bool

  private func take(_ head: HTTPResponseHead, isContinued: Bool, _ next: Next) throws {
    if !isContinued { try startOver() }
    switch try begin(head) {
    case .body(let total): unsafe try read(next, total: total)
    case .complete: break
    }
    try verify()
  }

  /// What an answer brings.
  private enum Answer {
    /// A body that completes the file; `total` is the file's length where the server says it.
    case body(total: Int?)
    /// Nothing: all of the file is here.
    case complete
  }

  /// Looks at status and header fields, and makes the temporary file fit what is going to come.
  private func begin(_ response: HTTPResponseHead) throws -> Answer {
    let status = response.status
    let length = response.header("Content-Length").flatMap { ContentRange.number($0) }
    switch status {
    case 200:
      if received > 0 {
        breadcrumb("the server sent the whole file instead of the rest; started over")
        try startOver()
      }
      if file == nil {
        file = try AtomicFile(
          replacing: path, options: AtomicFile.Options(durability: method.durability))
      }
      validator = Self.validator(of: response)
      return .body(total: length)
    case 206:
      guard received > 0, let range = ContentRange(response), range.first == received else {
        try startOver()
        throw DownloadError(.wrongRange)
      }
      outcome.resumptions += 1
      if let total = range.total { return .body(total: total) }
      guard let length else { return .body(total: nil) }
      let (total, overflow) = received.addingReportingOverflow(length)
      if overflow { throw DownloadError(.wrongRange) }
      return .body(total: total)
    case 416 where received > 0:
      // The rest of a file that has no rest: the last attempt broke off just after the last byte.
      if ContentRange(response)?.total == received { return .complete }
      try startOver()
      throw DownloadError(.wrongRange)
    default:
      try HTTPStatusError.check(
        status, retryAfter: response.header("Retry-After"))
      throw HTTPStatusError(status)
    }
  }

  private func read(_ next: Next, total: Int?) throws {
    report(total, from: received)
    // Of what an earlier attempt brought nothing is progress of this one.
    let first = received
    do {
      while unsafe try next({ bytes in
        if let total, received + bytes.count > total {
          throw DownloadError(.wrongLength(received: received + bytes.count, expected: total))
        }
        unsafe try file?.append(bytes.bindMemory(to: UInt8.self).span)
        unsafe digest?.update(bytes)
        report(total, from: first)
      }) {}
    } catch let error as HTTPFetch.Failure where error != .silent {
      guard let total, received < total else { throw error }
      throw DownloadError(.brokenOff(received: received, expected: total), cause: error)
    } catch let error as DownloadError where error.code == .connection {
      guard let total, received < total else { throw error }
      throw DownloadError(
        .brokenOff(received: received, expected: total), cause: error.cause ?? error)
    }
    if let total, received != total {
      throw DownloadError(.wrongLength(received: received, expected: total))
    }
  }

  private func report(_ total: Int?, from first: Int) {
    progress(received, total)
    let expected = total.flatMap { $0 > first ? Int64($0 - first) : nil }
    monitor?.report(bytes: Int64(received - first), of: expected)
  }

  private func verify() throws {
    outcome.bytes = received
    guard let digest else { return }
    outcome.digest = digest.hexadecimal
    guard let checksum = item.checksum, outcome.digest != checksum else { return }
    let error = DownloadError(.wrongChecksum(received: digest.hexadecimal, expected: checksum))
    breadcrumb("the content was wrong; thrown away")
    try startOver()
    throw error
  }

  private func startOver() throws {
    validator = nil
    digest = wantsDigest ? SHA256() : nil
    guard received > 0 else { return }
    try file?.truncate(to: 0)
  }

  /// What `If-Range` may carry (RFC 9110, section 13.1.5): a weak tag does not promise the same bytes.
  private static func validator(of response: HTTPResponseHead) -> String? {
    if response.header("Accept-Ranges")?.lowercased() == "none" { return nil }
    if let tag = response.header("ETag"), tag.hasPrefix("\"") { return tag }
    return response.header("Last-Modified")
  }
}
