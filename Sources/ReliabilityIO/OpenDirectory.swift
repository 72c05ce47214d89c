/// An open directory: names are looked up, made and removed relative to it, whatever happens to its path.
///
/// It closes itself when its life ends, on every path out of a function.
package struct OpenDirectory: ~Copyable, Sendable {
  package let fileSystem: FileSystem
  package let descriptor: Descriptor
  /// The path it was opened by, for messages.
  package let path: String

  /// Opens a directory.
  ///
  /// A directory that may be searched but not read is opened by name only: everything works but ``sync()`` and
  /// ``entries()``, which then fail with `EBADF`.
  package init(
    _ path: String, fileSystem: FileSystem, mayBeUnreadable: Bool = true
  ) throws(SystemCallError) {
    try self.init(
      path, in: nil, path: path, fileSystem: fileSystem, mayBeUnreadable: mayBeUnreadable)
  }

  private init(
    _ name: String, in parent: Descriptor?, path: String, fileSystem: FileSystem,
    mayBeUnreadable: Bool
  ) throws(SystemCallError) {
    var opened: Descriptor
    do throws(SystemCallError) {
      opened = try fileSystem.perform("open", path) { backend throws(ErrorNumber) in
        try backend.open(name, in: parent, [.read, .directory], mode: 0)
      }
    } catch {
      guard mayBeUnreadable, error.number == .permissionDenied else { throw error }
      opened = try fileSystem.perform("open", path) { backend throws(ErrorNumber) in
        try backend.open(name, in: parent, [.nameOnly, .directory], mode: 0)
      }
    }
    self.fileSystem = fileSystem
    self.descriptor = opened
    self.path = path
  }

  deinit {
    try? fileSystem.backend.close(descriptor)
  }

  /// Opens a directory relative to this one; an absolute name ignores this one.
  package func directory(
    _ name: String, mayBeUnreadable: Bool = true
  ) throws(SystemCallError) -> OpenDirectory {
    try OpenDirectory(
      name, in: descriptor, path: joinPath(path, name), fileSystem: fileSystem,
      mayBeUnreadable: mayBeUnreadable)
  }

  /// Opens a file in this directory.
  package func open(
    _ name: String, _ flags: OpenFlags, mode: FileMode = 0
  ) throws(SystemCallError) -> OpenFile {
    let opened = try fileSystem.perform(
      "open", joinPath(path, name)
    ) { backend throws(ErrorNumber) in
      try backend.open(name, in: descriptor, flags, mode: mode)
    }
    return OpenFile(fileSystem: fileSystem, descriptor: opened, path: joinPath(path, name))
  }

  /// What a name is, without following a link; `nil` when it does not exist.
  package func status(of name: String) throws(SystemCallError) -> FileStatus? {
    do throws(SystemCallError) {
      return try fileSystem.perform("fstatat", joinPath(path, name)) {
        backend throws(ErrorNumber) in
        try backend.status(of: name, in: descriptor, followingLink: false)
      }
    } catch {
      if error.number == .notFound { return nil }
      throw error
    }
  }

  package func readLink(_ name: String) throws(SystemCallError) -> String {
    try fileSystem.perform("readlinkat", joinPath(path, name)) { backend throws(ErrorNumber) in
      try backend.readLink(name, in: descriptor)
    }
  }

  /// Renames within this directory.
  package func rename(
    _ name: String, to newName: String, _ rule: RenameRule = .replace
  ) throws(SystemCallError) {
    try fileSystem.perform("renameat", joinPath(path, newName)) { backend throws(ErrorNumber) in
      try backend.rename(name, in: descriptor, to: newName, in: descriptor, rule)
    }
  }

  /// Gives a file of this directory a second name in it.
  package func link(_ name: String, to newName: String) throws(SystemCallError) {
    try fileSystem.perform("linkat", joinPath(path, newName)) { backend throws(ErrorNumber) in
      try backend.link(name, in: descriptor, to: newName, in: descriptor)
    }
  }

  package func unlink(_ name: String) throws(SystemCallError) {
    try fileSystem.perform("unlinkat", joinPath(path, name)) { backend throws(ErrorNumber) in
      try backend.unlink(name, in: descriptor)
    }
  }

  /// Makes the names of this directory durable.
  package func sync() throws(SystemCallError) {
    try fileSystem.perform("fsync", path) { backend throws(ErrorNumber) in
      try backend.sync(descriptor, .full)
    }
  }

  package func entries() throws(SystemCallError) -> [String] {
    try fileSystem.perform("readdir", path) { backend throws(ErrorNumber) in
      try backend.entries(of: descriptor)
    }
  }
}
