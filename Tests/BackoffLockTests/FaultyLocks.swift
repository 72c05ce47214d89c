import ReliabilityIO
import Synchronization

#if canImport(Darwin)
  import Darwin
#endif

/// The real file system with the calls of a lock counted, and one of them failing.
final class FaultyLocks: FileSystemBackend, CustomStringConvertible {
  private struct State {
    var calls = 0
    var open: Set<Int32> = []
    var faultsMet = 0
    var failed = ""
    var threads: [String: Set<String>] = [:]
  }

  private let real = RealFileSystem()
  private let failing: Int
  private let call: String?
  private let number: ErrorNumber
  private let persistently: Bool
  private let isNetwork: Bool
  private let state = Lock(State())

  /// The n-th call fails, counted from 1, and perhaps all after it.
  init(failing: Int, _ number: ErrorNumber, persistently: Bool) {
    (self.failing, self.number, self.persistently) = (failing, number, persistently)
    call = nil
    isNetwork = false
  }

  /// Every call of one name fails.
  init(failingEvery call: String, _ number: ErrorNumber) {
    (failing, self.number, persistently, self.call) = (0, number, true, call)
    isNetwork = false
  }

  /// Nothing fails; perhaps it says of itself that another machine has the data.
  init(isNetwork: Bool) {
    (failing, number, persistently, call) = (0, .inputOutput, false, nil)
    self.isNetwork = isNetwork
  }

  var fileSystem: FileSystem { FileSystem(self) }
  var openDescriptors: Int { state.withLock { $0.open.count } }
  var calls: Int { state.withLock { $0.calls } }
  var faultsMet: Int { state.withLock { $0.faultsMet } }
  var description: String {
    state.withLock { "\($0.failed) failing as call \(failing) with \(number)" }
  }

  /// The names of the threads on which a call was made.
  func threads(of call: String) -> Set<String> { state.withLock { $0.threads[call] ?? [] } }

  private static var threadName: String {
    #if os(Linux)
      guard let file = try? OpenFile("/proc/thread-self/comm", [.read], fileSystem: .real),
        let name = try? [UInt8](
          capacity: 32,
          initializingWith: { (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
            try file.readAll(into: &buffer, at: 0)
          })
      else { return "" }
      return String(decoding: name.dropLast(), as: UTF8.self)
    #else
      var name = [CChar](repeating: 0, count: 32)
      _ = unsafe pthread_getname_np(pthread_self(), &name, name.count)
      return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    #endif
  }

  private func count(_ name: String) throws(ErrorNumber) {
    let thread = isNetwork ? Self.threadName : ""
    let fails = state.withLock { state in
      state.calls += 1
      if isNetwork { state.threads[name, default: []].insert(thread) }
      let fails =
        call.map { $0 == name }
        ?? (persistently ? state.calls >= failing : state.calls == failing)
      if fails {
        state.faultsMet += 1
        state.failed = name
      }
      return fails
    }
    if fails { throw number }
  }

  func open(
    _ name: String, in directory: Descriptor?, _ flags: OpenFlags, mode: FileMode
  ) throws(ErrorNumber) -> Descriptor {
    try count("open")
    let file = try real.open(name, in: directory, flags, mode: mode)
    state.withLock { _ = $0.open.insert(file.rawValue) }
    return file
  }

  func close(_ file: Descriptor) throws(ErrorNumber) {
    let wasOpen = state.withLock { $0.open.remove(file.rawValue) != nil }
    precondition(wasOpen, "a descriptor was closed twice")
    try real.close(file)
  }

  func read(
    _ file: Descriptor, into buffer: inout OutputSpan<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int {
    try count("read")
    return try real.read(file, into: &buffer, at: offset)
  }

  func write(
    _ file: Descriptor, _ bytes: Span<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int {
    try count("write")
    return try real.write(file, bytes, at: offset)
  }

  func sync(_ file: Descriptor, _ kind: SyncKind) throws(ErrorNumber) {
    try count("fsync")
    try real.sync(file, kind)
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

  func kind(of file: Descriptor) throws(ErrorNumber) -> FileSystemKind {
    try count("fstatfs")
    if isNetwork { return FileSystemKind(name: "nfs", isNetwork: true) }
    return try real.kind(of: file)
  }

  var processIdentifier: Int32 { real.processIdentifier }
  func randomBits() -> UInt64 { real.randomBits() }

  // No lock makes the calls below.
  func duplicate(_ file: Descriptor) throws(ErrorNumber) -> Descriptor { throw .notImplemented }
  func truncate(_ file: Descriptor, to size: Int64) throws(ErrorNumber) { throw .notImplemented }
  func setMode(_ file: Descriptor, _ mode: FileMode) throws(ErrorNumber) { throw .notImplemented }
  func setOwner(_ file: Descriptor, user: UInt32?, group: UInt32?) throws(ErrorNumber) {
    throw .notImplemented
  }
  func touch(_ file: Descriptor) throws(ErrorNumber) { throw .notImplemented }
  func attributeNames(_ file: Descriptor) throws(ErrorNumber) -> [String] { throw .notImplemented }
  func attribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) -> [UInt8] {
    throw .notImplemented
  }
  func setAttribute(
    _ file: Descriptor, _ name: String, _ value: Span<UInt8>
  ) throws(ErrorNumber) { throw .notImplemented }
  func removeAttribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) {
    throw .notImplemented
  }
  func rename(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?,
    _ rule: RenameRule
  ) throws(ErrorNumber) {
    try count("renameat")
    try real.rename(name, in: directory, to: newName, in: newDirectory, rule)
  }
  func link(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?
  ) throws(ErrorNumber) {
    try count("linkat")
    try real.link(name, in: directory, to: newName, in: newDirectory)
  }
  func makeSymbolicLink(
    _ name: String, in directory: Descriptor?, destination: String
  ) throws(ErrorNumber) { throw .notImplemented }
  func readLink(_ name: String, in directory: Descriptor?) throws(ErrorNumber) -> String {
    throw .notImplemented
  }
  func unlink(_ name: String, in directory: Descriptor?) throws(ErrorNumber) {
    try count("unlinkat")
    try real.unlink(name, in: directory)
  }
  func makeDirectory(
    _ name: String, in directory: Descriptor?, mode: FileMode
  ) throws(ErrorNumber) { throw .notImplemented }
  func removeDirectory(_ name: String, in directory: Descriptor?) throws(ErrorNumber) {
    throw .notImplemented
  }
  func entries(of directory: Descriptor) throws(ErrorNumber) -> [String] { throw .notImplemented }
}
