public import ReliabilityIO

/// How long the files of a store are: read first, it shows a reader without a lock whole transactions only.
///
///     let manifest = try await TransactionStore.readManifest("manifest.json", in: "out")
///     let lines = try await manifest.read("urls.txt")
///
/// What transactions append is exact. A file that transactions replace is whole, but may be newer than the manifest.
public struct TransactionManifest: Hashable, Sendable {
  /// The transaction that wrote it.
  public let transaction: UInt64

  /// The files by path, relative to the store, with their sizes in bytes.
  public let files: [String: Int64]

  /// The caller's own JSON document, or `nil`.
  public let content: [UInt8]?

  /// The store's directory.
  public let directory: String

  private let fileSystem: FileSystemBox

  init(_ text: ManifestText, directory: String, fileSystem: FileSystem) {
    transaction = text.transaction
    files = text.files
    content = text.content
    self.directory = directory
    self.fileSystem = FileSystemBox(fileSystem: fileSystem)
  }

  /// Reads a file up to the size in the manifest.
  ///
  /// Runs on a disk thread and is not cancelled.
  ///
  /// - Parameter path: The file as the manifest names it.
  /// - Returns: Its first bytes, as many as the manifest says.
  /// - Throws: ``StoreError``; ``StoreError/Code/externallyTruncated`` when the file is shorter, and
  ///   ``StoreError/Code/invalidPath`` when the manifest does not list it.
  public nonisolated(nonsending) func read(_ path: String) async throws(StoreError) -> [UInt8] {
    guard let size = files[path], FileTransaction.isPath(path) else {
      throw StoreError(.invalidPath, path: path)
    }
    let full = joinPath(directory, path)
    let fileSystem = fileSystem.fileSystem
    return try await DiskExecutor.shared.run { () throws(StoreError) in
      let bytes = try TransactionStore.readBlocking(full, upTo: size, fileSystem: fileSystem)
      guard bytes.count == size else { throw StoreError(.externallyTruncated, path: full) }
      return bytes
    }
  }
}

/// Takes no part in comparing manifests.
private struct FileSystemBox: Hashable, Sendable {
  let fileSystem: FileSystem
  static func == (lhs: FileSystemBox, rhs: FileSystemBox) -> Bool { true }
  func hash(into hasher: inout Hasher) {}
}

extension TransactionStore {
  /// Reads a store's manifest, without a lock and without opening the store.
  ///
  /// Runs on a disk thread and is not cancelled.
  ///
  /// - Parameters:
  ///   - path: The manifest, relative to the store.
  ///   - directory: The store's directory.
  ///   - fileSystem: Where it is.
  /// - Throws: ``StoreError``; ``StoreError/Code/invalidManifest`` when the file is none.
  public nonisolated(nonsending) static func readManifest(
    _ path: String, in directory: String, fileSystem: FileSystem = .real
  ) async throws(StoreError) -> TransactionManifest {
    guard FileTransaction.isPath(path) else { throw StoreError(.invalidPath, path: path) }
    let full = joinPath(directory, path)
    let bytes = try await DiskExecutor.shared.run { () throws(StoreError) in
      try readBlocking(full, upTo: .max, fileSystem: fileSystem)
    }
    guard let text = ManifestText(bytes) else { throw StoreError(.invalidManifest, path: full) }
    return TransactionManifest(text, directory: directory, fileSystem: fileSystem)
  }

  /// Looks at a store's journal without changing anything and without a lock.
  ///
  /// For programs that only read: while ``JournalStatus/needsRecovery`` is set, files may disagree, and a manifest is
  /// what to go by. Runs on a disk thread and is not cancelled.
  ///
  /// - Parameters:
  ///   - directory: The store's directory.
  ///   - fileSystem: Where it is.
  /// - Returns: What the journal says, or `nil` when there is none.
  /// - Throws: ``StoreError``; ``StoreError/Code/journalCorrupt`` and ``StoreError/Code/formatTooNew`` among others.
  public nonisolated(nonsending) static func journalStatus(
    in directory: String, fileSystem: FileSystem = .real
  ) async throws(StoreError) -> JournalStatus? {
    try await DiskExecutor.shared.run { () throws(StoreError) -> JournalStatus? in
      let open = try storeCall(directory) { () throws(SystemCallError) in
        try OpenDirectory(directory, fileSystem: fileSystem)
      }
      guard var journal = try Journal.open(in: open, forReading: true) else { return nil }
      let scan = try journal.scan()
      return JournalStatus(
        transactions: scan.records.count, lastTransaction: journal.lastTransaction,
        needsRecovery: !scan.records.isEmpty && !scan.isMarkedApplied)
    }
  }

  static func readBlocking(
    _ path: String, upTo limit: Int64, fileSystem: FileSystem
  ) throws(StoreError) -> [UInt8] {
    try storeCall(path) { () throws(SystemCallError) in
      let file = try OpenFile(path, [.read, .nonBlocking], fileSystem: fileSystem)
      let size = min(limit, try file.status().size)
      return try [UInt8](capacity: Int(clamping: size)) {
        (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
        try file.readAll(into: &buffer, at: 0)
      }
    }
  }
}
