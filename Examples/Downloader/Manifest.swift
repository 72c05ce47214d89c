internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// What is in an output directory: `manifest.json`, which several downloaders may share.
///
/// A file is written down before it gets its name, and confirmed after. So a file that has its name is never
/// downloaded twice, whenever its downloader was killed. Changes are written in groups: what comes while one group is
/// being written goes with the next.
final class Manifest: Sendable {
  /// One file.
  struct Entry: Codable, Hashable, Sendable {
    /// Whether the file is known to have its name, or was about to get it.
    enum State: String, Codable, Sendable { case publishing, published }

    var url: String
    var bytes: Int
    var sha256: String?
    var state: State
    /// Nanoseconds since 1970.
    var at: Int64
  }

  /// The content of the file.
  struct Document: Codable, Hashable, Sendable {
    var version = 1
    var files: [String: Entry] = [:]
  }

  fileprivate enum Change: Sendable {
    case add(name: String, Entry)
    case confirm(name: String)
  }

  fileprivate struct State {
    /// As it was last read or written, with what other downloaders had written by then.
    var known: Document?
    var pending: [Change] = []
    var waiters: [CheckedContinuation<Void, any Error>] = []
    var isWriting = false
    /// Names that downloads of this process have taken, by address.
    var claims: [String: String] = [:]
  }

  private let directory: String
  private let document: AtomicDocument<Document>
  private let state = Lock(State())

  /// - Parameters:
  ///   - directory: The output directory.
  ///   - observer: Is told what happened to the file, such as that a backup took its place.
  init(in directory: String, observer: (@Sendable (DocumentEvent) -> Void)? = nil) {
    self.directory = directory
    var configuration = AtomicDocument<Document>.Configuration()
    configuration.file.durability = .ordered
    document = AtomicDocument(
      "\(directory)/manifest.json", configuration: configuration, observer: observer)
  }

  /// How often it was saved, taken from its backup, or moved aside.
  var figures: any MetricsSource { document }

  /// The entry of a file that is there and need not be downloaded again.
  func published(_ item: DownloadItem) async -> Entry? {
    await load()
    guard let entry = state.withLock({ $0.known?.files[item.name] }),
      entry.url == item.url.absoluteString,
      item.checksum == nil || item.checksum == entry.sha256
    else { return nil }
    let path = "\(directory)/\(item.name)"
    let isThere = try? await BlockingThreads.shared.run { try Self.isThere(path, entry) }
    return isThere == true ? entry : nil
  }

  /// Reads what is there, unless that was done.
  func load() async {
    guard state.withLock({ $0.known }) == nil else { return }
    let loaded = try? await document.load(default: Document())
    state.withLock { $0.known = $0.known ?? loaded }
  }

  /// The address a name belongs to, as far as this process knows.
  func address(of name: String) -> String? { state.withLock { $0.known?.files[name]?.url } }

  /// Keeps a name for an address.
  ///
  /// - Returns: `false` when another address has it, or it is like a name of this program's own files.
  func claim(_ item: DownloadItem) async -> Bool {
    if item.name.hasPrefix("manifest.json") { return false }
    if item.name.hasPrefix("."), item.name.contains("rtmp") { return false }
    await load()
    let url = item.url.absoluteString
    return state.withLock { state in
      let owner = state.claims[item.name] ?? state.known?.files[item.name]?.url ?? url
      if owner == url { state.claims[item.name] = url }
      return owner == url
    }
  }

  /// Writes down that a complete file is about to get its name.
  ///
  /// - Throws: What the disk throws; then it must not get it.
  func willPublish(_ item: DownloadItem, _ outcome: TransferOutcome) async throws {
    let entry = Entry(
      url: item.url.absoluteString, bytes: outcome.bytes, sha256: outcome.digest,
      state: .publishing, at: WallTime.now.nanosecondsSince1970)
    try await write(.add(name: item.name, entry))
  }

  /// The file has its name; written down with the next group.
  func didPublish(_ item: DownloadItem) {
    let starts = state.withLock { state in
      state.pending.append(.confirm(name: item.name))
      return state.begin()
    }
    if starts { startWriting() }
  }

  /// Waits until everything is written.
  func flush() async throws {
    guard state.withLock({ $0.isWriting || !$0.pending.isEmpty }) else { return }
    try await write(nil)
  }

  private func write(_ change: Change?) async throws {
    try await withCheckedThrowingContinuation { continuation in
      let starts = state.withLock { state in
        if let change { state.pending.append(change) }
        state.waiters.append(continuation)
        return state.begin()
      }
      if starts { startWriting() }
    }
  }

  /// Detached: who is cancelled must not take the others' changes along.
  private func startWriting() { Task.detached { await self.writeAll() } }

  private func writeAll() async {
    while true {
      let group = state.withLock { state -> ([Change], [CheckedContinuation<Void, any Error>])? in
        if state.pending.isEmpty, state.waiters.isEmpty {
          state.isWriting = false
          return nil
        }
        defer { (state.pending, state.waiters) = ([], []) }
        return (state.pending, state.waiters)
      }
      guard let (changes, waiters) = group else { return }
      do {
        let new = try await document.update(default: Document()) { document in
          for change in changes { document.apply(change) }
        }
        state.withLock { $0.known = new }
        for waiter in waiters { waiter.resume() }
      } catch {
        for waiter in waiters { waiter.resume(throwing: error) }
      }
    }
  }

  /// Whether a file is the one of an entry: by its size when it is confirmed, by its content otherwise.
  private static func isThere(_ path: String, _ entry: Entry) throws -> Bool {
    guard let file = FileHandle(forReadingAtPath: path) else { return false }
    defer { try? file.close() }
    guard try file.seekToEnd() == UInt64(clamping: entry.bytes) else { return false }
    if entry.state == .published { return true }
    guard let sha256 = entry.sha256 else { return false }
    try file.seek(toOffset: 0)
    var digest = SHA256()
    while let piece = try file.read(upToCount: 1 << 20), !piece.isEmpty {
      unsafe piece.withUnsafeBytes { unsafe digest.update($0) }
    }
    return digest.hexadecimal == sha256
  }
}

extension Manifest.State {
  fileprivate mutating func begin() -> Bool {
    defer { isWriting = true }
    return !isWriting
  }
}

extension Manifest.Document {
  fileprivate mutating func apply(_ change: Manifest.Change) {
    switch change {
    case .add(let name, let entry): files[name] = entry
    case .confirm(let name): files[name]?.state = .published
    }
  }
}
