/// Looking at a disk and preparing it, without calls that are counted, traced or made to fail.
extension SimulatedDisk {
  /// The content of a file as programs see it, durable or not.
  ///
  /// - Parameter path: The file; links are followed.
  /// - Returns: The bytes, or `nil` when there is no such file.
  public func read(_ path: String) -> [UInt8]? {
    machine.withLock { machine in
      guard let number = try? machine.existing(path, in: nil, following: true),
        let node = machine.visible[number], node.kind == .regular
      else { return nil }
      return node.bytes
    }
  }

  /// The content of a file as text, with what is not UTF-8 replaced.
  ///
  /// - Parameter path: The file; links are followed.
  /// - Returns: The text, or `nil` when there is no such file.
  public func text(_ path: String) -> String? {
    read(path).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Writes a file so that it is durable at once, and makes the directories that are missing.
  ///
  /// Whatever else was written to this disk before becomes durable, too.
  ///
  /// - Parameters:
  ///   - path: The file.
  ///   - bytes: Its whole content.
  /// - Throws: `ErrorNumber` when the path can't be a file.
  public func write(_ path: String, _ bytes: [UInt8]) throws(ErrorNumber) {
    try machine.withLock { (machine) throws(ErrorNumber) in
      try machine.makeDirectories(to: path, withLast: false)
      let file = try machine.open(path, in: nil, [.write, .create], mode: 0o666)
      defer { try? machine.close(file) }
      try machine.truncate(file, to: 0)
      _ = try machine.write(file, bytes, at: 0)
      machine.settle()
      machine.recordCrashPoint()
    }
  }

  /// Writes a text file so that it is durable at once; see the form for bytes.
  ///
  /// - Parameters:
  ///   - path: The file.
  ///   - text: Its whole content.
  /// - Throws: `ErrorNumber` when the path can't be a file.
  public func write(_ path: String, _ text: String) throws(ErrorNumber) {
    try write(path, Array(text.utf8))
  }

  /// Makes a directory, and those above it that are missing, durable at once.
  ///
  /// - Parameter path: The directory; it may exist.
  /// - Throws: `ErrorNumber` when a file is in the way.
  public func makeDirectory(_ path: String) throws(ErrorNumber) {
    try machine.withLock { (machine) throws(ErrorNumber) in
      try machine.makeDirectories(to: path, withLast: true)
      machine.settle()
      machine.recordCrashPoint()
    }
  }

  /// The names in a directory, sorted.
  ///
  /// - Parameter path: The directory; "/" is the whole disk's.
  /// - Returns: The names; none when there is no such directory.
  public func names(in path: String) -> [String] {
    machine.withLock { machine in
      guard let number = try? machine.existing(path, in: nil, following: true) else { return [] }
      return (machine.visible[number]?.names.keys.map { $0 } ?? []).sorted()
    }
  }

  /// Whether a name exists, as a file, directory or link.
  ///
  /// - Parameter path: The name.
  public func exists(_ path: String) -> Bool {
    machine.withLock { (try? $0.existing(path, in: nil, following: false)) != nil }
  }
}

extension SimulatedMachine {
  fileprivate mutating func makeDirectories(
    to path: String, withLast: Bool
  ) throws(ErrorNumber) {
    let names = path.split(separator: "/")
    var done = path.utf8.first == UInt8(ascii: "/") ? "/" : ""
    for name in withLast ? names[...] : names.dropLast() {
      done += name
      if (try? existing(done, in: nil, following: true)) == nil {
        try makeDirectory(done, in: nil, mode: 0o777)
      }
      done += "/"
    }
  }
}
