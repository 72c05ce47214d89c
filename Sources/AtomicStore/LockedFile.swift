internal import ReliabilityIO

/// A new file under a name of its own that holds a `flock` on itself.
///
/// The lock is how a sweeper tells a live temporary file from the orphan of a dead process: it lasts as long as the
/// descriptor. A sweeper that slips in between creation and lock is noticed and a new file is made.
struct LockedFile: ~Copyable {
  let file: OpenFile
  let name: String
  let status: FileStatus

  /// How often a new name is tried when one is taken.
  private static let maximumNames = 64

  /// Makes a file in a directory.
  ///
  /// - Parameters:
  ///   - directory: Where.
  ///   - base: The name of the file it will replace.
  ///   - mode: Its permissions, before the umask.
  ///   - path: The path for messages.
  init(
    in directory: borrowing OpenDirectory, for base: String, mode: FileMode, path: String
  ) throws(StoreError) {
    let backend = directory.fileSystem.backend
    let process = backend.processIdentifier
    for _ in 0..<LockedFile.maximumNames {
      let name = TemporaryName.make(for: base, process: process, random: backend.randomBits())
      let file: OpenFile
      do throws(SystemCallError) {
        file = try directory.open(
          name, [.read, .write, .create, .exclusive, .noFollow], mode: mode)
      } catch {
        if error.number == .exists { continue }
        throw LockedFile.creationError(error, path: path)
      }
      let status: FileStatus?
      do throws(SystemCallError) {
        status = try LockedFile.lock(file) ? file.status() : nil
      } catch {
        throw StoreError(
          .callFailed, path: path, cause: error, leftover: directory.remove(name)?.path)
      }
      if let status, status.links == 1 {
        self.file = file
        self.name = name
        self.status = status
        return
      }
      // A sweeper has it. Usually it removes the name; be sure.
      if let reason = directory.remove(name) {
        throw StoreError(.callFailed, path: path, cause: reason, leftover: reason.path)
      }
    }
    throw StoreError(
      .callFailed, path: path,
      cause: SystemCallError(.exists, call: "open", path: directory.path))
  }

  /// Locks a file.
  ///
  /// Where the file system has no locks, a sweeper goes by age.
  ///
  /// - Returns: `false` when someone else holds the lock.
  private static func lock(_ file: borrowing OpenFile) throws(SystemCallError) -> Bool {
    do throws(SystemCallError) {
      try file.lock(.exclusive)
      return true
    } catch {
      if error.number == .wouldBlock { return false }
      if error.number.saysNoLocks { return true }
      throw error
    }
  }

  private static func creationError(_ error: SystemCallError, path: String) -> StoreError {
    switch error.number {
    case .permissionDenied, .notPermitted, .readOnlyFileSystem:
      StoreError(.directoryNotWritable, path: path, cause: error)
    case .notFound: StoreError(.directoryMissing, path: path, cause: error)
    default: StoreError(.writing(error), path: path, cause: error)
    }
  }
}
