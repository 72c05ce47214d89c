import ReliabilityIO
import ReliabilityTestSupport
import ReliabilityTesting
import Synchronization

/// The real file system with every call counted, and failing on demand.
///
/// SQLite's method: fail the n-th call for n = 1, 2, 3 … until a run meets no failure, and look at the invariants
/// after each.
///
/// Unchecked, because it has a subclass: all that changes is behind a lock.
class FaultyFileSystem: ForwardingFileSystem, @unchecked Sendable {
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

  let base: any FileSystemBackend
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
  ///   - base: What is below.
  ///   - lie: How syncs are wrong.
  ///   - before: Called with a call's name before it is made.
  init(
    _ fault: Fault = .none, writeLimit: Int? = nil, discardsContent: Bool = false,
    mountPoint: String? = nil, failingCopies: Bool = false,
    random: (@Sendable (Int) -> UInt64)? = nil,
    over base: any FileSystemBackend = RealFileSystem(), lie: SyncLie? = nil,
    before: (@Sendable (String) -> Void)? = nil
  ) {
    self.base = base
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

  func willCall(_ call: String) throws(ErrorNumber) {
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
    try willCall(
      flags.contains(.directory) ? "opendir" : flags.contains(.create) ? "create" : "open")
    if failingCopies && flags.contains(.create) && name.hasSuffix(".rtmp") { throw .noSpace }
    return opened(try base.open(name, in: directory, flags, mode: mode))
  }

  /// Frees the descriptor first, as every kernel does, and then may say that it failed.
  func close(_ file: Descriptor) throws(ErrorNumber) {
    let wasOpen = state.withLock { $0.open.remove(file.rawValue) != nil }
    precondition(wasOpen, "a descriptor was closed twice")
    try base.close(file)
    try willCall("close")
  }

  func duplicate(_ file: Descriptor) throws(ErrorNumber) -> Descriptor {
    try willCall("dup")
    return opened(try base.duplicate(file))
  }

  func read(
    _ file: Descriptor, into buffer: inout OutputSpan<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int {
    try willCall("read")
    guard let writeLimit, writeLimit < buffer.freeCapacity else {
      return try base.read(file, into: &buffer, at: offset)
    }
    let part = try [UInt8](capacity: writeLimit) {
      (part: inout OutputSpan<UInt8>) throws(ErrorNumber) in
      _ = try base.read(file, into: &part, at: offset)
    }
    for byte in part { buffer.append(byte) }
    return part.count
  }

  func write(
    _ file: Descriptor, _ bytes: Span<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int {
    try willCall("write")
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
      return try base.write(file, bytes.extracting(first: min(writeLimit, bytes.count)), at: offset)
    }
    return try base.write(file, bytes, at: offset)
  }

  func truncate(_ file: Descriptor, to size: Int64) throws(ErrorNumber) {
    try willCall("truncate")
    try base.truncate(file, to: size)
  }

  func sync(_ file: Descriptor, _ kind: SyncKind) throws(ErrorNumber) {
    state.withLock { $0.lastSyncWorked = false }
    try willCall("fsync")
    if lie == .skipsData && kind == .data { return }
    do throws(ErrorNumber) {
      try base.sync(file, kind)
    } catch {
      guard lie == .retries else { throw error }
      try base.sync(file, kind)
    }
    state.withLock { $0.lastSyncWorked = true }
  }

  func rename(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?,
    _ rule: RenameRule
  ) throws(ErrorNumber) {
    state.withLock { $0.lastSyncWorked = false }
    try willCall(rule == .replace ? "rename" : "renameat2")
    if newName == mountPoint { throw .busy }
    try base.rename(name, in: directory, to: newName, in: newDirectory, rule)
  }

  func randomBits() -> UInt64 {
    let n = names.add(1, ordering: .relaxed).oldValue
    return random?(n) ?? base.randomBits()
  }
}
