import ReliabilityIO
import Synchronization

/// The real file system with every call counted, and failing on demand.
///
/// SQLite's method: fail the n-th call for n = 1, 2, 3 … until a run meets no failure, and look at the invariants
/// after each.
///
/// Unchecked, because it has a subclass: all that changes is behind a lock.
class FaultyFileSystem: FileSystemBackend, @unchecked Sendable {
  enum Fault: Sendable {
    case none
    /// The n-th call, counted from 1, fails; those after it work.
    case once(Int, ErrorNumber)
    /// The n-th call and all after it fail.
    case persistent(Int, ErrorNumber)
    /// Some calls, counted from 1, fail.
    case range(ClosedRange<Int>, ErrorNumber)
    /// Every call of one name fails.
    case every(String, ErrorNumber)
    /// The n-th call of one name fails.
    case nth(String, Int, ErrorNumber)
  }

  /// How a sync may be wrong: what a program would do that has this bug.
  enum SyncLie: Sendable {
    /// Contents are never synced.
    case skipsData
    /// A sync that fails is tried again.
    case retries
  }

  private struct State {
    var calls: [String] = []
    var open: Set<Int32> = []
    var faultsMet = 0
    var lastSyncWorked = false
    var end: Int64 = 0
    var largestWrite = 0
  }

  private let real: any FileSystemBackend
  private let lie: SyncLie?
  private let fault: Fault
  private let writeLimit: Int?
  private let discardsContent: Bool
  private let mountPoint: String?
  private let failingCopies: Bool
  private let random: (@Sendable (Int) -> UInt64)?
  private let before: (@Sendable (String) -> Void)?
  private let state = Lock(State())
  private let names = Atomic<Int>(0)

  /// - Parameters:
  ///   - fault: What fails.
  ///   - writeLimit: The most bytes one write or read takes; 0 makes writes answer 0.
  ///   - discardsContent: Whether writes only move on, so that a file of any size costs nothing.
  ///   - mountPoint: The name of a file that is a mount point: nothing can be renamed over it.
  ///   - failingCopies: Whether no new file can be made under a temporary name.
  ///   - random: The random bits of the n-th temporary name, from 0.
  ///   - real: What is below.
  ///   - lie: How syncs are wrong.
  ///   - before: Called with a call's name before it is made.
  init(
    _ fault: Fault = .none, writeLimit: Int? = nil, discardsContent: Bool = false,
    mountPoint: String? = nil, failingCopies: Bool = false,
    random: (@Sendable (Int) -> UInt64)? = nil,
    over real: any FileSystemBackend = RealFileSystem(), lie: SyncLie? = nil,
    before: (@Sendable (String) -> Void)? = nil
  ) {
    self.real = real
    self.lie = lie
    self.fault = fault
    self.writeLimit = writeLimit
    self.discardsContent = discardsContent
    self.mountPoint = mountPoint
    self.failingCopies = failingCopies
    self.random = random
    self.before = before
  }

  var fileSystem: FileSystem { FileSystem(self) }
  var calls: [String] { state.withLock { $0.calls } }
  var openDescriptors: Int { state.withLock { $0.open.count } }
  var faultsMet: Int { state.withLock { $0.faultsMet } }

  /// How many bytes were discarded, each right behind the one before.
  var discarded: Int64 { state.withLock { $0.end } }
  /// The most bytes that one call was asked to write.
  var largestWrite: Int { state.withLock { $0.largestWrite } }

  /// Whether the sync after the rename worked: the one that makes a save durable.
  var lastDirectorySyncWorked: Bool { state.withLock { $0.lastSyncWorked } }

  private func count(_ call: String) throws(ErrorNumber) {
    before?(call)
    let failure: ErrorNumber? = state.withLock { state in
      state.calls.append(call)
      let n = state.calls.count
      let failure: ErrorNumber? =
        switch fault {
        case .none: nil
        case .once(let at, let number): n == at ? number : nil
        case .persistent(let from, let number): n >= from ? number : nil
        case .range(let range, let number): range.contains(n) ? number : nil
        case .every(let name, let number): call == name ? number : nil
        case .nth(let name, let at, let number):
          call == name && state.calls.count(where: { $0 == name }) == at ? number : nil
        }
      if failure != nil { state.faultsMet += 1 }
      return failure
    }
    if let failure { throw failure }
  }

  private func opened(_ file: Descriptor) -> Descriptor {
    state.withLock { _ = $0.open.insert(file.rawValue) }
    return file
  }

  func open(
    _ name: String, in directory: Descriptor?, _ flags: OpenFlags, mode: FileMode
  ) throws(ErrorNumber) -> Descriptor {
    try count(flags.contains(.directory) ? "opendir" : flags.contains(.create) ? "create" : "open")
    if failingCopies && flags.contains(.create) && name.hasSuffix(".rtmp") { throw .noSpace }
    return opened(try real.open(name, in: directory, flags, mode: mode))
  }

  /// Frees the descriptor first, as every kernel does, and then may say that it failed.
  func close(_ file: Descriptor) throws(ErrorNumber) {
    let wasOpen = state.withLock { $0.open.remove(file.rawValue) != nil }
    precondition(wasOpen, "a descriptor was closed twice")
    try real.close(file)
    try count("close")
  }

  func duplicate(_ file: Descriptor) throws(ErrorNumber) -> Descriptor {
    try count("dup")
    return opened(try real.duplicate(file))
  }

