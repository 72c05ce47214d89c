internal import CReliability

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#endif

/// Advisory locks, and what is known of the file system that must keep them.
extension RealFileSystem {
  package func lock(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber) {
    let command = operation == .unlock ? LOCK_UN : operation.flockCommand | LOCK_NB
    try check(outcome(flock(file.rawValue, command)))
  }

  package func lockWaiting(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber) {
    try check(outcome(flock(file.rawValue, operation.flockCommand)))
  }

  package func lockRange(
    _ file: Descriptor, _ range: Range<Int64>, _ operation: LockOperation, waits: Bool
  ) throws(ErrorNumber) {
    try check(
      outcome(
        creliability_ofd_lock(
          file.rawValue, operation.rangeKind, range.lowerBound, Int64(range.count), waits ? 1 : 0)))
  }

  package func isRangeLocked(
    _ file: Descriptor, _ range: Range<Int64>, against operation: LockOperation
  ) throws(ErrorNumber) -> Bool {
    try check(
      outcome(
        creliability_ofd_is_locked(
          file.rawValue, operation.rangeKind, range.lowerBound, Int64(range.count)))) == 1
  }

  package func touch(_ file: Descriptor) throws(ErrorNumber) {
    try check(outcome(futimens(file.rawValue, nil)))
  }

  package func kind(of file: Descriptor) throws(ErrorNumber) -> FileSystemKind {
    var isNetwork: Int32 = 0
    let capacity = 32
    let name = try unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: capacity) {
      (buffer) throws(ErrorNumber) -> String in
      guard let start = buffer.baseAddress else { throw .invalidArgument }
      try check(
        unsafe outcome(
          creliability_file_system_kind(file.rawValue, start, buffer.count, &isNetwork)))
      return unsafe String(cString: start)
    }
    return FileSystemKind(name: name, isNetwork: isNetwork != 0)
  }
}

extension LockOperation {
  fileprivate var flockCommand: Int32 {
    switch self {
    case .exclusive: LOCK_EX
    case .shared: LOCK_SH
    case .unlock: LOCK_UN
    }
  }

  /// As `creliability_ofd_lock` numbers them.
  fileprivate var rangeKind: Int32 {
    switch self {
    case .unlock: 0
    case .shared: 1
    case .exclusive: 2
    }
  }
}
