import ReliabilityIO
import ReliabilityTesting

/// A mistake that real programs make, put below the code under test: the lab must find each of them.
enum SeededBug: String, Sendable, CaseIterable {
  /// A new name is not made durable.
  case noDirectorySync = "no-directory-sync"
  /// Contents are not made durable.
  case noFileSync = "no-file-sync"
  /// The file takes its name first and is made durable after.
  case renameBeforeSync = "rename-before-sync"
  /// An append is called done before it is durable.
  case doneBeforeSync = "done-before-sync"
  /// A failed sync is tried again.
  case retryFailedSync = "retry-failed-sync"
  /// Locks that exclude nobody.
  case noLock = "no-lock"
}

/// A file system that makes one of the mistakes.
final class BuggyFileSystem: ForwardingFileSystem {
  let base: any FileSystemBackend
  private let bug: SeededBug
  private let state = Lock(State())

  private struct State {
    var directories: Set<Descriptor> = []
    var unsynced: [Descriptor] = []
  }

  init(_ bug: SeededBug, on base: any FileSystemBackend) {
    self.bug = bug
    self.base = base
  }

  func open(
    _ name: String, in directory: Descriptor?, _ flags: OpenFlags, mode: FileMode
  ) throws(ErrorNumber) -> Descriptor {
    let opened = try base.open(name, in: directory, flags, mode: mode)
    state.withLock { state in
      if flags.contains(.directory) {
        state.directories.insert(opened)
      } else {
        state.directories.remove(opened)
      }
    }
    return opened
  }

  func sync(_ file: Descriptor, _ kind: SyncKind) throws(ErrorNumber) {
    let isDirectory = state.withLock { $0.directories.contains(file) }
    switch bug {
    case .noDirectorySync where isDirectory: return
    case .noFileSync where !isDirectory: return
    case .doneBeforeSync where kind == .data: return
    case .renameBeforeSync where !isDirectory && kind == .full:
      let copy = try base.duplicate(file)
      state.withLock { $0.unsynced.append(copy) }
    case .retryFailedSync:
      for _ in 0..<200 {
        do throws(ErrorNumber) {
          return try base.sync(file, kind)
        } catch { continue }
      }
      try base.sync(file, kind)
    default: try base.sync(file, kind)
    }
  }

  func rename(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?,
    _ rule: RenameRule
  ) throws(ErrorNumber) {
    try base.rename(name, in: directory, to: newName, in: newDirectory, rule)
    let late = state.withLock { state in
      defer { state.unsynced = [] }
      return state.unsynced
    }
    for file in late {
      try base.sync(file, .full)
      try? base.close(file)
    }
  }

  func lock(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber) {
    if bug != .noLock { try base.lock(file, operation) }
  }

  func lockWaiting(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber) {
    if bug != .noLock { try base.lockWaiting(file, operation) }
  }

  func lockRange(
    _ file: Descriptor, _ range: Range<Int64>, _ operation: LockOperation, waits: Bool
  ) throws(ErrorNumber) {
    if bug != .noLock { try base.lockRange(file, range, operation, waits: waits) }
  }
}
