internal import ReliabilityIO

/// Makes a lock file whose header is whole whenever its name is there, also after a power cut.
///
/// The file is written and synced under a name of its own and then linked to its path, which never replaces anything: whoever
/// comes second uses the first one's. A leftover name is one that a sweeper of temporary files knows.
struct LockFileMaker {
  private let path: String
  private let fileSystem: FileSystem

  init(_ path: String, _ fileSystem: FileSystem) {
    self.path = path
    self.fileSystem = fileSystem
  }

  /// Makes the file, unless somebody else does.
  func make() throws(SystemCallError) {
    let temporary = temporaryPath
    let file = try OpenFile(
      temporary, [.read, .write, .create, .exclusive, .noFollow], mode: 0o666,
      fileSystem: fileSystem)
    defer {
      _ = try? fileSystem.perform("unlinkat", temporary) { backend throws(ErrorNumber) in
        try backend.unlink(temporary, in: nil)
      }
    }
    // Says to sweepers that the name is in use.
    try? file.lock(.exclusive)
    try file.writeAll(LockRecord().encoded.span, at: LockRecord.headerOffset)
    try file.sync(.full)
    try publish(temporary)
  }

  private func publish(_ temporary: String) throws(SystemCallError) {
    do throws(SystemCallError) {
      try fileSystem.perform("linkat", path) { backend throws(ErrorNumber) in
        try backend.link(temporary, in: nil, to: path, in: nil)
      }
    } catch {
      switch error.number {
      case .exists, .notFound:
        // Somebody was faster, or swept the name away: the caller looks again.
        return
      case .notPermitted, .notSupported, .notImplemented, .invalidArgument, .tooManyLinks:
        try publishByRename(temporary)
      default: throw error
      }
    }
  }

  /// Where files can't have two names.
  private func publishByRename(_ temporary: String) throws(SystemCallError) {
    do throws(SystemCallError) {
      try fileSystem.perform("renameat", path) { backend throws(ErrorNumber) in
        try backend.rename(temporary, in: nil, to: path, in: nil, .noReplace)
      }
    } catch {
      switch error.number {
      case .exists: return
      case .notSupported, .notImplemented, .invalidArgument: try makeInPlace()
      default: throw error
      }
    }
  }

  /// Where a file gets its name only by being made under it: a power cut in this moment may leave a torn header, which is then
  /// refused.
  private func makeInPlace() throws(SystemCallError) {
    do throws(SystemCallError) {
      let file = try OpenFile(
        path, [.read, .write, .create, .exclusive, .noFollow], mode: 0o666, fileSystem: fileSystem)
      try file.writeAll(LockRecord().encoded.span, at: LockRecord.headerOffset)
      try file.sync(.full)
    } catch {
      if error.number != .exists { throw error }
    }
  }

  private var temporaryPath: String {
    let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
    let name = path[(slash.map { path.utf8.index(after: $0) } ?? path.startIndex)...]
    let directory = slash.map { path[...$0] } ?? ""
    let backend = fileSystem.backend
    let random = String(backend.randomBits(), radix: 16)
    let digits = String(repeating: "0", count: 16 - random.utf8.count) + random
    let process = String(backend.processIdentifier, radix: 16)
    return "\(directory).\(name.prefix(40)).\(process).\(digits).rtmp"
  }
}
