internal import ReliabilityIO

/// The temporary file of one save, from its creation to its publication or removal.
///
/// Removed by its `deinit` unless it was published, whatever path led there.
struct TemporaryFile: ~Copyable {
  var target: Target
  let file: OpenFile
  let name: String
  let options: AtomicFile.Options
  /// What the file was when it was made, which says owner and mode without another call.
  let created: FileStatus
  /// How many bytes it holds for the caller.
  ///
  /// After a failed write the file itself may be longer.
  private(set) var size: Int64 = 0
  /// Whether the name is in the directory and ours to remove.
  var isNamed = true
  /// The checksum of what was appended; `nil` when it is not known without reading the file.
  private var runningChecksum: CRC32C? = CRC32C()
  /// The error after which nothing in the file can be trusted.
  private var failure: StoreError?

  var path: String { joinPath(target.directory.path, name) }

  /// Makes the temporary file beside the file that a path leads to.
  init(
    for path: String, options: AtomicFile.Options, fileSystem: FileSystem
  ) throws(StoreError) {
    try self.init(
      target: Target(path, options: options, fileSystem: fileSystem), options: options)
  }

  /// Makes the temporary file for a target that was looked at.
  init(target: consuming Target, options: AtomicFile.Options) throws(StoreError) {
    // The kernel applies umask and default access control list to a new file. One that will get a mode of its
    // own stays private until then.
    let mode: FileMode = target.existing == nil && options.mode == nil ? 0o666 : 0o600
    let made = try LockedFile(in: target.directory, for: target.name, mode: mode, path: target.path)
    self.target = target
    self.options = options
    name = made.name
    created = made.status
    file = made.file
  }

  deinit {
    if isNamed { try? target.directory.unlink(name) }
  }

  /// Removes the name.
  ///
  /// - Returns: Why it is still there, with its path.
  mutating func remove() -> SystemCallError? {
    guard isNamed else { return nil }
    isNamed = false
    return target.directory.remove(name)
  }

  /// Removes the name and says so in the error.
  mutating func abandon(_ code: StoreError.Code, _ cause: SystemCallError?) -> StoreError {
    StoreError(code, path: target.path, cause: cause, leftover: remove()?.path)
  }

  /// Removes the file for good.
  mutating func discard() throws(StoreError) {
    if let reason = remove() {
      throw StoreError(.callFailed, path: target.path, cause: reason, leftover: reason.path)
    }
  }

  /// Looks again at what is to be replaced: a file written in pieces takes a while.
  ///
  /// What has gone meanwhile still lends its owner and mode to the new file.
  mutating func refreshTarget() throws(StoreError) {
    try requireTrusted()
    do throws(StoreError) {
      try target.refresh(options: options)
    } catch {
      throw abandon(error.code, error.cause)
    }
  }

  /// Throws the error that made the content untrustworthy, and removes the file.
  mutating func requireTrusted() throws(StoreError) {
    guard let failure else { return }
    throw abandon(failure.code, failure.cause)
  }

  /// Adds bytes at the end.
  ///
  /// After an error the size is what it was; the same bytes may be appended again.
  mutating func append(_ bytes: Span<UInt8>) throws(StoreError) {
    try requireTrusted()
    do throws(SystemCallError) {
      try file.writeAll(bytes, at: size)
      size += Int64(bytes.count)
      if options.recordsChecksum { runningChecksum?.update(bytes) }
    } catch {
      let reason = StoreError(.writing(error), path: target.path, cause: error)
      // A part of the bytes may be there. Published, it would be content nobody wrote.
      do throws(SystemCallError) { try file.truncate(to: size) } catch { failure = reason }
      throw reason
    }
  }

  /// Cuts the file to a smaller size.
  mutating func truncate(to newSize: Int64) throws(StoreError) {
    try requireTrusted()
    precondition(newSize >= 0 && newSize <= size, "a file can only be cut to 0...size bytes")
    do throws(SystemCallError) {
      try file.truncate(to: newSize)
      if newSize != size { runningChecksum = newSize == 0 ? CRC32C() : nil }
      size = newSize
    } catch {
      // How much is left is anyone's guess: ext4 for one shrinks the file before it frees the blocks, and fails then.
      let reason = StoreError(.writing(error), path: target.path, cause: error)
      failure = reason
      throw reason
    }
  }

  /// The checksum of the whole content.
  func contentChecksum() throws(SystemCallError) -> UInt32 {
    if let runningChecksum { return runningChecksum.value }
    var checksum = CRC32C()
    var offset: Int64 = 0
    while offset < size {
      let piece = try [UInt8](capacity: Int(min(size - offset, 1 << 20))) {
        (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
        try file.readAll(into: &buffer, at: offset)
      }
      if piece.isEmpty { throw SystemCallError(.inputOutput, call: "read", path: path) }
      checksum.update(piece.span)
      offset += Int64(piece.count)
    }
    return checksum.value
  }

  /// Reads what was appended, into the buffer's free capacity or up to the end.
  func read(into buffer: inout OutputSpan<UInt8>, at offset: Int64) throws(StoreError) {
    do throws(SystemCallError) {
      try file.readAll(into: &buffer, at: offset)
    } catch {
      throw StoreError(.callFailed, path: target.path, cause: error)
    }
  }
}

extension StoreError.Code {
  /// The code for an error of a call that makes or writes the temporary file.
  static func writing(_ error: SystemCallError) -> StoreError.Code {
    switch error.number {
    case .noSpace, .quotaExceeded: .outOfSpace
    case .fileTooLarge: .fileTooLarge
    default: .callFailed
    }
  }
}

extension OpenDirectory {
  /// Removes a name, which may be gone already.
  ///
  /// - Returns: Why it is still there, with its path.
  borrowing func remove(_ name: String) -> SystemCallError? {
    do throws(SystemCallError) {
      try unlink(name)
      return nil
    } catch {
      return error.number == .notFound ? nil : error
    }
  }
}
