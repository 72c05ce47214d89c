internal import Foundation
internal import Reliability

/// What was written down since `manifest.json` was last written: one line a change, in `manifest.json.journal`.
///
/// A line costs the same however many files the manifest names, and those of all workers that wait share one sync.
final class ManifestJournal: Sendable {
  private let path: String
  private let opened = Lock<Task<AppendLog, any Error>?>(nil)

  /// - Parameter manifest: The manifest's path.
  init(of manifest: String) { path = manifest + ".journal" }

  /// Appends changes; those who are cancelled meanwhile don't take the others' along.
  func append(_ changes: [Manifest.Change], durability: Durability) async throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .withoutEscapingSlashes
    let records = try changes.map { Array(try encoder.encode($0)) }
    let log = try await log()
    _ = try await Task.detached {
      try await log.append(contentsOf: records, durability: durability)
    }.value
  }

  /// All that is in it, of other downloaders too, and where that ends.
  func changes() async throws -> ([Manifest.Change], end: AppendLog.Position?) {
    let decoder = JSONDecoder()
    var changes: [Manifest.Change] = []
    var end: AppendLog.Position?
    for try await record in try await log().records() {
      // What a later version has to say is left to it.
      if let change = try? decoder.decode(Manifest.Change.self, from: Data(record.payload)) {
        changes.append(change)
      }
      end = record.next
    }
    return (changes, end)
  }

  /// Forgets what the manifest says now.
  func forget(upTo end: AppendLog.Position) async throws {
    do {
      try await log().compact(upTo: end, replacingWith: EmptyCollection<[UInt8]>())
    } catch let error as StoreError where error.code == .stalePosition {
      // Another downloader was faster.
    }
  }

  private func log() async throws -> AppendLog {
    let task = opened.withLock { opened in
      if let opened { return opened }
      let task = Task.detached { [path] in
        var options = AppendLog.Options()
        options.content = AppendLog.Content("downloads", version: 1)
        return try await AppendLog(path, options: options)
      }
      opened = task
      return task
    }
    do {
      return try await task.value
    } catch {
      // The next one tries anew.
      opened.withLock { if $0 == task { $0 = nil } }
      throw error
    }
  }
}

extension Manifest {
  /// One line of the journal.
  ///
  /// Applied twice, or after later ones, it changes nothing more.
  struct Change: Codable, Hashable, Sendable {
    var name: String
    /// The file that is about to get its name; `nil` when it got it.
    var entry: Entry?
    /// The time of the entry that is confirmed.
    var confirms: Int64?
  }
}

extension Manifest.Document {
  mutating func apply(_ change: Manifest.Change) {
    let known = files[change.name]
    if let entry = change.entry {
      if known.map({ $0.at < entry.at }) ?? true { files[change.name] = entry }
    } else if let known, known.at == change.confirms, known.state != .published {
      files[change.name]?.state = .published
    }
  }

  /// Takes over what is newer in another version of the document.
  mutating func merge(_ other: Self) {
    for (name, entry) in other.files {
      let known = files[name]
      if known == nil || known!.at < entry.at || known!.at == entry.at && entry.state == .published
      {
        files[name] = entry
      }
    }
  }
}
