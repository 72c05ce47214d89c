import Reliability
import ReliabilityIO

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A fresh directory, removed with everything in it when its life ends.
final class Scratch: Sendable {
  let path: String

  /// - Parameter arguments: `--directory` says below which directory; memory where the system has a file system in it.
  init(_ arguments: Arguments) {
    let memory = unsafe access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    let parent = arguments["directory"] ?? memory
    var template = Array("\(parent)/mission-XXXXXX".utf8CString)
    precondition(unsafe mkdtemp(&template) != nil, "no directory can be made in \(parent)")
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit { Self.remove(path) }

  func file(_ name: String) -> String { path + "/" + name }

  /// Every name in the directory.
  var names: [String] { Self.names(in: path) }

  /// The temporary files of this package in the directory.
  var temporaries: [String] { names.filter { $0.hasSuffix(".rtmp") } }

  func read(_ name: String) -> [UInt8]? {
    guard let open = try? OpenFile(file(name), [.read], fileSystem: .real),
      let size = try? open.status().size
    else { return nil }
    return try? [UInt8](capacity: Int(size)) { try open.readAll(into: &$0, at: 0) }
  }

  private static func names(in path: String) -> [String] {
    guard let open = try? OpenDirectory(path, fileSystem: .real) else { return [] }
    return ((try? open.entries()) ?? []).sorted()
  }

  private static func remove(_ path: String) {
    let files = RealFileSystem()
    guard let status = try? files.status(of: path, in: nil, followingLink: false) else { return }
    guard status.kind == .directory else { return (try? files.unlink(path, in: nil)) ?? () }
    for name in names(in: path) { remove(path + "/" + name) }
    try? files.removeDirectory(path, in: nil)
  }
}
