import BackoffLock
import ReliabilityIO
import ReliabilityTesting
import Synchronization

/// The real file system with a server's clock, which a test moves by hand, and with what goes wrong on a network.
final class LeaseServer: ForwardingFileSystem {
  struct Faults: Sendable {
    /// The n-th call of all, counted from 1, fails once.
    var call: (number: Int, error: ErrorNumber)?
    var touch: ErrorNumber?
    /// The link is made, and then the answer is lost.
    var lostLinkReply: ErrorNumber?
    var locks: ErrorNumber?
    /// Called before a touch.
    var beforeTouch: (@Sendable () -> Void)?
    /// Called before a write.
    var beforeWrite: (@Sendable () -> Void)?
    /// Called before a rename.
    var beforeRename: (@Sendable () -> Void)?
  }

  private struct State {
    var calls = 0
    var faultsMet = 0
    var touches = 0
    var open = 0
    var modified: [UInt64: Int64] = [:]
    var faults = Faults()
  }

  let clock: ManualClock
  private let start: ContinuousClock.Instant
  let base: any FileSystemBackend = RealFileSystem()
  private let state = Lock(State())

  init(clock: ManualClock) {
    self.clock = clock
    start = clock.now
  }

  var fileSystem: FileSystem { FileSystem(self) }
  var touches: Int { state.withLock { $0.touches } }
  var openDescriptors: Int { state.withLock { $0.open } }
  var faultsMet: Int { state.withLock { $0.faultsMet } }

  func set(_ change: @Sendable (inout Faults) -> Void) { state.withLock { change(&$0.faults) } }

  /// Nanoseconds, never a whole second.
  private var now: Int64 {
    1_700_000_000_000_000_001 + start.duration(to: clock.now).nanoseconds
  }

  func willCall(_ call: String) throws(ErrorNumber) {
    let error: ErrorNumber? = state.withLock { state in
      state.calls += 1
      guard let fault = state.faults.call, fault.number == state.calls else { return nil }
      state.faultsMet += 1
      return fault.error
    }
    if let error { throw error }
  }

  private func stamp(_ file: Descriptor) {
    guard let status = try? base.status(file) else { return }
    let now = now
    state.withLock { $0.modified[status.inode] = now }
  }

  private func dated(_ status: FileStatus) -> FileStatus {
    var status = status
    if let modified = state.withLock({ $0.modified[status.inode] }) {
      (status.modified, status.changed) = (modified, modified)
    }
    return status
  }

  func open(
    _ name: String, in directory: Descriptor?, _ flags: OpenFlags, mode: FileMode
  ) throws(ErrorNumber) -> Descriptor {
    try willCall("open")
    let file = try base.open(name, in: directory, flags, mode: mode)
    state.withLock { $0.open += 1 }
    if flags.contains(.exclusive) { stamp(file) }
    return file
  }

  /// Never fails, so that what is open can be counted.
  func close(_ file: Descriptor) throws(ErrorNumber) {
    try base.close(file)
    state.withLock { $0.open -= 1 }
  }

  func duplicate(_ file: Descriptor) throws(ErrorNumber) -> Descriptor {
    state.withLock { $0.open += 1 }
    return try base.duplicate(file)
  }

  func write(
    _ file: Descriptor, _ bytes: Span<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int {
    try willCall("write")
    state.withLock({ $0.faults.beforeWrite })?()
    stamp(file)
    return try base.write(file, bytes, at: offset)
  }

  func status(_ file: Descriptor) throws(ErrorNumber) -> FileStatus {
    try willCall("fstat")
    return dated(try base.status(file))
  }

  func status(
    of name: String, in directory: Descriptor?, followingLink: Bool
  ) throws(ErrorNumber) -> FileStatus {
    try willCall("fstatat")
    return dated(try base.status(of: name, in: directory, followingLink: followingLink))
  }

  func lock(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber) {
    try willCall("flock")
    if let error = state.withLock({ $0.faults.locks }) { throw error }
    try base.lock(file, operation)
  }

  func touch(_ file: Descriptor) throws(ErrorNumber) {
    try willCall("futimens")
    let faults = state.withLock { $0.faults }
    faults.beforeTouch?()
    if let error = faults.touch { throw error }
    stamp(file)
    state.withLock { $0.touches += 1 }
  }

  func kind(of file: Descriptor) throws(ErrorNumber) -> FileSystemKind {
    FileSystemKind(name: "nfs", isNetwork: true)
  }

  func rename(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?,
    _ rule: RenameRule
  ) throws(ErrorNumber) {
    try willCall("rename")
    state.withLock({ $0.faults.beforeRename })?()
    try base.rename(name, in: directory, to: newName, in: newDirectory, rule)
  }

  func link(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?
  ) throws(ErrorNumber) {
    try willCall("link")
    try base.link(name, in: directory, to: newName, in: newDirectory)
    let lost = state.withLock { state in
      defer { state.faults.lostLinkReply = nil }
      return state.faults.lostLinkReply
    }
    if let lost { throw lost }
  }
}
