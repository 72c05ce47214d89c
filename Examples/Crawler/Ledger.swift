internal import Foundation
internal import Reliability

/// One find, as the outputs hold it.
struct Find: Sendable {
  let url: String
  let metadata: FindMetadata

  /// A line of `metadata.jsonl`.
  func line() throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(metadata))
  }

  /// A member of `finds` in `manifest.json`.
  func entry() throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let entry = Entry(bytes: metadata.bytes, sha256: metadata.sha256, foundAt: metadata.foundAt)
    return Array(try encoder.encode(url)) + [UInt8(ascii: ":")] + Array(try encoder.encode(entry))
  }

  private struct Entry: Encodable {
    let bytes: Int
    let sha256: String
    let foundAt: String

    private enum CodingKeys: String, CodingKey {
      case bytes, sha256
      case foundAt = "found_at"
    }
  }
}

/// The outputs: `urls.txt`, `metadata.jsonl` and `manifest.json`, into which a find goes as a whole or not at all.
///
/// Any number of crawlers may use one directory. Whoever commits holds the ledger's lock, knows by its fencing token
/// whether somebody else has committed meanwhile, and reads the outputs again if so. What several tasks commit at the
/// same time becomes one transaction. Memory changes after the commit only.
final class Ledger: Sendable {
  static let urls = "urls.txt"
  static let metadata = "metadata.jsonl"
  static let manifest = "manifest.json"
  static let lockName = ".crawl.lock"
  /// The most finds of one transaction.
  private static let batchLimit = 64

  private struct Waiting: Sendable {
    let find: Find
    let continuation: CheckedContinuation<Result<Bool, any Error>, Never>
  }

  private struct State {
    var known: Set<String> = []
    var waiting: [Waiting] = []
    var isCommitting = false
    var book: Book? = Book()
  }

  /// What the task that commits knows of the disk.
  private struct Book: Sendable {
    var store: TransactionStore?
    /// The members of the manifest's `finds`, with a comma between two.
    var finds: [UInt8] = []
    /// Members of the manifest's content that are somebody else's.
    var others: [UInt8] = []
    /// The turn in which all of this was right.
    var turn: FencingToken?
  }

  let directory: String
  private let fileSystem: FileSystem
  private let lock: BackoffLock
  private let state = Lock(State())

  /// Opens the outputs of a directory, and finishes what a crash has interrupted.
  ///
  /// - Parameters:
  ///   - directory: The directory, which must exist.
  ///   - fileSystem: Where it is.
  ///   - lockTimeout: How long a commit waits for other crawlers at most.
  /// - Throws: `StoreError`, `LockTimeoutError`, ``LedgerError``.
  init(
    _ directory: String, fileSystem: FileSystem = .real, lockTimeout: Duration = .seconds(30)
  ) async throws {
    self.directory = directory
    self.fileSystem = fileSystem
    var configuration = BackoffLock.Configuration()
    configuration.timeout = lockTimeout
    configuration.idleHold = .milliseconds(5)
    configuration.label = "crawl"
    lock = BackoffLock(
      "\(directory)/\(Self.lockName)", configuration: configuration, fileSystem: fileSystem)
    var book = Book()
    try await lock.withLock { token in try await read(&book, token) }
    let opened = book
    state.withLock { $0.book = opened }
  }

  /// How often the lock was waited for, and how long.
  var lockStatistics: LockStatistics { lock.statistics }

  /// How many URLs the outputs hold, as far as this crawler knows.
  var count: Int { state.withLock { $0.known.count } }

  /// Whether a URL is in the outputs, as far as this crawler knows.
  func contains(_ url: String) -> Bool { state.withLock { $0.known.contains(url) } }

