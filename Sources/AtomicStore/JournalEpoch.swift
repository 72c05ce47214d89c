/// What has been changed since the last checkpoint: all that must be synced before the journal may forget it.
struct JournalEpoch: Hashable, Sendable {
  /// A file that was appended to.
  struct Appended: Hashable, Sendable {
    /// 0 when it was made since the checkpoint by another process: any file of that name will do.
    var inode: UInt64
    /// Behind the last byte that was appended.
    var end: Int64
    /// Made since the checkpoint: its name may be lost in a power cut.
    var isNew: Bool
  }

  private(set) var appended: [String: Appended] = [:]
  /// Files that were replaced or removed.
  private(set) var wholes: Set<String> = []
  /// Directories in which names have changed, relative to the store; the store's own is empty.
  private(set) var directories: Set<String> = []
  private(set) var sideFiles: Set<String> = []

  /// Notes a change.
  ///
  /// - Parameters:
  ///   - operation: The change.
  ///   - inode: The file's, where it is known.
  mutating func note(_ operation: JournalOperation, inode: UInt64? = nil) {
    let path = operation.path
    if case .append(_, let recorded, let base, let bytes) = operation {
      let isNew = recorded == 0 || appended[path]?.isNew == true
      let end = max(appended[path]?.end ?? 0, base + Int64(bytes.count))
      appended[path] = Appended(
        inode: inode ?? (recorded == 0 ? appended[path]?.inode ?? 0 : recorded), end: end,
        isNew: isNew)
      if isNew { directories.insert(JournalEpoch.directory(of: path)) }
    } else {
      appended[path] = nil
      wholes.insert(path)
      directories.insert(JournalEpoch.directory(of: path))
      if let side = operation.sideFile { sideFiles.insert(side.name) }
    }
  }

  /// Whether an append to a file as it is now must wait for a checkpoint.
  ///
  /// Within one journal a file is first appended to, then replaced or removed, never the other way round: to replace
  /// it again would take the appended bytes of others with it. Nor may the journal speak of a file that is gone, or
  /// of bytes that someone has cut off.
  func mustCheckpoint(beforeAppendTo path: String, inode: UInt64?, size: Int64) -> Bool {
    if wholes.contains(path) { return true }
    guard let known = appended[path] else { return false }
    guard let inode else { return true }
    return known.inode != 0 && known.inode != inode || size < known.end
  }

  static func directory(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
  }

  static func name(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
  }
}
