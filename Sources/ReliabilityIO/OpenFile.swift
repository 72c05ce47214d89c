/// An open file: whole reads and writes, errors that say call and path.
///
/// It closes itself when its life ends, on every path out of a function. What close itself reports is ignored: by
/// then a file that matters was synced, and a close may not be repeated.
package struct OpenFile: ~Copyable, Sendable {
  package let fileSystem: FileSystem
  package let descriptor: Descriptor
  /// The path it was opened by, for messages.
  package let path: String

  /// The most bytes one call asks for.
  ///
  /// Linux itself stops at 0x7ffff000, and other systems fail beyond `Int32.max`.
  package static let maximumTransfer = 1 << 30

  /// Takes over an open descriptor.
  package init(fileSystem: FileSystem, descriptor: Descriptor, path: String) {
    self.fileSystem = fileSystem
    self.descriptor = descriptor
    self.path = path
  }

  /// Opens a file relative to the working directory.
  package init(
    _ path: String, _ flags: OpenFlags, mode: FileMode = 0o666, fileSystem: FileSystem
  ) throws(SystemCallError) {
    let descriptor = try fileSystem.perform("open", path) { backend throws(ErrorNumber) in
      try backend.open(path, in: nil, flags, mode: mode)
    }
    self.init(fileSystem: fileSystem, descriptor: descriptor, path: path)
  }

  deinit {
    try? fileSystem.backend.close(descriptor)
  }

  /// Writes every byte at an offset, however few a single call takes.
  ///
  /// After an error any part of the bytes may have been written. A call that writes nothing and reports nothing
  /// is an `EIO`.
  package func writeAll(_ bytes: Span<UInt8>, at offset: Int64) throws(SystemCallError) {
    var done = 0
    while done < bytes.count {
      let count = min(bytes.count - done, OpenFile.maximumTransfer)
      var written = 0
      do throws(ErrorNumber) {
        written = try fileSystem.backend.write(
          descriptor, bytes.extracting(done..<(done + count)), at: offset + Int64(done))
        if written <= 0 { throw .inputOutput }
      } catch {
        if error == .interrupted { continue }
        throw SystemCallError(error, call: "write", path: path)
      }
      done += written
    }
  }

  /// Fills the buffer's free capacity from an offset, or less at the end of the file.
  package func readAll(
    into buffer: inout OutputSpan<UInt8>, at offset: Int64
  ) throws(SystemCallError) {
    var position = offset
    while !buffer.isFull {
      do throws(ErrorNumber) {
        let count = try fileSystem.backend.read(descriptor, into: &buffer, at: position)
        if count == 0 { return }
        position += Int64(count)
      } catch {
        if error == .interrupted { continue }
        throw SystemCallError(error, call: "read", path: path)
      }
    }
  }

  package func truncate(to size: Int64) throws(SystemCallError) {
    try fileSystem.perform("ftruncate", path) { backend throws(ErrorNumber) in
      try backend.truncate(descriptor, to: size)
    }
  }

  /// Syncs the file.
  ///
  /// A failure is final: the kernel may have dropped the pages and would report success the next time, so
  /// the file must be abandoned, never synced again.
  package func sync(_ kind: SyncKind) throws(SystemCallError) {
    try fileSystem.perform("fsync", path) { backend throws(ErrorNumber) in
      try backend.sync(descriptor, kind)
    }
  }

  /// Makes a network file system hand over what it still holds back, as closing would, without giving up the
  /// descriptor and its lock.
  package func flushAsClosing() throws(SystemCallError) {
    let copy = try fileSystem.perform("dup", path) { backend throws(ErrorNumber) in
      try backend.duplicate(descriptor)
    }
    do throws(ErrorNumber) {
      try fileSystem.backend.close(copy)
    } catch {
      if error != .interrupted { throw SystemCallError(error, call: "close", path: path) }
    }
  }

  package func status() throws(SystemCallError) -> FileStatus {
    try fileSystem.perform("fstat", path) { backend throws(ErrorNumber) in
      try backend.status(descriptor)
    }
  }

  package func setMode(_ mode: FileMode) throws(SystemCallError) {
    try fileSystem.perform("fchmod", path) { backend throws(ErrorNumber) in
      try backend.setMode(descriptor, mode)
    }
  }

  package func setOwner(user: UInt32?, group: UInt32?) throws(SystemCallError) {
    try fileSystem.perform("fchown", path) { backend throws(ErrorNumber) in
      try backend.setOwner(descriptor, user: user, group: group)
    }
  }

  package func lock(_ operation: LockOperation) throws(SystemCallError) {
    try fileSystem.perform("flock", path) { backend throws(ErrorNumber) in
      try backend.lock(descriptor, operation)
    }
  }

  /// As ``lock(_:)``, but waits without a bound: only on a thread that is there for it.
  package func lockWaiting(_ operation: LockOperation) throws(SystemCallError) {
    try fileSystem.perform("flock", path) { backend throws(ErrorNumber) in
      try backend.lockWaiting(descriptor, operation)
    }
  }

  /// Locks a range of bytes, or gives it up; see ``FileSystemBackend/lockRange(_:_:_:waits:)``.
  package func lockRange(
    _ range: Range<Int64>, _ operation: LockOperation, waits: Bool
  ) throws(SystemCallError) {
    try fileSystem.perform("fcntl", path) { backend throws(ErrorNumber) in
      try backend.lockRange(descriptor, range, operation, waits: waits)
    }
  }

  /// Whether another open file holds a lock in a range that excludes this one.
  package func isRangeLocked(
    _ range: Range<Int64>, against operation: LockOperation
  ) throws(SystemCallError) -> Bool {
    try fileSystem.perform("fcntl", path) { backend throws(ErrorNumber) in
      try backend.isRangeLocked(descriptor, range, against: operation)
    }
  }

  package func attributeNames() throws(SystemCallError) -> [String] {
    try fileSystem.perform("flistxattr", path) { backend throws(ErrorNumber) in
      try backend.attributeNames(descriptor)
    }
  }

  package func attribute(_ name: String) throws(SystemCallError) -> [UInt8] {
    try fileSystem.perform("fgetxattr", path) { backend throws(ErrorNumber) in
      try backend.attribute(descriptor, name)
    }
  }

  package func setAttribute(_ name: String, _ value: [UInt8]) throws(SystemCallError) {
    try fileSystem.perform("fsetxattr", path) { backend throws(ErrorNumber) in
      try backend.setAttribute(descriptor, name, value.span)
    }
  }

  package func removeAttribute(_ name: String) throws(SystemCallError) {
    try fileSystem.perform("fremovexattr", path) { backend throws(ErrorNumber) in
      try backend.removeAttribute(descriptor, name)
    }
  }
}