  func read(
    _ file: Descriptor, into buffer: inout OutputSpan<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int {
    try count("read")
    guard let writeLimit, writeLimit < buffer.freeCapacity else {
      return try real.read(file, into: &buffer, at: offset)
    }
    let part = try [UInt8](capacity: writeLimit) {
      (part: inout OutputSpan<UInt8>) throws(ErrorNumber) in
      _ = try real.read(file, into: &part, at: offset)
    }
    for byte in part { buffer.append(byte) }
    return part.count
  }

  func write(
    _ file: Descriptor, _ bytes: Span<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int {
    try count("write")
    if discardsContent {
      let taken = min(writeLimit ?? bytes.count, bytes.count)
      state.withLock { state in
        if offset == state.end { state.end += Int64(taken) }
        state.largestWrite = max(state.largestWrite, bytes.count)
      }
      return taken
    }
    if let writeLimit {
      if writeLimit == 0 { return 0 }
      return try real.write(file, bytes.extracting(first: min(writeLimit, bytes.count)), at: offset)
    }
    return try real.write(file, bytes, at: offset)
  }

  func truncate(_ file: Descriptor, to size: Int64) throws(ErrorNumber) {
    try count("truncate")
    try real.truncate(file, to: size)
  }

  func sync(_ file: Descriptor, _ kind: SyncKind) throws(ErrorNumber) {
    state.withLock { $0.lastSyncWorked = false }
    try count("fsync")
    if lie == .skipsData && kind == .data { return }
    do throws(ErrorNumber) {
      try real.sync(file, kind)
    } catch {
      guard lie == .retries else { throw error }
      try real.sync(file, kind)
    }
    state.withLock { $0.lastSyncWorked = true }
  }

  func status(_ file: Descriptor) throws(ErrorNumber) -> FileStatus {
    try count("fstat")
    return try real.status(file)
  }

  func status(
    of name: String, in directory: Descriptor?, followingLink: Bool
  ) throws(ErrorNumber) -> FileStatus {
    try count("fstatat")
    return try real.status(of: name, in: directory, followingLink: followingLink)
  }

  func setMode(_ file: Descriptor, _ mode: FileMode) throws(ErrorNumber) {
    try count("fchmod")
    try real.setMode(file, mode)
  }

  func setOwner(_ file: Descriptor, user: UInt32?, group: UInt32?) throws(ErrorNumber) {
    try count("fchown")
    try real.setOwner(file, user: user, group: group)
  }

  func lock(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber) {
    try count("flock")
    try real.lock(file, operation)
  }

  func lockWaiting(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber) {
    try count("flock")
    try real.lockWaiting(file, operation)
  }

  func lockRange(
    _ file: Descriptor, _ range: Range<Int64>, _ operation: LockOperation, waits: Bool
  ) throws(ErrorNumber) {
    try count("fcntl")
    try real.lockRange(file, range, operation, waits: waits)
  }

  func isRangeLocked(
    _ file: Descriptor, _ range: Range<Int64>, against operation: LockOperation
  ) throws(ErrorNumber) -> Bool {
    try count("fcntl")
    return try real.isRangeLocked(file, range, against: operation)
  }

  func touch(_ file: Descriptor) throws(ErrorNumber) {
    try count("futimens")
    try real.touch(file)
  }

  func kind(of file: Descriptor) throws(ErrorNumber) -> FileSystemKind {
    try count("fstatfs")
    return try real.kind(of: file)
  }

  func attributeNames(_ file: Descriptor) throws(ErrorNumber) -> [String] {
    try count("flistxattr")
    return try real.attributeNames(file)
  }

  func attribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) -> [UInt8] {
    try count("fgetxattr")
    return try real.attribute(file, name)
  }

  func setAttribute(
    _ file: Descriptor, _ name: String, _ value: Span<UInt8>
  ) throws(ErrorNumber) {
    try count("fsetxattr")
    try real.setAttribute(file, name, value)
  }

  func removeAttribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) {
    try count("fremovexattr")
    try real.removeAttribute(file, name)
  }

  func rename(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?,
    _ rule: RenameRule
  ) throws(ErrorNumber) {
    state.withLock { $0.lastSyncWorked = false }
    try count(rule == .replace ? "rename" : "renameat2")
    if newName == mountPoint { throw .busy }
    try real.rename(name, in: directory, to: newName, in: newDirectory, rule)
  }

  func link(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?
  ) throws(ErrorNumber) {
    try count("link")
    try real.link(name, in: directory, to: newName, in: newDirectory)
  }

  func makeSymbolicLink(
    _ name: String, in directory: Descriptor?, destination: String
  ) throws(ErrorNumber) {
    try count("symlink")
    try real.makeSymbolicLink(name, in: directory, destination: destination)
  }

  func readLink(_ name: String, in directory: Descriptor?) throws(ErrorNumber) -> String {
    try count("readlink")
    return try real.readLink(name, in: directory)
  }

  func unlink(_ name: String, in directory: Descriptor?) throws(ErrorNumber) {
    try count("unlink")
    try real.unlink(name, in: directory)
  }

  func makeDirectory(
    _ name: String, in directory: Descriptor?, mode: FileMode
  ) throws(ErrorNumber) {
    try count("mkdir")
    try real.makeDirectory(name, in: directory, mode: mode)
  }

  func removeDirectory(_ name: String, in directory: Descriptor?) throws(ErrorNumber) {
    try count("rmdir")
    try real.removeDirectory(name, in: directory)
  }

  func entries(of directory: Descriptor) throws(ErrorNumber) -> [String] {
    try count("readdir")
    return try real.entries(of: directory)
  }

  var processIdentifier: Int32 { real.processIdentifier }

  var effectiveUser: UInt32? { real.effectiveUser }

  func randomBits() -> UInt64 {
    let n = names.add(1, ordering: .relaxed).oldValue
    return random?(n) ?? real.randomBits()
  }
}
