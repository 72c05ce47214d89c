internal import ReliabilityIO

/// Where a save goes: an open directory and a name in it, with the links of the last component followed.
struct Target: ~Copyable {
  let directory: OpenDirectory
  let name: String
  /// The path for people.
  let path: String
  /// What is there now; `nil` when nothing is.
  var existing: FileStatus?
  /// How many of its names are its own backups.
  private(set) var backupLinks = 0
  /// Why a directory that was made on the way is not durable.
  let newDirectoryNotSynced: NotDurableReason?

  /// How many names other than the target and its backups lead to what is there.
  var otherLinks: Int { max(0, (existing?.links ?? 1) - 1 - backupLinks) }

  /// The most symbolic links that are followed, as in the Linux kernel.
  static let maximumLinks = 40

  /// Finds the directory and the name that a path leads to, and refuses what can't be replaced.
  init(
    _ path: String, options: AtomicFile.Options, fileSystem: FileSystem
  ) throws(StoreError) {
    guard case (let parent, var name)? = Target.split(path), !path.utf8.contains(0) else {
      throw StoreError(.invalidPath, path: path)
    }
    var resolved = path
    requireValid(options.validate)
    var notSynced: NotDurableReason?
    var directory =
      options.createsDirectories
      ? try Target.openOrMake(
        parent, durability: options.durability, fileSystem: fileSystem, path: path,
        notSynced: &notSynced)
      : try Target.open(parent, fileSystem: fileSystem, path: path)
    var links = 0
    while true {
      let status = try Target.status(of: name, in: directory, path: path)
      guard let status, status.kind == .symbolicLink else {
        backupLinks = try Target.check(status, name, in: directory, path: path, options: options)
        self.directory = directory
        self.name = name
        self.path = resolved
        newDirectoryNotSynced = notSynced
        existing = status
        return
      }
      if options.createOnly { throw StoreError(.targetExists, path: path) }
      if options.symbolicLinks == .refuse { throw StoreError(.targetIsSymbolicLink, path: path) }
      links += 1
      if links > Target.maximumLinks { throw StoreError(.tooManySymbolicLinks, path: path) }

      try Target.checkLink(status, name, in: directory, path: path)

      let destination = try Target.readLink(name, in: directory, path: path)
      resolved = joinPath(directory.path, destination)
      guard let next = Target.split(destination) else {
        throw StoreError(.targetIsNotRegularFile, path: path)
      }
      if destination.utf8.contains(UInt8(ascii: "/")) {
        directory = try Target.open(next.parent, in: directory, path: path)
      }
      name = next.name
    }
  }

  /// Refuses a link that someone else may have planted, as Linux does for links it follows itself.
  ///
  /// In a directory where everybody may make names and only owners may remove them (`/tmp`), a link of another user
  /// would choose which of our files is replaced. Race-free: such a user can't put a link in place of one of ours.
  /// Source: Linux, `may_follow_link` and `fs.protected_symlinks`.
  private static func checkLink(
    _ link: FileStatus, _ name: String, in directory: borrowing OpenDirectory, path: String
  ) throws(StoreError) {
    guard let user = directory.fileSystem.backend.effectiveUser, link.user != user else { return }
    let parent = try Target.status(of: ".", in: directory, path: path)
    guard let parent, parent.user != link.user, parent.mode.rawValue & 0o1002 == 0o1002 else {
      return
    }
    throw StoreError(
      .notPermitted, path: path,
      cause: SystemCallError(
        .permissionDenied, call: "readlinkat", path: joinPath(directory.path, name)))
  }

  /// Looks again at what is there.
  ///
  /// What has gone is remembered, for its owner and mode.
  mutating func refresh(options: AtomicFile.Options) throws(StoreError) {
    let status = try Target.status(of: name, in: directory, path: path)
    if status == nil && options.ifUnchanged == nil { return }
    backupLinks = try Target.check(status, name, in: directory, path: path, options: options)
    existing = status
  }

  /// Refuses what may not be replaced.
  ///
  /// - Returns: How many of its names are its own backups.
  private static func check(
    _ status: FileStatus?, _ name: String, in directory: borrowing OpenDirectory, path: String,
    options: AtomicFile.Options
  ) throws(StoreError) -> Int {
    if let expected = options.ifUnchanged, status.map(FileVersion.init) != expected {
      throw StoreError(.targetChanged, path: path)
    }
    guard let status else { return 0 }
    if options.createOnly { throw StoreError(.targetExists, path: path) }
    if status.kind != .regular { throw StoreError(.targetIsNotRegularFile, path: path) }
    guard status.links > 1 else { return 0 }
    var backupLinks = 0
    for generation in 1..<(options.backups + 1) {
      let backup = BackupName.make(for: name, generation: generation)
      let kept = try Target.status(of: backup, in: directory, path: path)
      if let kept, kept.isSameFile(as: status) { backupLinks += 1 }
    }
    if options.hardLinks == .refuse && status.links > 1 + backupLinks {
      throw StoreError(.targetHasHardLinks, path: path)
    }
    return backupLinks
  }

  /// A path's directory and last component; `nil` when that names no file.
  static func split(_ path: String) -> (parent: String, name: String)? {
    let slash = UInt8(ascii: "/")
    guard let last = path.utf8.lastIndex(of: slash) else {
      return isFileName(path[...]) ? (".", path) : nil
    }
    let name = path[path.utf8.index(after: last)...]
    guard isFileName(name) else { return nil }
    return (last == path.startIndex ? "/" : String(path[..<last]), String(name))
  }

  private static func isFileName(_ name: Substring) -> Bool {
    !name.isEmpty && name != "." && name != ".."
  }

  static func open(
    _ directory: String, fileSystem: FileSystem, path: String
  ) throws(StoreError) -> OpenDirectory {
    do throws(SystemCallError) {
      return try OpenDirectory(directory, fileSystem: fileSystem)
    } catch {
      throw directoryError(error, path: path)
    }
  }

  private static func open(
    _ directory: String, in parent: borrowing OpenDirectory, path: String
  ) throws(StoreError) -> OpenDirectory {
    do throws(SystemCallError) {
      return try parent.directory(directory)
    } catch {
      throw directoryError(error, path: path)
    }
  }

  private static func directoryError(_ error: SystemCallError, path: String) -> StoreError {
    switch error.number {
    case .notFound, .notADirectory: StoreError(.directoryMissing, path: path, cause: error)
    default: StoreError(.callFailed, path: path, cause: error)
    }
  }

  private static func status(
    of name: String, in directory: borrowing OpenDirectory, path: String
  ) throws(StoreError) -> FileStatus? {
    do throws(SystemCallError) {
      return try directory.status(of: name)
    } catch {
      throw StoreError(.callFailed, path: path, cause: error)
    }
  }

  private static func readLink(
    _ name: String, in directory: borrowing OpenDirectory, path: String
  ) throws(StoreError) -> String {
    do throws(SystemCallError) {
      return try directory.readLink(name)
    } catch {
      throw StoreError(.callFailed, path: path, cause: error)
    }
  }
}
