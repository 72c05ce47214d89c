import ReliabilityIO
import ReliabilityTesting
import Synchronization

#if os(Linux)
  /// Cuts the power after the n-th call that changes something, and ends the process.
  final class PowerCutFileSystem: ForwardingFileSystem {
    let base: any FileSystemBackend
    private let directory: Int32
    private let mode: System.CutMode
    private let cut: Int
    private let calls = Atomic<Int>(0)

    /// - Parameters:
    ///   - directory: A directory of the file system that loses its power.
    ///   - cut: After which changing call; 0 is before the first.
    init(
      cutting directory: String, after cut: Int, _ mode: System.CutMode,
      on base: any FileSystemBackend
    ) {
      self.base = base
      self.directory = System.openDirectory(directory)
      self.mode = mode
      self.cut = cut
      if cut == 0 { cutPower() }
    }

    /// How many calls changed something so far.
    var changes: Int { calls.load(ordering: .acquiring) }

    private func cutPower() -> Never {
      if !System.shutDown(directory, mode) { System.fail("this file system can't be shut down") }
      System.end(System.cutStatus)
    }

    /// Makes a call and cuts the power after it, whether it worked or not.
    private func change<R>(
      _ body: () throws(ErrorNumber) -> R
    ) throws(ErrorNumber) -> R {
      defer {
        if calls.add(1, ordering: .acquiringAndReleasing).newValue == cut { cutPower() }
      }
      return try body()
    }

    func open(
      _ name: String, in directory: Descriptor?, _ flags: OpenFlags, mode: FileMode
    ) throws(ErrorNumber) -> Descriptor {
      guard flags.contains(.create) else {
        return try base.open(name, in: directory, flags, mode: mode)
      }
      return try change { () throws(ErrorNumber) in
        try base.open(name, in: directory, flags, mode: mode)
      }
    }

    func write(
      _ file: Descriptor, _ bytes: Span<UInt8>, at offset: Int64?
    ) throws(ErrorNumber) -> Int {
      try change { () throws(ErrorNumber) in try base.write(file, bytes, at: offset) }
    }

    func truncate(_ file: Descriptor, to size: Int64) throws(ErrorNumber) {
      try change { () throws(ErrorNumber) in try base.truncate(file, to: size) }
    }

    func sync(_ file: Descriptor, _ kind: SyncKind) throws(ErrorNumber) {
      try change { () throws(ErrorNumber) in try base.sync(file, kind) }
    }

    func setMode(_ file: Descriptor, _ mode: FileMode) throws(ErrorNumber) {
      try change { () throws(ErrorNumber) in try base.setMode(file, mode) }
    }

    func setOwner(_ file: Descriptor, user: UInt32?, group: UInt32?) throws(ErrorNumber) {
      try change { () throws(ErrorNumber) in try base.setOwner(file, user: user, group: group) }
    }

    func touch(_ file: Descriptor) throws(ErrorNumber) {
      try change { () throws(ErrorNumber) in try base.touch(file) }
    }

    func setAttribute(
      _ file: Descriptor, _ name: String, _ value: Span<UInt8>
    ) throws(ErrorNumber) {
      try change { () throws(ErrorNumber) in try base.setAttribute(file, name, value) }
    }

    func removeAttribute(_ file: Descriptor, _ name: String) throws(ErrorNumber) {
      try change { () throws(ErrorNumber) in try base.removeAttribute(file, name) }
    }

    func rename(
      _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?,
      _ rule: RenameRule
    ) throws(ErrorNumber) {
      try change { () throws(ErrorNumber) in
        try base.rename(name, in: directory, to: newName, in: newDirectory, rule)
      }
    }

    func link(
      _ name: String, in directory: Descriptor?, to newName: String, in newDirectory: Descriptor?
    ) throws(ErrorNumber) {
      try change { () throws(ErrorNumber) in
        try base.link(name, in: directory, to: newName, in: newDirectory)
      }
    }

    func unlink(_ name: String, in directory: Descriptor?) throws(ErrorNumber) {
      try change { () throws(ErrorNumber) in try base.unlink(name, in: directory) }
    }

    func makeDirectory(
      _ name: String, in directory: Descriptor?, mode: FileMode
    ) throws(ErrorNumber) {
      try change { () throws(ErrorNumber) in
        try base.makeDirectory(name, in: directory, mode: mode)
      }
    }

    func removeDirectory(_ name: String, in directory: Descriptor?) throws(ErrorNumber) {
      try change { () throws(ErrorNumber) in try base.removeDirectory(name, in: directory) }
    }
  }
#endif
