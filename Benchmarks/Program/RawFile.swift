#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The system calls of an atomic and durable save, with nothing around them.
enum RawFile {
  /// open, write, fsync, close, rename, open the directory, fsync, close.
  static func replace(_ path: String, in directory: String, with content: [UInt8]) throws {
    let temporary = path + ".tmp"
    let file = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    try check(file)
    let written = unsafe content.withUnsafeBytes { bytes in
      unsafe write(file, bytes.baseAddress, bytes.count)
    }
    try check(written == content.count ? 0 : -1)
    try check(fsync(file))
    try check(close(file))
    try check(unsafe rename(temporary, path))
    let folder = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    try check(folder)
    try check(fsync(folder))
    try check(close(folder))
  }

  fileprivate static func check(_ result: Int32) throws {
    if result < 0 { throw RawFileError(code: errno) }
  }
}

/// A file that is appended to durably, with nothing but the system calls: write, fdatasync.
final class RawAppend: Sendable {
  private let file: Int32

  init(_ path: String) throws {
    file = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    try RawFile.check(file)
  }

  deinit { _ = close(file) }

  func append(_ bytes: [UInt8]) throws {
    let written = unsafe bytes.withUnsafeBytes { bytes in
      unsafe write(file, bytes.baseAddress, bytes.count)
    }
    try RawFile.check(written == bytes.count ? 0 : -1)
    #if canImport(Darwin)
      try RawFile.check(fcntl(file, F_FULLFSYNC))
    #else
      try RawFile.check(fdatasync(file))
    #endif
  }
}

/// The error number of a system call that failed.
struct RawFileError: Error {
  var code: Int32
}

/// A new directory on a real disk.
///
/// Beside the program, that is in the build folder: `/tmp` is memory on many systems, where a sync costs nothing.
struct ScratchDirectory: Sendable {
  let path: String

  init() throws {
    let program = CommandLine.arguments[0]
    let folder = program.lastIndex(of: "/").map { String(program[..<$0]) } ?? "."
    var template = Array("\(folder)/benchmarks-XXXXXX".utf8CString)
    let made = unsafe template.withUnsafeMutableBufferPointer {
      unsafe mkdtemp($0.baseAddress!) != nil
    }
    guard made else { throw RawFileError(code: errno) }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Removes the directory and the files in it.
  func remove() {
    guard let stream = unsafe opendir(path) else { return }
    defer { unsafe closedir(stream) }
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: entry.pointee.d_name) { pointer in
        unsafe String(cString: UnsafeRawPointer(pointer).assumingMemoryBound(to: CChar.self))
      }
      if name != "." && name != ".." { _ = unsafe unlink("\(path)/\(name)") }
    }
    _ = unsafe rmdir(path)
  }
}
