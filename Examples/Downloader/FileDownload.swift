internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// One file on its way to the disk, over as many attempts as it takes.
///
/// What has arrived is kept from one attempt to the next, in a temporary file beside the destination; it takes its
/// name only when it is complete and verified.
final class FileDownload {
  /// What happened on the way, for the report.
  struct Outcome {
    var bytes = 0
    var attempts = 0
    var timeouts = 0
    var resumptions = 0
  }

  private let item: DownloadItem
  private let limits: Options
  private let progress: (_ received: Int, _ expected: Int?) -> Void

  private(set) var outcome = Outcome()
  /// The failed attempts, for the error report.
  private(set) var failures: [AttemptRecord] = []
  private let file: AtomicFile
  private var digest = SHA256()
  // What proves that the rest on the server belongs to what is here: a strong ETag or a date.
  private var validator: String?
  private var method = ""

  private var received: Int { Int(file.size) }

  /// Makes the temporary file.
  ///
  /// - Throws: `StoreError` when there can be none.
  init(
    _ item: DownloadItem, to path: String, limits: Options,
    progress: @escaping (_ received: Int, _ expected: Int?) -> Void
  ) async throws {
    self.item = item
    self.limits = limits
    self.progress = progress
    file = try await AtomicFile(replacing: path)
  }

  /// The path of what has arrived so far.
  var temporaryPath: String { file.temporaryPath }

  /// Tries once: continues where the last attempt broke off, or starts from the first byte.
  ///
  /// - Throws: What went wrong, classified. What arrived before is kept when it can be continued.
  func attempt() async throws {
    outcome.attempts += 1
    let start = ContinuousClock.now
    method = "GET of the whole file"
    do {
      try await withTimeout(limits.timeout, kind: .attempt) { try await transfer() }
    } catch {
      if error.underlying(as: TimeoutError.self) != nil { outcome.timeouts += 1 }
      failures.append(
        AttemptRecord(
          number: outcome.attempts, failure: error,
          category: ErrorClassifier.default.classify(error).category,
          elapsed: ContinuousClock.now - start, method: method))
      throw error
    }
  }

  /// Gives the complete file its name.
  func publish() async throws {
    _ = try await file.publish()
    outcome.bytes = received
  }

  /// Removes what there is.
  func discard() async throws { try await file.discard() }

  private func transfer() async throws {
    var headers: [String: String] = [:]
    if received > 0, let validator {
      headers["Range"] = "bytes=\(received)-"
      headers["If-Range"] = validator
      method = "GET of the rest from byte \(received)"
    } else {
      try await startOver()
    }
    try await HTTPClient().withExchange(item.url, headers: headers) { exchange in
      let response = try await withTimeout(limits.stall, kind: .stall) {
        try await exchange.response()
      }
      switch try await begin(response) {
      case .body(let total): try await read(exchange, total: total)
      case .complete: break
      }
    }
    try await verify()
  }

  /// What an answer brings.
  private enum Answer {
    /// A body that completes the file; `total` is the file's length where the server says it.
    case body(total: Int?)
    /// Nothing: all of the file is here.
    case complete
  }

  /// Looks at status and header fields, and makes the temporary file fit what is going to come.
  private func begin(_ response: HTTPResponseHead) async throws -> Answer {
    let status = response.status
    let length = response.header("Content-Length").flatMap { Int($0) }
    switch status {
    case 200:
      if received > 0 {
        breadcrumb("the server sent the whole file instead of the rest; started over")
        try await startOver()
      }
      validator = Self.validator(of: response)
      return .body(total: length)
    case 206:
      guard received > 0, let range = ContentRange(response), range.first == received else {
        try await startOver()
        throw DownloadError(.wrongRange)
      }
      outcome.resumptions += 1
      return .body(total: range.total ?? length.map { received + $0 })
    case 416 where received > 0:
      // The rest of a file that has no rest: the last attempt broke off just after the last byte.
      if ContentRange(response)?.total == received { return .complete }
      try await startOver()
      throw DownloadError(.wrongRange)
    default:
      try HTTPStatusError.check(
        status, retryAfter: response.header("Retry-After"))
      throw HTTPStatusError(status)
    }
  }

  private func read(_ exchange: Exchange, total: Int?) async throws {
    progress(received, total)
    do {
      while let bytes = try await withTimeout(
        limits.stall, kind: .stall, { try await exchange.next() })
      {
        if let total, received + bytes.count > total {
          throw DownloadError(.wrongLength(received: received + bytes.count, expected: total))
        }
        try await file.append(bytes)
        digest.update(bytes)
        progress(received, total)
      }
    } catch let error as DownloadError where error.code == .connection {
      guard let total, received < total else { throw error }
      throw DownloadError(
        .brokenOff(received: received, expected: total), cause: error.cause ?? error)
    }
    if let total, received != total {
      throw DownloadError(.wrongLength(received: received, expected: total))
    }
  }

  private func verify() async throws {
    guard let checksum = item.checksum, digest.hexadecimal != checksum else { return }
    let error = DownloadError(.wrongChecksum(received: digest.hexadecimal, expected: checksum))
    breadcrumb("the content was wrong; thrown away")
    try await startOver()
    throw error
  }

  private func startOver() async throws {
    validator = nil
    guard received > 0 else { return }
    try await file.truncate(to: 0)
    digest = SHA256()
  }

  /// What `If-Range` may carry (RFC 9110, section 13.1.5): a weak tag does not promise the same bytes.
  private static func validator(of response: HTTPResponseHead) -> String? {
    if response.header("Accept-Ranges")?.lowercased() == "none" { return nil }
    if let tag = response.header("ETag"), tag.hasPrefix("\"") { return tag }
    return response.header("Last-Modified")
  }
}

/// The `Content-Range` of an answer (RFC 9110, section 14.4): `bytes 100-199/200` or `bytes */200`.
struct ContentRange: Hashable {
  /// The position of the first byte, or `nil` when no part is being sent.
  let first: Int?
  /// The length of the whole, when the server knows it.
  let total: Int?

  init?(_ value: String) {
    guard value.hasPrefix("bytes ") else { return nil }
    let parts = value.dropFirst(6).split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2 else { return nil }
    total = Int(parts[1])
    if parts[0] == "*" {
      first = nil
    } else {
      let ends = parts[0].split(separator: "-", omittingEmptySubsequences: false)
      guard ends.count == 2, let first = Int(ends[0]), let last = Int(ends[1]), first <= last
      else { return nil }
      self.first = first
    }
  }

  fileprivate init?(_ response: HTTPResponseHead) {
    guard let value = response.header("Content-Range") else { return nil }
    self.init(value)
  }
}
