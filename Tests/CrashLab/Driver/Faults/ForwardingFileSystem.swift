import ReliabilityIO

/// A file system on top of another: it implements the calls that it changes, the others go through.
protocol ForwardingFileSystem: FileSystemBackend {
  var base: any FileSystemBackend { get }
}

extension ForwardingFileSystem {
  func open(
    _ name: String, in directory: Descriptor?, _ flags: OpenFlags, mode: FileMode
  ) throws(ErrorNumber) -> Descriptor {
    try base.open(name, in: directory, flags, mode: mode)
  }

  func close(_ file: Descriptor) throws(ErrorNumber) { try base.close(file) }

  func duplicate(_ file: Descriptor) throws(ErrorNumber) -> Descriptor { try base.duplicate(file) }

  func read(
    _ file: Descriptor, into buffer: inout OutputSpan<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int {
    try base.read(file, into: &buffer, at: offset)
  }

  func write(
    _ file: Descriptor, _ bytes: Span<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int {
    try base.write(file, bytes, at: offset)
  }

  func truncate(_ file: Descriptor, to size: Int64) throws(ErrorNumber) {
    try base.truncate(file, to: size)
  }

  func sync(_ file: Descriptor, _ kind: SyncKind) throws(ErrorNumber) { try base.sync(file, kind) }

  func status(_ file: Descriptor) throws(ErrorNumber) -> FileStatus { try base.status(file) }

  func status(
    of name: String, in directory: Descriptor?, followingLink: Bool
  ) throws(ErrorNumber) -> FileStatus {
    try base.status(of: name, in: directory, followingLink: followingLink)
  }

  func setMode(_ file: Descriptor, _ mode: FileMode) throws(ErrorNumber) {
    try base.setMode(file, mode)
  }

  func setOwner(_ file: Descriptor, user: UInt32?, group: UInt32?) throws(ErrorNumber) {
    try base.setOwner(file, user: user, group: group)
  }

  func lock(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber) {
    try base.lock(file, operation)
  }

  func lockRange(
    _ file: Descriptor, _ range: Range<Int64>, _ operation: LockOperation, waits: Bool
  ) throws(ErrorNumber) {
    try base.lockRange(file, range, operation, waits: waits)
  }

  func isRangeLocked(
    _ file: Descriptor, _ range: Range<Int64>, against operation: LockOperation
  ) throws(ErrorNumber) -> Bool {
    try base.isRangeLocked(file, range, against: operation)
  }

  func lockWaiting(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber) {
    try base.lockWaiting(file, operation)
  }

  func touch(_ file: Descriptor) throws(ErrorNumber) { try base.touch(file) }

  func kind(of file: Descriptor) throws(ErrorNumber) -> FileSystemKind { try base.kind(of: file) }

  func attributeNames(_ file: Descriptor) throws(ErrorNumber) -> [String] {
    try base.attributeNames(file)
  }

  func attribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) -> [UInt8] {
    try base.attribute(file, name)
  }

  func setAttribute(
    _ file: Descriptor, _ name: String, _ value: Span<UInt8>
  ) throws(ErrorNumber) {
    try base.setAttribute(file, name, value)
  }

  func removeAttribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) {
    try base.removeAttribute(file, name)
  }

  func rename(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?,
    _ rule: RenameRule
  ) throws(ErrorNumber) {
    try base.rename(name, in: directory, to: newName, in: newDirectory, rule)
  }

  func link(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?
  ) throws(ErrorNumber) {
    try base.link(name, in: directory, to: newName, in: newDirectory)
  }

  func makeSymbolicLink(
    _ name: String, in directory: Descriptor?, destination: String
  ) throws(ErrorNumber) {
    try base.makeSymbolicLink(name, in: directory, destination: destination)
  }

  func readLink(_ name: String, in directory: Descriptor?) throws(ErrorNumber) -> String {
    try base.readLink(name, in: directory)
  }

  func unlink(_ name: String, in directory: Descriptor?) throws(ErrorNumber) {
    try base.unlink(name, in: directory)
  }

  func makeDirectory(
    _ name: String, in directory: Descriptor?, mode: FileMode
  ) throws(ErrorNumber) {
    try base.makeDirectory(name, in: directory, mode: mode)
  }

  func removeDirectory(_ name: String, in directory: Descriptor?) throws(ErrorNumber) {
    try base.removeDirectory(name, in: directory)
  }

  func entries(of directory: Descriptor) throws(ErrorNumber) -> [String] {
    try base.entries(of: directory)
  }

  var processIdentifier: Int32 { base.processIdentifier }
  func randomBits() -> UInt64 { base.randomBits() }
  var effectiveUser: UInt32? { base.effectiveUser }
}
