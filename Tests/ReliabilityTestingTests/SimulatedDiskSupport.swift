import ReliabilityTesting

extension FileSystem {
  /// Makes or opens a file, writes at its start, and syncs it if asked.
  func put(_ path: String, _ content: [UInt8], sync: Bool) throws {
    let file = try OpenFile(path, [.write, .create], mode: 0o644, fileSystem: self)
    try file.truncate(to: 0)
    try file.writeAll(content.span, at: 0)
    if sync { try file.sync(.full) }
  }

  func syncDirectory(_ path: String) throws {
    try OpenDirectory(path, fileSystem: self).sync()
  }
}
