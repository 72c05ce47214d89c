public import ReliabilityIO

/// A file's whole content, with what is needed to save it back safely.
///
///     if let content = try await AtomicFile.contents(of: "settings.json") {
///       print(content.bytes.count, content.integrity == .corrupt)
///     }
public struct FileContent: Hashable, Sendable {
  /// The bytes.
  public var bytes: [UInt8]
  /// Which version of the file they are, for ``AtomicFile/Options/ifUnchanged``.
  public var version: FileVersion
  /// What the checksum says, if one was saved.
  public var integrity: FileIntegrity
  /// The permissions.
  var mode: FileMode
}

extension AtomicFile {
  /// Reads a whole file and checks it against the checksum that ``Options/recordsChecksum`` saved.
  ///
  /// Damage is said, not thrown: what is left of the content may be all there is. A cancelled task's read runs to its
  /// end.
  ///
  /// - Parameters:
  ///   - path: The file; symbolic links are followed.
  ///   - fileSystem: Where it is.
  /// - Returns: The content, or `nil` when there is no such file.
  /// - Throws: ``StoreError`` with ``StoreError/Code/notReadable``, ``StoreError/Code/targetIsNotRegularFile`` or
  ///   ``StoreError/Code/targetIsLeased``.
  /// - Complexity: O(size), in memory too.
  public nonisolated(nonsending) static func contents(
    of path: String, fileSystem: FileSystem = .real
  ) async throws(StoreError) -> FileContent? {
    try await DiskExecutor.shared.run { () throws(StoreError) in
      try readBlocking(path, fileSystem: fileSystem)
    }
  }

  /// Reads a whole file on the calling thread; for callers on a thread of their own.
  ///
  /// - Parameters:
  ///   - path: The file; symbolic links are followed.
  ///   - fileSystem: Where it is.
  /// - Returns: The content, or `nil` when there is no such file.
  /// - Throws: ``StoreError``; see the asynchronous form.
  @available(*, noasync, message: "This blocks its thread; await the asynchronous form.")
  public static func contents(
    of path: String, fileSystem: FileSystem = .real
  ) throws(StoreError) -> FileContent? {
    try readBlocking(path, fileSystem: fileSystem)
  }

  /// Says which version of a file is there now, for ``Options/ifUnchanged``.
  ///
  /// Take it before reading what the new content is made from.
  ///
  /// - Parameters:
  ///   - path: The file; symbolic links are followed.
  ///   - fileSystem: Where it is.
  /// - Returns: The version, or `nil` when there is no such file.
  /// - Throws: ``StoreError`` with ``StoreError/Code/notReadable``.
  public nonisolated(nonsending) static func version(
    of path: String, fileSystem: FileSystem = .real
  ) async throws(StoreError) -> FileVersion? {
    try await DiskExecutor.shared.run { () throws(StoreError) in
      do throws(SystemCallError) {
        return FileVersion(
          try fileSystem.perform("stat", path) { backend throws(ErrorNumber) in
            try backend.status(of: path, in: nil, followingLink: true)
          })
      } catch {
        if error.number == .notFound { return nil }
        throw StoreError(.notReadable, path: path, cause: error)
      }
    }
  }

  private static func readBlocking(
    _ path: String, fileSystem: FileSystem
  ) throws(StoreError) -> FileContent? {
    let file: OpenFile
    do throws(SystemCallError) {
      file = try OpenFile(path, [.read, .nonBlocking], fileSystem: fileSystem)
    } catch {
      if error.number == .notFound { return nil }
      throw StoreError(.reading(error), path: path, cause: error)
    }
    return try FileContent(file, path: path)
  }
}

extension FileContent {
  /// How often a file that is written while it is read is read again.
  private static let maximumReads = 4

  /// Reads a file in a directory; `nil` when the name does not exist.
  static func read(
    _ name: String, in directory: borrowing OpenDirectory
  ) throws(StoreError) -> FileContent? {
    let path = joinPath(directory.path, name)
    let file: OpenFile
    do throws(SystemCallError) {
      file = try directory.open(name, [.read, .noFollow, .nonBlocking])
    } catch {
      if error.number == .notFound { return nil }
      throw StoreError(.reading(error), path: path, cause: error)
    }
    return try FileContent(file, path: path)
  }

  /// Reads the whole file.
  ///
  /// Files that are only ever replaced don't change once they are open; one that an editor writes in place does, and
  /// is read again.
  init(_ file: borrowing OpenFile, path: String) throws(StoreError) {
    var (status, bytes) = try FileContent.readOnce(file, path: path)
    for _ in 1..<Self.maximumReads {
      let after = try FileContent.status(file, path: path)
      if FileVersion(after) == FileVersion(status) { break }
      (status, bytes) = try FileContent.readOnce(file, path: path)
    }
    self.bytes = bytes
    version = FileVersion(status)
    mode = status.mode
    integrity =
      FileContent.checksum(of: file)?
      .integrity(crc: CRC32C(bytes.span).value, status: status) ?? .notRecorded
  }

  private static func readOnce(
    _ file: borrowing OpenFile, path: String
  ) throws(StoreError) -> (FileStatus, [UInt8]) {
    let status = try status(file, path: path)
    guard status.kind == .regular else { throw StoreError(.targetIsNotRegularFile, path: path) }
    do throws(SystemCallError) {
      let bytes = try [UInt8](capacity: Int(clamping: status.size)) {
        (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
        try file.readAll(into: &buffer, at: 0)
      }
      return (status, bytes)
    } catch {
      throw StoreError(.notReadable, path: path, cause: error)
    }
  }

  private static func status(
    _ file: borrowing OpenFile, path: String
  ) throws(StoreError) -> FileStatus {
    do throws(SystemCallError) {
      return try file.status()
    } catch {
      throw StoreError(.notReadable, path: path, cause: error)
    }
  }

  /// The checksum that was saved with the file.
  ///
  /// One that can't be read is as good as none.
  private static func checksum(of file: borrowing OpenFile) -> FileChecksum? {
    (try? file.attribute(FileChecksum.attribute)).flatMap(FileChecksum.init(record:))
  }
}

extension StoreError.Code {
  /// The code for an error of a call that opens a file to read it.
  static func reading(_ error: SystemCallError) -> StoreError.Code {
    switch error.number {
    case .wouldBlock: .targetIsLeased
    case .symbolicLinkLoop: .targetIsNotRegularFile
    default: .notReadable
    }
  }
}
