import ReliabilityIO
import ReliabilityTesting

/// The real file system, except that its locks or its kind are not what they are.
struct LyingFileSystem: ForwardingFileSystem {
  enum Locks: Sendable {
    case real, refused, givenToAll
  }

  let locks: Locks
  var kind: FileSystemKind?
  let base: any FileSystemBackend = RealFileSystem()

  init(locks: Locks, kind: FileSystemKind? = nil) {
    self.locks = locks
    self.kind = kind
  }

  private func lock(_ body: () throws(ErrorNumber) -> Void) throws(ErrorNumber) {
    switch locks {
    case .real: try body()
    case .refused: throw .noLocks
    case .givenToAll: return
    }
  }

  func lock(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber) {
    try lock { () throws(ErrorNumber) in try base.lock(file, operation) }
  }
  func lockWaiting(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber) {
    try lock { () throws(ErrorNumber) in try base.lockWaiting(file, operation) }
  }
  func lockRange(
    _ file: Descriptor, _ range: Range<Int64>, _ operation: LockOperation, waits: Bool
  ) throws(ErrorNumber) {
    try lock { () throws(ErrorNumber) in
      try base.lockRange(file, range, operation, waits: waits)
    }
  }
  func kind(of file: Descriptor) throws(ErrorNumber) -> FileSystemKind {
    if let kind { return kind }
    return try base.kind(of: file)
  }
}