  /// Commits a find to all outputs or to none.
  ///
  /// Cancellation of the task is not looked at: a commit runs to its end.
  ///
  /// - Returns: Whether it is new; `false` when the outputs had it already.
  /// - Throws: `StoreError`, `LockTimeoutError`: then nothing was written, or nothing that is seen.
  func commit(_ find: Find) async throws -> Bool {
    try await withCheckedContinuation { continuation in
      let starts = state.withLock { state in
        state.waiting.append(Waiting(find: find, continuation: continuation))
        defer { state.isCommitting = true }
        return !state.isCommitting
      }
      if starts { Task { await self.commitWaiting() } }
    }.get()
  }

  /// Syncs and closes; later commits open the outputs again.
  func close() async throws {
    let store = state.withLock { state in
      defer { state.book?.store = nil }
      return state.book?.store
    }
    try await store?.close()
  }

  private func commitWaiting() async {
    while true {
      let (batch, book) = state.withLock { state -> ([Waiting], Book?) in
        let batch = Array(state.waiting.prefix(Self.batchLimit))
        state.waiting.removeFirst(batch.count)
        if batch.isEmpty { state.isCommitting = false }
        return (batch, batch.isEmpty ? nil : state.book.take())
      }
      guard !batch.isEmpty else { return }
      var current = book ?? Book()
      let results: [Result<Bool, any Error>]
      do {
        results = try await lock.withLock { token in
          if current.turn.map({ !token.follows($0) }) ?? true || current.store == nil {
            try await read(&current, token)
          }
          return try await write(batch.map(\.find), &current, token)
        }
      } catch {
        // Nothing is believed of memory any more: the next commit reads what is on the disk.
        current = Book()
        results = batch.map { _ in .failure(error) }
      }
      let returned = current
      state.withLock { $0.book = returned }
      for (waiting, result) in zip(batch, results) {
        waiting.continuation.resume(returning: result)
      }
    }
  }

  /// Writes the finds that are new in one transaction.
  private func write(
    _ finds: [Find], _ book: inout Book, _ token: FencingToken
  ) async throws -> [Result<Bool, any Error>] {
    var transaction = FileTransaction()
    var results: [Result<Bool, any Error>] = []
    var members = book.finds
    var added: Set<String> = []
    for find in finds {
      if contains(find.url) || added.contains(find.url) {
        results.append(.success(false))
        continue
      }
      do {
        // Encoded before anything of it is in the transaction.
        let (line, entry) = (try find.line(), try find.entry())
        try transaction.append(Self.urls, find.url)
        try transaction.append(Self.metadata, line)
        if !members.isEmpty { members.append(UInt8(ascii: ",")) }
        members += entry
        added.insert(find.url)
        results.append(.success(true))
      } catch {
        results.append(.failure(error))
      }
    }
    guard !added.isEmpty else { return results }
    let content =
      Array(#"{"format":"crawl","version":1,"finds":{"#.utf8) + members
      + Array("}".utf8) + book.others + Array("}".utf8)
    try transaction.manifest(Self.manifest, content: content)
    // Durable when it returns, also when the files can't be changed before the next commit.
    _ = try await book.store?.commit(transaction)
    book.finds = members
    book.turn = token
    let committed = added
    state.withLock { $0.known.formUnion(committed) }
    return results
  }

  /// Takes in what is on the disk, after everything committed has been applied.
  private func read(_ book: inout Book, _ token: FencingToken) async throws {
    if let store = book.store {
      try await store.recover()
    } else {
      let store = try await TransactionStore(directory, fileSystem: fileSystem)
      if let problem = await store.problem { throw problem }
      book.store = store
    }
    let outputs = try await Outputs.read(directory, fileSystem: fileSystem)
    book.finds = outputs.encodedFinds
    book.others = outputs.otherMembers
    book.turn = token
    let urls = outputs.known
    state.withLock { $0.known.formUnion(urls) }
  }
}

extension FencingToken {
  /// Whether nobody else had the lock between the other token's turn and this one.
  ///
  /// The lower 16 bits count the holders in one process since it took the lock; see the documentation of ``turn``.
  fileprivate func follows(_ other: FencingToken) -> Bool {
    epoch == other.epoch && turn >> 16 == other.turn >> 16 && turn &- 1 == other.turn
  }
}
