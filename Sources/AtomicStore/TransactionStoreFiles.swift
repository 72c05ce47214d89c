internal import ReliabilityIO

/// The directories and files of a store that are kept open between commits.
///
/// Nothing is believed of them: before each use the name is looked up, and what was opened under another inode is
/// opened anew.
struct TransactionStoreFiles {
  /// An open directory of the store.
  final class Directory: Sendable {
    let open: OpenDirectory
    let status: FileStatus
    init(_ open: consuming OpenDirectory, status: FileStatus) {
      self.open = open
      self.status = status
    }
  }

  /// An open file that is appended to.
  final class File: Sendable {
    let open: OpenFile
    let inode: UInt64
    init(_ open: consuming OpenFile, inode: UInt64) {
      self.open = open
      self.inode = inode
    }
  }

  let root: Directory
  private var directories: [String: Directory] = [:]
  private var files: [String: File] = [:]
  /// How much of a file is known to be on the medium, as this process has synced it, and ends in a line break.
  private var synced: [String: (inode: UInt64, size: Int64)] = [:]

  /// The most files kept open.
  private static let limit = 64

  init(root: consuming OpenDirectory, path: String) throws(StoreError) {
    let directory = root
    let status = try storeCall(path) { () throws(SystemCallError) in try directory.status(of: ".") }
    guard let status else { throw StoreError(.directoryMissing, path: path) }
    self.root = Directory(directory, status: status)
  }

  func path(of path: String) -> String { joinPath(root.open.path, path) }

  /// Makes sure that the store's path still leads to the open directory.
  ///
  /// The lock is found by that path, and the lock of another directory says nothing about this one.
  func requireRoot() throws(StoreError) {
    let path = root.open.path
    let status: FileStatus
    do throws(SystemCallError) {
      status = try root.open.fileSystem.perform("fstatat", path) { backend throws(ErrorNumber) in
        try backend.status(of: path, in: nil, followingLink: true)
      }
    } catch {
      let isGone = error.number == .notFound || error.number == .notADirectory
      throw StoreError(isGone ? .directoryMissing : .callFailed, path: path, cause: error)
    }
    guard status.inode == root.status.inode, status.device == root.status.device else {
      throw StoreError(.directoryMissing, path: path)
    }
  }

  /// The directory of a file, without following any link on the way.
  mutating func directory(of path: String) throws(StoreError) -> Directory {
    try directory(JournalEpoch.directory(of: path), for: path)
  }

  /// A directory of the store by its own path.
  mutating func directory(_ relative: String, for path: String) throws(StoreError) -> Directory {
    if relative.isEmpty { return root }
    let parent = try directory(JournalEpoch.directory(of: relative), for: path)
    let name = JournalEpoch.name(of: relative)
    let full = self.path(of: path)
    let status = try storeCall(full) { () throws(SystemCallError) in
      try parent.open.status(of: name)
    }
    guard let status else { throw StoreError(.directoryMissing, path: full) }
    if status.kind == .symbolicLink { throw StoreError(.targetIsSymbolicLink, path: full) }
    guard status.kind == .directory else { throw StoreError(.directoryMissing, path: full) }
    if let known = directories[relative], known.status.inode == status.inode,
      known.status.device == status.device
    {
      return known
    }
    let opened = try storeCall(full) { () throws(SystemCallError) in
      try parent.open.directory(name, mayBeUnreadable: false)
    }
    // Between the two calls someone may have put a link in its place.
    let now = try storeCall(full) { () throws(SystemCallError) in try opened.status(of: ".") }
    guard let now, now.inode == status.inode, now.device == status.device else {
      throw StoreError(.targetIsSymbolicLink, path: full)
    }
    let directory = Directory(opened, status: now)
    directories[relative] = directory
    return directory
  }

  /// What a file is now, a link not followed; `nil` when there is none.
  mutating func status(of path: String) throws(StoreError) -> FileStatus? {
    let directory = try directory(of: path)
    let name = JournalEpoch.name(of: path)
    let status = try storeCall(self.path(of: path)) { () throws(SystemCallError) in
      try directory.open.status(of: name)
    }
    guard let status else { return nil }
    switch status.kind {
    case .regular: return status
    case .symbolicLink: throw StoreError(.targetIsSymbolicLink, path: self.path(of: path))
    default: throw StoreError(.targetIsNotRegularFile, path: self.path(of: path))
    }
  }

  /// The file with an inode, open.
  mutating func file(_ path: String, inode: UInt64) throws(StoreError) -> File {
    if let file = files[path], file.inode == inode { return file }
    let directory = try directory(of: path)
    let opened = try storeCall(self.path(of: path)) { () throws(SystemCallError) in
      try directory.open.open(
        JournalEpoch.name(of: path), [.read, .write, .noFollow, .nonBlocking])
    }
    return try keep(opened, path: path, expecting: inode)
  }

  /// The open file with an inode, if there is one: also when its name is gone.
  func openFile(_ path: String, inode: UInt64) -> File? {
    files[path].flatMap { $0.inode == inode ? $0 : nil }
  }

  /// Makes an empty file.
  mutating func make(_ path: String) throws(StoreError) -> File {
    let directory = try directory(of: path)
    let opened = try storeCall(self.path(of: path)) { () throws(SystemCallError) in
      try directory.open.open(
        JournalEpoch.name(of: path), [.read, .write, .create, .exclusive, .noFollow], mode: 0o666)
    }
    return try keep(opened, path: path, expecting: nil)
  }

  private mutating func keep(
    _ opened: consuming OpenFile, path: String, expecting inode: UInt64?
  ) throws(StoreError) -> File {
    let file = opened
    let status = try storeCall(self.path(of: path)) { () throws(SystemCallError) in
      try file.status()
    }
    guard inode == nil || status.inode == inode else {
      throw StoreError(.externallyReplaced, path: self.path(of: path))
    }
    if files.count >= TransactionStoreFiles.limit { files.removeAll() }
    let kept = File(file, inode: status.inode)
    files[path] = kept
    return kept
  }

  /// Whether everything in a file is known to be on the medium.
  func isSynced(_ path: String, inode: UInt64, size: Int64) -> Bool {
    synced[path].map { $0.inode == inode && $0.size == size } ?? false
  }

  mutating func noteSynced(_ path: String, inode: UInt64, size: Int64) {
    if synced.count >= 16 * TransactionStoreFiles.limit { synced.removeAll() }
    synced[path] = (inode, size)
  }

  /// Lets go of everything, after a failure that makes it doubtful.
  mutating func forget() {
    files.removeAll()
    synced.removeAll()
  }
}
