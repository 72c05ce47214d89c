import ReliabilityIO

/// The real file system, except that its locks or its kind are not what they are.
struct LyingFileSystem: FileSystemBackend {
  enum Locks: Sendable {
    case real, refused, givenToAll
  }

  let locks: Locks
  var kind: FileSystemKind?
  private let real = RealFileSystem()

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
    try lock { () throws(ErrorNumber) in try real.lock(file, operation) }
  }
  func lockWaiting(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber) {
    try lock { () throws(ErrorNumber) in try real.lockWaiting(file, operation) }
  }
  func lockRange(
    _ file: Descriptor, _ range: Range<Int64>, _ operation: LockOperation, waits: Bool
  ) throws(ErrorNumber) {
    try lock { () throws(ErrorNumber) in
      try real.lockRange(file, range, operation, waits: waits)
    }
  }
  func kind(of file: Descriptor) throws(ErrorNumber) -> FileSystemKind {
    if let kind { return kind }
    return try real.kind(of: file)
  }

  func open(
    _ name: String, in directory: Descriptor?, _ flags: OpenFlags, mode: FileMode
  ) throws(ErrorNumber) -> Descriptor {
    try real.open(name, in: directory, flags, mode: mode)
  }
  func close(_ file: Descriptor) throws(ErrorNumber) { try real.close(file) }
  func duplicate(_ file: Descriptor) throws(ErrorNumber) -> Descriptor { try real.duplicate(file) }
  func read(
    _ file: Descriptor, into buffer: inout OutputSpan<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int { try real.read(file, into: &buffer, at: offset) }
  func write(
    _ file: Descriptor, _ bytes: Span<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int { try real.write(file, bytes, at: offset) }
  func truncate(_ file: Descriptor, to size: Int64) throws(ErrorNumber) {
    try real.truncate(file, to: size)
  }
  func sync(_ file: Descriptor, _ kind: SyncKind) throws(ErrorNumber) { try real.sync(file, kind) }
  func status(_ file: Descriptor) throws(ErrorNumber) -> FileStatus { try real.status(file) }
  func status(
    of name: String, in directory: Descriptor?, followingLink: Bool
  ) throws(ErrorNumber) -> FileStatus {
    try real.status(of: name, in: directory, followingLink: followingLink)
  }
  func setMode(_ file: Descriptor, _ mode: FileMode) throws(ErrorNumber) {
    try real.setMode(file, mode)
  }
  func setOwner(_ file: Descriptor, user: UInt32?, group: UInt32?) throws(ErrorNumber) {
    try real.setOwner(file, user: user, group: group)
  }
  func isRangeLocked(
    _ file: Descriptor, _ range: Range<Int64>, against operation: LockOperation
  ) throws(ErrorNumber) -> Bool { try real.isRangeLocked(file, range, against: operation) }
  func touch(_ file: Descriptor) throws(ErrorNumber) { try real.touch(file) }
  func attributeNames(_ file: Descriptor) throws(ErrorNumber) -> [String] {
    try real.attributeNames(file)
  }
  func attribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) -> [UInt8] {
    try real.attribute(file, name)
  }
  func setAttribute(
    _ file: Descriptor, _ name: String, _ value: Span<UInt8>
  ) throws(ErrorNumber) { try real.setAttribute(file, name, value) }
  func removeAttribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) {
    try real.removeAttribute(file, name)
  }
  func rename(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?,
    _ rule: RenameRule
  ) throws(ErrorNumber) {
    try real.rename(name, in: directory, to: newName, in: newDirectory, rule)
  }
  func link(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?
  ) throws(ErrorNumber) {
    try real.link(name, in: directory, to: newName, in: newDirectory)
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
    try real.unlink(name, in: directory)
  }
  func makeDirectory(
    _ name: String, in directory: Descriptor?, mode: FileMode
  ) throws(ErrorNumber) { try real.makeDirectory(name, in: directory, mode: mode) }
  func removeDirectory(_ name: String, in directory: Descriptor?) throws(ErrorNumber) {
    try real.removeDirectory(name, in: directory)
  }
  func entries(of directory: Descriptor) throws(ErrorNumber) -> [String] {
    try real.entries(of: directory)
  }
  var processIdentifier: Int32 { real.processIdentifier }
  func randomBits() -> UInt64 { real.randomBits() }
}
