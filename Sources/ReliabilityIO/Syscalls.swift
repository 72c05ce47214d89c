internal import CReliability

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  // Compiled, not run: unverified.
  internal import Darwin
#elseif canImport(Musl)
  // Compiled, not run: unverified.
  internal import Musl
#else
  #error("ReliabilityIO has no file system calls for this platform")
#endif

/// The machine's file system: the only place in the package that calls the C library for files.
///
/// One function a system call, one attempt each; see ``FileSystemBackend`` for where policy lives.
package struct RealFileSystem: FileSystemBackend {
  package init() {}

  package func open(
    _ name: String, in directory: Descriptor?, _ flags: OpenFlags, mode: FileMode
  ) throws(ErrorNumber) -> Descriptor {
    let result = try unsafe path(name) { name in
      unsafe outcome(openat(base(directory), name, flags.platformFlags, mode_t(mode.rawValue)))
    }
    let opened = Descriptor(rawValue: result)
    guard result <= STDERR_FILENO else { return opened }
    // The process was started without a standard stream. Whatever prints would write into this file.
    defer { try? close(opened) }
    do throws(ErrorNumber) {
      return try duplicate(opened)
    } catch {
      if flags.isSuperset(of: [.create, .exclusive]) { try? unlink(name, in: directory) }
      throw error
    }
  }

  package func close(_ file: Descriptor) throws(ErrorNumber) {
    #if canImport(Glibc)
      try check(outcome(Glibc.close(file.rawValue)))
    #elseif canImport(Darwin)
      try check(outcome(Darwin.close(file.rawValue)))
    #elseif canImport(Musl)
      try check(outcome(Musl.close(file.rawValue)))
    #endif
  }

  package func duplicate(_ file: Descriptor) throws(ErrorNumber) -> Descriptor {
    let lowest = STDERR_FILENO + 1
    return Descriptor(rawValue: try check(outcome(fcntl(file.rawValue, F_DUPFD_CLOEXEC, lowest))))
  }

  package func read(
    _ file: Descriptor, into buffer: inout OutputSpan<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int {
    let free = min(buffer.freeCapacity, OpenFile.maximumTransfer)
    let result = unsafe buffer.withUnsafeMutableBufferPointer { bytes, count in
      let start = unsafe bytes.baseAddress.map { unsafe UnsafeMutableRawPointer($0 + count) }
      let result =
        if let offset {
          unsafe outcome(pread(file.rawValue, start, free, off_t(offset)))
        } else {
          unsafe outcome(systemRead(file.rawValue, start, free))
        }
      count += max(result, 0)
      return result
    }
    return try check(result)
  }

  package func write(
    _ file: Descriptor, _ bytes: Span<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int {
    let result = unsafe bytes.withUnsafeBytes { bytes in
      if let offset {
        unsafe outcome(pwrite(file.rawValue, bytes.baseAddress, bytes.count, off_t(offset)))
      } else {
        unsafe outcome(systemWrite(file.rawValue, bytes.baseAddress, bytes.count))
      }
    }
    return try check(result)
  }

  package func truncate(_ file: Descriptor, to size: Int64) throws(ErrorNumber) {
    try check(outcome(ftruncate(file.rawValue, off_t(size))))
  }

  package func sync(_ file: Descriptor, _ kind: SyncKind) throws(ErrorNumber) {
    #if canImport(Darwin)
      // fsync only reaches the drive's cache there. The stronger calls are refused by some file systems, with
      // ENOTSUP or EINVAL; any other error is a failed sync and must not be asked again.
      let command = kind == .barrier ? F_BARRIERFSYNC : F_FULLFSYNC
      let result = outcome(fcntl(file.rawValue, command))
      if result != -ENOTSUP && result != -EINVAL && result != -ENOTTY {
        try check(result)
        return
      }
      try check(outcome(fsync(file.rawValue)))
    #else
      switch kind {
      case .full, .barrier: try check(outcome(fsync(file.rawValue)))
      case .data: try check(outcome(creliability_fdatasync(file.rawValue)))
      }
    #endif
  }

  package func status(_ file: Descriptor) throws(ErrorNumber) -> FileStatus {
    var result = stat()
    try check(unsafe outcome(fstat(file.rawValue, &result)))
    return FileStatus(result)
  }

  package func status(
    of name: String, in directory: Descriptor?, followingLink: Bool
  ) throws(ErrorNumber) -> FileStatus {
    var result = stat()
    let flags = followingLink ? 0 : AT_SYMLINK_NOFOLLOW
    _ = try unsafe path(name) { name in
      unsafe outcome(fstatat(base(directory), name, &result, flags))
    }
    return FileStatus(result)
  }

  package func setMode(_ file: Descriptor, _ mode: FileMode) throws(ErrorNumber) {
    try check(outcome(fchmod(file.rawValue, mode_t(mode.rawValue))))
  }

  package func setOwner(_ file: Descriptor, user: UInt32?, group: UInt32?) throws(ErrorNumber) {
    // (uid_t)-1 leaves it alone.
    try check(outcome(fchown(file.rawValue, user ?? .max, group ?? .max)))
  }

  package func rename(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?,
    _ rule: RenameRule
  ) throws(ErrorNumber) {
    try unsafe paths(name, newName) { name, newName in
      let (from, to) = (base(directory), base(newDirectory))
      return switch rule {
      case .replace: unsafe outcome(renameat(from, name, to, newName))
      case .noReplace: unsafe outcome(creliability_rename_noreplace(from, name, to, newName))
      case .exchange: unsafe outcome(creliability_rename_exchange(from, name, to, newName))
      }
    }
  }

  package func link(
    _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?
  ) throws(ErrorNumber) {
    try unsafe paths(name, newName) { name, newName in
      unsafe outcome(linkat(base(directory), name, base(newDirectory), newName, 0))
    }
  }

  package func makeSymbolicLink(
    _ name: String, in directory: Descriptor?, destination: String
  ) throws(ErrorNumber) {
    try unsafe paths(destination, name) { destination, name in
      unsafe outcome(symlinkat(destination, base(directory), name))
    }
  }

  package func readLink(_ name: String, in directory: Descriptor?) throws(ErrorNumber) -> String {
    // PATH_MAX bounds what a kernel gives; a result that fills the buffer was cut.
    let capacity = 4097
    var destination = [UInt8](repeating: 0, count: capacity)
    let count = try unsafe path(name) { name in
      unsafe destination.withUnsafeMutableBytes { buffer in
        let start = unsafe buffer.bindMemory(to: CChar.self).baseAddress
        return unsafe start.map { unsafe outcome(readlinkat(base(directory), name, $0, capacity)) }
          ?? 0
      }
    }
    if count == capacity { throw .nameTooLong }
    guard let text = String(validating: destination[..<count], as: UTF8.self) else {
      throw .illegalByteSequence
    }
    return text
  }

  package func unlink(_ name: String, in directory: Descriptor?) throws(ErrorNumber) {
    _ = try unsafe path(name) { name in unsafe outcome(unlinkat(base(directory), name, 0)) }
  }

  package func makeDirectory(
    _ name: String, in directory: Descriptor?, mode: FileMode
  ) throws(ErrorNumber) {
    _ = try unsafe path(name) { name in
      unsafe outcome(mkdirat(base(directory), name, mode_t(mode.rawValue)))
    }
  }

  package func removeDirectory(_ name: String, in directory: Descriptor?) throws(ErrorNumber) {
    _ = try unsafe path(name) { name in
      unsafe outcome(unlinkat(base(directory), name, AT_REMOVEDIR))
    }
  }

  package func entries(of directory: Descriptor) throws(ErrorNumber) -> [String] {
    // A descriptor of its own: reading moves the position, and closedir closes.
    let copy = try open(".", in: directory, [.read, .directory], mode: 0)
    guard let stream = unsafe fdopendir(copy.rawValue) else {
      let reason = ErrorNumber(rawValue: errno)
      try? close(copy)
      throw reason
    }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = unsafe readdir(stream) else {
        if errno != 0 { throw ErrorNumber(rawValue: errno) }
        return names
      }
      // The name may be longer than the declared array, or its record shorter: read it in place.
      guard let offset = MemoryLayout<dirent>.offset(of: \.d_name) else { throw .notImplemented }
      let bytes = unsafe UnsafeRawPointer(entry).advanced(by: offset)
        .assumingMemoryBound(to: CChar.self)
      if let name = unsafe String(validatingCString: bytes), name != ".", name != ".." {
        names.append(name)
      }
    }
  }

  package var processIdentifier: Int32 { getpid() }

  package var effectiveUser: UInt32? { geteuid() }

  package func randomBits() -> UInt64 {
    var generator = SystemRandomNumberGenerator()
    return generator.next()
  }
}

/// The result of a call, or its error number negated: one value, taken before anything can change `errno`.
@inline(__always)
func outcome<I: FixedWidthInteger & SignedInteger>(_ result: I) -> I {
  result == -1 ? I(-errno) : result
}

/// Throws what ``outcome(_:)`` kept.
@discardableResult @inline(__always)
func check<I: FixedWidthInteger & SignedInteger>(_ outcome: I) throws(ErrorNumber) -> I {
  if outcome < 0 { throw ErrorNumber(rawValue: Int32(-outcome)) }
  return outcome
}

@inline(__always)
private func base(_ directory: Descriptor?) -> Int32 { directory?.rawValue ?? AT_FDCWD }

/// Hands a path to a call.
///
/// The kernel would stop at a NUL and use another file, so a path with one is refused.
@inline(__always)
func path<I: FixedWidthInteger & SignedInteger>(
  _ path: String, _ call: (UnsafePointer<CChar>) -> I
) throws(ErrorNumber) -> I {
  let count = path.utf8.count
  return try check(
    unsafe path.withCString { pointer in
      unsafe strlen(pointer) == count ? call(pointer) : I(-EILSEQ)
    })
}

@inline(__always)
private func paths(
  _ first: String, _ second: String,
  _ call: (UnsafePointer<CChar>, UnsafePointer<CChar>) -> Int32
) throws(ErrorNumber) {
  let counts = (first.utf8.count, second.utf8.count)
  try check(
    unsafe first.withCString { first in
      unsafe second.withCString { second in
        unsafe strlen(first) == counts.0 && strlen(second) == counts.1
          ? call(first, second) : -EILSEQ
      }
    })
}

private func systemRead(_ file: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int) -> Int {
  #if canImport(Glibc)
    unsafe Glibc.read(file, buffer, count)
  #elseif canImport(Darwin)
    unsafe Darwin.read(file, buffer, count)
  #elseif canImport(Musl)
    unsafe Musl.read(file, buffer, count)
  #endif
}

private func systemWrite(_ file: Int32, _ buffer: UnsafeRawPointer?, _ count: Int) -> Int {
  #if canImport(Glibc)
    unsafe Glibc.write(file, buffer, count)
  #elseif canImport(Darwin)
    unsafe Darwin.write(file, buffer, count)
  #elseif canImport(Musl)
    unsafe Musl.write(file, buffer, count)
  #endif
}

extension OpenFlags {
  fileprivate var platformFlags: Int32 {
    var flags =
      contains(.nameOnly)
      ? creliability_open_path_flag()
      : contains(.write) ? (contains(.read) ? O_RDWR : O_WRONLY) : O_RDONLY
    flags |= O_CLOEXEC
    if contains(.create) { flags |= O_CREAT }
    if contains(.exclusive) { flags |= O_EXCL }
    if contains(.noFollow) { flags |= O_NOFOLLOW }
    if contains(.nonBlocking) { flags |= O_NONBLOCK }
    if contains(.directory) { flags |= O_DIRECTORY }
    if contains(.append) { flags |= O_APPEND }
    return flags
  }
}

extension FileStatus {
  fileprivate init(_ status: stat) {
    #if canImport(Darwin)
      let (modified, changed) = (status.st_mtimespec, status.st_ctimespec)
    #else
      let (modified, changed) = (status.st_mtim, status.st_ctim)
    #endif
    func nanoseconds(_ time: timespec) -> Int64 {
      Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
    let kind: Kind =
      switch status.st_mode & S_IFMT {
      case S_IFREG: .regular
      case S_IFDIR: .directory
      case S_IFLNK: .symbolicLink
      case S_IFIFO: .fifo
      case S_IFSOCK: .socket
      case S_IFCHR, S_IFBLK: .device
      default: .other
      }
    self.init(
      kind: kind, mode: FileMode(rawValue: UInt32(status.st_mode)), size: Int64(status.st_size),
      links: Int(status.st_nlink), user: status.st_uid, group: status.st_gid,
      device: UInt64(truncatingIfNeeded: status.st_dev), inode: UInt64(status.st_ino),
      modified: nanoseconds(modified), changed: nanoseconds(changed))
  }
}
