package import ReliabilityIO

/// A file system on top of another: it implements the calls that it changes, the others go through.
package protocol ForwardingFileSystem: FileSystemBackend {
  var base: any FileSystemBackend { get }

  /// Called before each call that goes through; throws what the call is to fail with.
  ///
  /// - Parameter call: Its name in C; an `open` that may create a file is called `create`, one of a directory `opendir`.
  func willCall(_ call: String) throws(ErrorNumber)
}

extension ForwardingFileSystem {
  package func willCall(_ call: String) throws(ErrorNumber) {}

  package func open(
    _ name: String, in directory: Descriptor?, _ flags: OpenFlags, mode: FileMode
  ) throws(ErrorNumber) -> Descriptor {
    try willCall(
      flags.contains(.directory) ? "opendir" : flags.contains(.create) ? "create" : "open")
    return try base.open(name, in: directory, flags, mode: mode)
  }

  package func close(_ file: Descriptor) throws(ErrorNumber) {
    try willCall("close")
    try base.close(file)
  }

  package func duplicate(_ file: Descriptor) throws(ErrorNumber) -> Descriptor {
    try willCall("dup")
    return try base.duplicate(file)
  }

  package func read(
    _ file: Descriptor, into buffer: inout OutputSpan<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int {
    try willCall("read")
    return try base.read(file, into: &buffer, at: offset)
  }

  package func write(
    _ file: Descriptor, _ bytes: Span<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int {
    try willCall("write")
    return try base.write(file, bytes, at: offset)
  }

  package func truncate(_ file: Descriptor, to size: Int64) throws(ErrorNumber) {
    try willCall("truncate")
    try base.truncate(file, to: size)
  }

  package func sync(_ file: Descriptor, _ kind: SyncKind) throws(ErrorNumber) {
    try willCall("fsync")
    try base.sync(file, kind)
  }

  package func status(_ file: Descriptor) throws(ErrorNumber) -> FileStatus {
    try willCall("fstat")
    return try base.status(file)
  }

  package func status(
    of name: String, in directory: Descriptor?, followingLink: Bool
  ) throws(ErrorNumber) -> FileStatus {
    try willCall("fstatat")
    return try base.status(of: name, in: directory, followingLink: followingLink)
  }

  package func setMode(_ file: Descriptor, _ mode: FileMode) throws(ErrorNumber) {
    try willCall("fchmod")
    try base.setMode(file, mode)
  }

  package func setOwner(_ file: Descriptor, user: UInt32?, group: UInt32?) throws(ErrorNumber) {
    try willCall("fchown")
    try base.setOwner(file, user: user, group: group)
  }

  package func lock(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber) {
    try willCall("flock")
    try base.lock(file, operation)
  }

  package func lockWaiting(_ file: Descriptor, _ operation: LockOperation) throws(ErrorNumber) {
    try willCall("flock")
    try base.lockWaiting(file, operation)
  }

  package func lockRange(
    _ file: Descriptor, _ range: Range<Int64>, _ operation: LockOperation, waits: Bool
  ) throws(ErrorNumber) {
    try willCall("fcntl")
    try base.lockRange(file, range, operation, waits: waits)
  }

  package func isRangeLocked(
    _ file: Descriptor, _ range: Range<Int64>, against operation: LockOperation
  ) throws(ErrorNumber) -> Bool {
    try willCall("fcntl")
    return try base.isRangeLocked(file, range, against: operation)
  }

  package func touch(_ file: Descriptor) throws(ErrorNumber) {
    try willCall("futimens")
    try base.touch(file)
  }

  package func kind(of file: Descriptor) throws(ErrorNumber) -> FileSystemKind {
    try willCall("fstatfs")
    return try base.kind(of: file)
  }

  package func attributeNames(_ file: Descriptor) throws(ErrorNumber) -> [String] {
    try willCall("flistxattr")
    return try base.attributeNames(file)
  }

  package func attribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) -> [UInt8] {
    try willCall("fgetxattr")
    return try base.attribute(file, name)
  }

  package func setAttribute(
    _ file: Descriptor, _ name: String, _ value: Span<UInt8>
  ) throws(ErrorNumber) {
    try willCall("fsetxattr")
    try base.setAttribute(file, name, value)
  }

  package func removeAttribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) {
    try willCall("fremovexattr")
    try base.removeAttribute(file, name)
  }

  package func rename(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?,
    _ rule: RenameRule
  ) throws(ErrorNumber) {
    try willCall(rule == .replace ? "rename" : "renameat2")
    try base.rename(name, in: directory, to: newName, in: newDirectory, rule)
  }

  package func link(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?
  ) throws(ErrorNumber) {
    try willCall("link")
    try base.link(name, in: directory, to: newName, in: newDirectory)
  }

  package func makeSymbolicLink(
    _ name: String, in directory: Descriptor?, destination: String
  ) throws(ErrorNumber) {
    try willCall("symlink")
    try base.makeSymbolicLink(name, in: directory, destination: destination)
  }

  package func readLink(_ name: String, in directory: Descriptor?) throws(ErrorNumber) -> String {
    try willCall("readlink")
    return try base.readLink(name, in: directory)
  }

  package func unlink(_ name: String, in directory: Descriptor?) throws(ErrorNumber) {
    try willCall("unlink")
    try base.unlink(name, in: directory)
  }

  package func makeDirectory(
    _ name: String, in directory: Descriptor?, mode: FileMode
  ) throws(ErrorNumber) {
    try willCall("mkdir")
    try base.makeDirectory(name, in: directory, mode: mode)
  }

  package func removeDirectory(_ name: String, in directory: Descriptor?) throws(ErrorNumber) {
    try willCall("rmdir")
    try base.removeDirectory(name, in: directory)
  }

  package func entries(of directory: Descriptor) throws(ErrorNumber) -> [String] {
    try willCall("readdir")
    return try base.entries(of: directory)
  }

  package var processIdentifier: Int32 { base.processIdentifier }
  package func randomBits() -> UInt64 { base.randomBits() }
  package var effectiveUser: UInt32? { base.effectiveUser }
}
