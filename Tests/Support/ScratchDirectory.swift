package import ReliabilityIO

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// A fresh directory for one test, removed with everything in it when the test ends.
package final class ScratchDirectory: Sendable {
  package let path: String

  /// - Parameter inMemory: Whether memory will do where the system has a file system in it: for tests that save
  ///   thousands of times and are not about the disk.
  package init(inMemory: Bool = false) {
    let useMemory = unsafe inMemory && access("/dev/shm", W_OK) == 0
    let parent = useMemory ? "/dev/shm" : "/tmp"
    var template = Array("\(parent)/reliability-test-XXXXXX".utf8CString)
    precondition(unsafe mkdtemp(&template) != nil, "no scratch directory")
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit { ScratchDirectory.removeTree(path) }

  private static func removeTree(_ path: String) {
    let files = RealFileSystem()
    guard let status = try? files.status(of: path, in: nil, followingLink: false) else { return }
    if status.kind == .directory {
      _ = unsafe chmod(path, 0o700)
      if let directory = try? OpenDirectory(path, fileSystem: .real) {
        for name in (try? directory.entries()) ?? [] { removeTree(path + "/" + name) }
      }
      try? files.removeDirectory(path, in: nil)
    } else {
      try? files.unlink(path, in: nil)
    }
  }

  package func file(_ name: String) -> String { path + "/" + name }

  /// Every name in the directory.
  package var names: [String] { names(in: ".") }

  /// Every name in a directory in it.
  package func names(in directory: String) -> [String] {
    guard let directory = try? OpenDirectory(file(directory), fileSystem: .real) else { return [] }
    return ((try? directory.entries()) ?? []).sorted()
  }

  /// Writes a file with exactly these bytes.
  package func write(_ content: [UInt8], to name: String, mode: FileMode = 0o600) throws {
    let file = try OpenFile(file(name), [.write, .create], mode: mode, fileSystem: .real)
    try file.truncate(to: 0)
    try file.writeAll(content.span, at: 0)
  }

  /// Writes a file the plain way.
  package func write(_ text: String, to name: String, mode: FileMode = 0o644) throws {
    let file = try OpenFile(file(name), [.write, .create], mode: 0o600, fileSystem: .real)
    try file.writeAll(Array(text.utf8).span, at: 0)
    try file.setMode(mode)
  }

  /// The whole content, or `nil` when there is no such file.
  package func read(_ name: String) -> String? {
    readBytes(name).map { String(decoding: $0, as: UTF8.self) }
  }

  package func readBytes(_ name: String) -> [UInt8]? {
    guard let file = try? OpenFile(file(name), [.read], fileSystem: .real),
      let size = try? file.status().size
    else { return nil }
    return try? [UInt8](capacity: Int(size)) { try file.readAll(into: &$0, at: 0) }
  }

  /// What a name is, links not followed.
  package func status(_ name: String) throws -> FileStatus {
    try RealFileSystem().status(of: file(name), in: nil, followingLink: false)
  }
}
