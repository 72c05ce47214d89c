internal import ReliabilityIO

extension Target {
  /// Opens a directory, and makes it and those above it where they are missing.
  ///
  /// A directory that was made is only durable once the one above it is synced.
  static func openOrMake(
    _ directory: String, durability: Durability, fileSystem: FileSystem, path: String,
    notSynced: inout NotDurableReason?
  ) throws(StoreError) -> OpenDirectory {
    do throws(StoreError) {
      return try open(directory, fileSystem: fileSystem, path: path)
    } catch {
      guard error.cause?.number == .notFound, let (above, name) = splitDirectory(directory) else {
        throw error
      }
      let parent = try openOrMake(
        above, durability: durability, fileSystem: fileSystem, path: path, notSynced: &notSynced)
      try make(name, in: parent, path: path)
      if durability == .full {
        do throws(SystemCallError) {
          try parent.sync()
        } catch {
          notSynced = NotDurableReason(directorySync: error)
        }
      }
    }
    return try open(directory, fileSystem: fileSystem, path: path)
  }

  /// Makes a directory, which someone else may just have made.
  private static func make(
    _ name: String, in parent: borrowing OpenDirectory, path: String
  ) throws(StoreError) {
    do throws(SystemCallError) {
      try parent.makeDirectory(name)
    } catch {
      switch error.number {
      case .exists: return
      case .permissionDenied, .notPermitted, .readOnlyFileSystem:
        throw StoreError(.directoryNotWritable, path: path, cause: error)
      default: throw StoreError(.writing(error), path: path, cause: error)
      }
    }
  }

  /// A directory's own directory and name; `nil` when there is nothing to make.
  private static func splitDirectory(_ path: String) -> (parent: String, name: String)? {
    var trimmed = path[...]
    while trimmed.utf8.count > 1, trimmed.utf8.last == UInt8(ascii: "/") { trimmed.removeLast() }
    return split(String(trimmed))
  }
}

extension OpenDirectory {
  /// Makes a directory with the permissions that the umask leaves.
  fileprivate borrowing func makeDirectory(_ name: String) throws(SystemCallError) {
    try fileSystem.perform("mkdirat", joinPath(path, name)) { backend throws(ErrorNumber) in
      try backend.makeDirectory(name, in: descriptor, mode: 0o777)
    }
  }
}
