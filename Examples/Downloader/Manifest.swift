internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// What is in an output directory: `manifest.json`, which several downloaders may share.
///
/// A file is written down before it gets its name, and confirmed after. So a file that has its name is never
/// downloaded twice, whenever its downloader was killed. That is written to the journal; `manifest.json` itself, which has
/// every file in it, is written anew from time to time, for a twentieth of the time at most, and at the end.
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

  private struct State {
    /// What is in the file and in the journal, as far as this process knows.
    var known: Document?
    /// Files that got their names, not yet in the journal.
    var confirmed: [Change] = []
    /// Whether the journal has something that the file may not have.
    var isAhead = false
    /// Whether a task writes the manifest as long as the journal is ahead.
    var isFolding = false
    /// The last one that writes it, or wrote it: one after the other.
    var lastFold: Task<Void, any Error>?
    /// Names that downloads of this process have taken, by address.
    var claims: [String: String] = [:]

    mutating func takeConfirmed() -> [Change] {
      defer { confirmed = [] }
      return confirmed
    }
  }

  private let directory: String
  private let document: AtomicDocument<Document>
  private let journal: ManifestJournal
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
    journal = ManifestJournal(of: "\(directory)/manifest.json")
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
    guard state.withLock({ $0.known == nil }) else { return }
    // The journal first: what another downloader takes out of it meanwhile is in the file then.
    let changes = try? await journal.changes().0
    var loaded = (try? await document.load(default: Document())) ?? Document()
    for change in changes ?? [] { loaded.apply(change) }
    take(loaded)
  }

  private func take(_ document: Document) {
    state.withLock { state in
      if state.known == nil { state.known = document } else { state.known!.merge(document) }
    }
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
    await load()
    let now = WallTime.now.nanosecondsSince1970
    let (change, confirmed) = state.withLock { state in
      let before = state.known?.files[item.name]?.at ?? .min
      let entry = Entry(
        url: item.url.absoluteString, bytes: outcome.bytes, sha256: outcome.digest,
        state: .publishing, at: max(now, before < .max ? before + 1 : before))
      return (Change(name: item.name, entry: entry), state.takeConfirmed())
    }
    do {
      try await journal.append(confirmed + [change], durability: .ordered)
    } catch {
      state.withLock { $0.confirmed += confirmed }
      throw error
    }
    noteAhead { $0.known?.apply(change) }
  }

  /// The file has its name; written down with the next one, or when the manifest is.
  func didPublish(_ item: DownloadItem) {
    noteAhead { state in
      let change = Change(name: item.name, confirms: state.known?.files[item.name]?.at)
      state.known?.apply(change)
      state.confirmed.append(change)
    }
  }

  /// Waits until everything is in the manifest.
  func flush() async throws {
    let (isAhead, last) = state.withLock { ($0.isAhead, $0.lastFold) }
    if isAhead { return try await fold() }
    try await last?.value
  }

  private func noteAhead(_ body: (inout State) -> Void) {
    let starts = state.withLock { state in
      body(&state)
      state.isAhead = true
      defer { state.isFolding = true }
      return !state.isFolding
    }
    if starts { Task.detached { await self.foldWhileAhead() } }
  }

  /// Writes the manifest again and again, and rests twenty times as long as that took, as long as there is something new.
  private func foldWhileAhead() async {
    while true {
      let start = ContinuousClock.now
      do {
        try await fold()
      } catch {
        // The next change tries again; the flush at the end tells.
        return state.withLock { $0.isFolding = false }
      }
      let rest = max((ContinuousClock.now - start) * 20, .milliseconds(50))
      try? await ContinuousClock().wait(for: rest)
      let isDone = state.withLock { state in
        if !state.isAhead { state.isFolding = false }
        return !state.isFolding
      }
      if isDone { return }
    }
  }

  /// Puts what is in the journal into the manifest; not to be cancelled, as what is in memory has to reach the disk.
  private func fold() async throws {
    let task = state.withLock { state in
      let task = Task.detached { [last = state.lastFold] in
        _ = await last?.result
        try await self.writeManifest()
      }
      state.lastFold = task
      return task
    }
    try await task.value
  }

  private func writeManifest() async throws {
    let confirmed = state.withLock { state in
      state.isAhead = false
      return state.takeConfirmed()
    }
    do {
      if !confirmed.isEmpty { try await journal.append(confirmed, durability: .none) }
    } catch {
      state.withLock { state in
        state.confirmed += confirmed
        state.isAhead = true
      }
      throw error
    }
    do {
      let (changes, end) = try await journal.changes()
      guard let end else { return }
      let new = try await document.update(default: Document()) { document in
        for change in changes { document.apply(change) }
      }
      take(new)
      try await journal.forget(upTo: end)
    } catch {
      state.withLock { $0.isAhead = true }
      throw error
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
