public import ReliabilityIO

/// Changes of several files that take effect together or not at all.
///
/// A transaction is a value: it is put together without touching a disk, and ``TransactionStore`` commits it.
///
///     var transaction = FileTransaction()
///     try transaction.append("urls.txt", "https://example.org/1")
///     try transaction.append("metadata.jsonl", #"{"url": "https://example.org/1"}"#)
///     try transaction.replace("manifest.json", with: Array(#"{"count": 1}"#.utf8))
///     try await store.commit(transaction)
///
/// Paths are relative to the store's directory, with `/` between names, without `.`, `..` and symbolic links. Their
/// directories must exist. Names that begin with `.transactions.` are the store's own, and hidden ones that end in
/// `.rtmp` are those of temporary files.
///
/// A file is either appended to, any number of times, or replaced or removed, once.
public struct FileTransaction: Hashable, Sendable {
  enum Change: Hashable, Sendable {
    case append([UInt8])
    case replace([UInt8], FileMode?)
    case remove
    case manifest(content: [UInt8]?)
  }

  /// The files in the order in which they are changed.
  public private(set) var paths: [String] = []
  private(set) var changes: [String: Change] = [:]

  /// Makes a transaction without changes.
  public init() {}

  /// Whether nothing is to be changed.
  public var isEmpty: Bool { paths.isEmpty }

  /// Adds a line at the end of a file, which is made if there is none.
  ///
  /// The line break is added. Where the file doesn't end in one, because another program was stopped halfway through
  /// a line, one is written before the line too: nothing of that program's is touched, and the line stands alone.
  ///
  /// - Parameters:
  ///   - path: The file, relative to the store.
  ///   - line: The line, such as one JSON document; may be empty.
  /// - Throws: ``StoreError`` with ``StoreError/Code/invalidLine`` when the line holds a line feed or a NUL, or with
  ///   what is wrong with the path.
  public mutating func append(_ path: String, _ line: String) throws(StoreError) {
    try append(path, Array(line.utf8))
  }

  /// Adds a line of bytes at the end of a file, which is made if there is none.
  ///
  /// - Parameters:
  ///   - path: The file, relative to the store.
  ///   - line: The line without its line break; may be empty.
  /// - Throws: ``StoreError``; see the form with text.
  public mutating func append(_ path: String, _ line: [UInt8]) throws(StoreError) {
    if line.contains(where: { $0 == UInt8(ascii: "\n") || $0 == 0 }) {
      throw StoreError(.invalidLine, path: path)
    }
    if case .append(var lines)? = changes[path] {
      changes[path] = nil  // So that the array is not copied.
      lines.append(contentsOf: line)
      lines.append(UInt8(ascii: "\n"))
      changes[path] = .append(lines)
    } else {
      try add(path, .append(line + [UInt8(ascii: "\n")]))
    }
  }

  /// Replaces the whole content of a file, which is made if there is none.
  ///
  /// - Parameters:
  ///   - path: The file, relative to the store.
  ///   - bytes: The new content, of any size; may be empty.
  ///   - mode: The permissions of the new file; `nil` keeps those of the old one.
  /// - Throws: ``StoreError`` with what is wrong with the path, or ``StoreError/Code/conflictingChanges``.
  public mutating func replace(
    _ path: String, with bytes: [UInt8], mode: FileMode? = nil
  ) throws(StoreError) {
    try add(path, .replace(bytes, mode))
  }

  /// Removes a file; one that does not exist is as good as removed.
  ///
  /// - Parameter path: The file, relative to the store.
  /// - Throws: ``StoreError`` with what is wrong with the path, or ``StoreError/Code/conflictingChanges``.
  public mutating func remove(_ path: String) throws(StoreError) {
    try add(path, .remove)
  }

  /// Has the store write the manifest: how long each file is after this transaction.
  ///
  /// It is written last, so that a reader who begins with it and reads each file only that far sees no transaction by
  /// halves, without any lock, in any language: `{"txn":7,"files":{"urls.txt":1234},"content":…}`. It lists the files of
  /// the manifest before and those of this transaction, without removed ones. See ``TransactionManifest``.
  ///
  /// - Parameters:
  ///   - path: The manifest, relative to the store.
  ///   - content: One JSON document of the caller's own, put under `content`; `nil` keeps that of the manifest before.
  /// - Throws: ``StoreError`` with ``StoreError/Code/invalidManifest`` when the content is not JSON, or with what is
  ///   wrong with the path.
  public mutating func manifest(_ path: String, content: [UInt8]? = nil) throws(StoreError) {
    if let content, !ManifestParser.isJSON(content) {
      throw StoreError(.invalidManifest, path: path)
    }
    try add(path, .manifest(content: content))
  }

  private mutating func add(_ path: String, _ change: Change) throws(StoreError) {
    guard FileTransaction.isPath(path) else { throw StoreError(.invalidPath, path: path) }
    if FileTransaction.isReserved(path) { throw StoreError(.reservedName, path: path) }
    guard changes[path] == nil else { throw StoreError(.conflictingChanges, path: path) }
    changes[path] = change
    paths.append(path)
  }

  /// Whether a path stays inside of whatever it is relative to, and has only one spelling.
  static func isPath(_ path: String) -> Bool {
    guard path.utf8.count < 4096, !path.utf8.contains(0) else { return false }
    return path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      .allSatisfy { name in
        !name.isEmpty && name.count <= 255 && !name.elementsEqual(".".utf8)
          && !name.elementsEqual("..".utf8)
      }
  }

  private static func isReserved(_ path: String) -> Bool {
    path.utf8.split(separator: UInt8(ascii: "/")).contains { name in
      name.starts(with: JournalName.prefix.utf8)
        || name.first == UInt8(ascii: ".")
          && name.reversed().starts(with: TemporaryName.suffix.utf8.reversed())
    }
  }
}
