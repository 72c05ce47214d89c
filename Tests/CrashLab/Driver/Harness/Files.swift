import ReliabilityIO

/// Plain reads and listings for checkers: with none of the code that is under test.
enum Files {
  private static let real = RealFileSystem()

  static func read(_ path: String) -> [UInt8]? {
    guard let file = try? OpenFile(path, [.read], fileSystem: .real) else { return nil }
    return try? read(file)
  }

  static func text(_ path: String) -> String? {
    read(path).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Reads up to the end, which may move meanwhile.
  private static func read(_ file: borrowing OpenFile) throws(SystemCallError) -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      let part = try [UInt8](capacity: 1 << 16) {
        (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
        try file.readAll(into: &buffer, at: Int64(bytes.count))
      }
      if part.isEmpty { return bytes }
      bytes += part
    }
  }

  static func write(_ bytes: [UInt8], to path: String) throws(SystemCallError) {
    let file = try OpenFile(path, [.write, .create], fileSystem: .real)
    try file.writeAll(bytes.span, at: 0)
  }

  static func names(in directory: String) -> [String] {
    guard let directory = try? OpenDirectory(directory, fileSystem: .real) else { return [] }
    return ((try? directory.entries()) ?? []).sorted()
  }

  static func temporaries(in directory: String) -> [String] {
    names(in: directory).filter { $0.hasSuffix(".rtmp") }
  }

  static func makeDirectory(_ path: String) {
    try? real.makeDirectory(path, in: nil, mode: 0o755)
  }

  static func remove(_ path: String) { try? real.unlink(path, in: nil) }

  static func removeTree(_ path: String) {
    guard let status = try? real.status(of: path, in: nil, followingLink: false) else { return }
    if status.kind == .directory {
      for name in names(in: path) { removeTree(path + "/" + name) }
      try? real.removeDirectory(path, in: nil)
    } else {
      remove(path)
    }
  }

  /// An empty directory.
  static func fresh(_ path: String) -> String {
    removeTree(path)
    makeDirectory(path)
    return path
  }
}
