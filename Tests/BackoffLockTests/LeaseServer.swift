import BackoffLock
import ReliabilityIO
import ReliabilityTesting
import Synchronization

/// The real file system with a server's clock, which a test moves by hand, and with what goes wrong on a network.
final class LeaseServer: FileSystemBackend {
  struct Faults: Sendable {
    /// The n-th call of all, counted from 1, fails once.
    var call: (number: Int, error: ErrorNumber)?
    var touch: ErrorNumber?
    /// The link is made, and then the answer is lost.
    var lostLinkReply: ErrorNumber?
    var locks: ErrorNumber?
    /// Called before a touch.
    var beforeTouch: (@Sendable () -> Void)?
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
  private let real = RealFileSystem()
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

  private func count() throws(ErrorNumber) {
    let error: ErrorNumber? = state.withLock { state in
      state.calls += 1
      guard let fault = state.faults.call, fault.number == state.calls else { return nil }
      state.faultsMet += 1
      return fault.error
    }
    if let error { throw error }
  }

  private func stamp(_ file: Descriptor) {
    guard let status = try? real.status(file) else { return }
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
    try count()
    let file = try real.open(name, in: directory, flags, mode: mode)
    state.withLock { $0.open += 1 }
    if flags.contains(.exclusive) { stamp(file) }
    return file
  }
  func close(_ file: Descriptor) throws(ErrorNumber) {
    try real.close(file)
    state.withLock { $0.open -= 1 }
  }
  func duplicate(_ file: Descriptor) throws(ErrorNumber) -> Descriptor {
    state.withLock { $0.open += 1 }
    return try real.duplicate(file)
  }
  func read(
    _ file: Descriptor, into buffer: inout OutputSpan<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int {
    try count()
    return try real.read(file, into: &buffer, at: offset)
  }
  func write(
    _ file: Descriptor, _ bytes: Span<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int {
    try count()
    stamp(file)
    return try real.write(file, bytes, at: offset)
  }
  func truncate(_ file: Descriptor, to size: Int64) throws(ErrorNumber) {
    try real.truncate(file, to: size)
  }
  func sync(_ file: Descriptor, _ kind: SyncKind) throws(ErrorNumber) {
    try count()
    try real.sync(file, kind)
  }
  func status(_ file: Descriptor) throws(ErrorNumber) -> FileStatus {
    try count()
    return dated(try real.status(file))
  }
  func status(
    of name: String, in directory: Descriptor?, followingLink: Bool
  ) throws(ErrorNumber) -> FileStatus {
    try count()
    return dated(try real.status(of: name, in: directory, followingLink: followingLink))
  }
  func setMode(_ file: Descriptor, _ mode: FileMode) throws(ErrorNumber) {
    try real.setMode(file, mode)
  }
  func setOwner(_ file: Descriptor, user: UInt32?, group: UInt32?) throws(ErrorNumber) {
    try real.setOwner(file, user: user, group: group)
  }
  func lock(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber) {
    try count()
    if let error = state.withLock({ $0.faults.locks }) { throw error }
    try real.lock(file, operation)
  }
  func lockWaiting(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber) {
    try real.lockWaiting(file, operation)
  }
  func lockRange(
    _ file: Descriptor, _ range: Range<Int64>, _ operation: LockOperation, waits: Bool
  ) throws(ErrorNumber) {
    try real.lockRange(file, range, operation, waits: waits)
  }
  func isRangeLocked(
    _ file: Descriptor, _ range: Range<Int64>, against operation: LockOperation
  ) throws(ErrorNumber) -> Bool { try real.isRangeLocked(file, range, against: operation) }
  func touch(_ file: Descriptor) throws(ErrorNumber) {
    try count()
    let faults = state.withLock { $0.faults }
    faults.beforeTouch?()
    if let error = faults.touch { throw error }
    stamp(file)
    state.withLock { $0.touches += 1 }
  }
  func kind(of file: Descriptor) throws(ErrorNumber) -> FileSystemKind {
    FileSystemKind(name: "nfs", isNetwork: true)
  }
  func attributeNames(_ file: Descriptor) throws(ErrorNumber) -> [String] { [] }
  func attribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) -> [UInt8] { [] }
  func setAttribute(
    _ file: Descriptor, _ name: String, _ value: Span<UInt8>
  ) throws(ErrorNumber) { throw .notSupported }
  func removeAttribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) {
    throw .notSupported
  }
  func rename(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?,
    _ rule: RenameRule
  ) throws(ErrorNumber) {
    try count()
    state.withLock({ $0.faults.beforeRename })?()
    try real.rename(name, in: directory, to: newName, in: newDirectory, rule)
  }
  func link(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?
  ) throws(ErrorNumber) {
    try count()
    try real.link(name, in: directory, to: newName, in: newDirectory)
    let lost = state.withLock { state in
      defer { state.faults.lostLinkReply = nil }
      return state.faults.lostLinkReply
    }
    if let lost { throw lost }
  }
  func makeSymbolicLink(
    _ name: String, in directory: Descriptor?, destination: String
  ) throws(ErrorNumber) {
    try real.makeSymbolicLink(name, in: directory, destination: destination)
  }
  func readLink(_ name: String, in directory: Descriptor?) throws(ErrorNumber) -> String {
    try real.readLink(name, in: directory)
  }
  func unlink(_ name: String, in directory: Descriptor?) throws(ErrorNumber) {
    try count()
    try real.unlink(name, in: directory)
  }
  func makeDirectory(
    _ name: String, in directory: Descriptor?, mode: FileMode
  ) throws(ErrorNumber) {
    try count()
    try real.makeDirectory(name, in: directory, mode: mode)
  }
  func removeDirectory(_ name: String, in directory: Descriptor?) throws(ErrorNumber) {
    try real.removeDirectory(name, in: directory)
  }
  func entries(of directory: Descriptor) throws(ErrorNumber) -> [String] {
    try count()
    return try real.entries(of: directory)
  }
  var processIdentifier: Int32 { real.processIdentifier }
  func randomBits() -> UInt64 { real.randomBits() }
}
