internal import ReliabilityIO

/// One examination of one directory.
///
/// Every file it makes has a name that ``OrphanSweeper`` knows.
struct Examination: ~Copyable {
  private let directory: OpenDirectory
  private var report: StorageReport
  private var names: [String] = []

  init(directory: consuming OpenDirectory, path: String) {
    self.directory = directory
    report = StorageReport(path: path)
  }

  deinit {
    for name in names { _ = directory.remove(name) }
  }

  mutating func run() -> StorageReport {
    let kind = try? directory.fileSystem.perform("fstatfs", directory.path) {
      backend throws(ErrorNumber) in
      try backend.kind(of: directory.descriptor)
    }
    report.fileSystemName = kind?.name
    report.isNetwork = kind?.isNetwork
    attempt(.directorySync, alsoUnsupported: [.badDescriptor]) {
      examination throws(SystemCallError) in
      try examination.directory.sync()
      return true
    }
    let first = newName()
    var made: OpenFile?
    attempt(.createFiles, alsoUnsupported: [.permissionDenied, .notPermitted, .readOnlyFileSystem])
    {
      examination throws(SystemCallError) in
      made = try examination.make(first)
      return true
    }
    guard let file = made else { return report }
    // A live temporary file, as every writer's.
    try? file.lock(.exclusive)
    testContent(file, first)
    testLocks(file, first)
    testNames(file, first)
    return report
  }
}

extension Examination {
  /// Tries a feature.
  ///
  /// - Parameters:
  ///   - feature: The feature.
  ///   - numbers: Errors that mean "can't" for this feature, besides those that always do.
  ///   - body: Uses it and looks at the effect: whether there was one.
  private mutating func attempt(
    _ feature: StorageReport.Feature, alsoUnsupported numbers: [ErrorNumber] = [],
    _ body: (inout Examination) throws(SystemCallError) -> Bool
  ) {
    do throws(SystemCallError) {
      report.record(feature, try body(&self) ? .supported : .ineffective)
    } catch {
      let cannot = error.number.saysNotSupported || numbers.contains(error.number)
      report.record(feature, cannot ? .unsupported(error.number) : .failed(error))
    }
  }

  /// A name that is removed at the end, whether or not there ever is such a file.
  private mutating func newName() -> String {
    let backend = directory.fileSystem.backend
    let name = TemporaryName.make(
      for: "doctor", process: backend.processIdentifier, random: backend.randomBits())
    names.append(name)
    return name
  }

  private func make(_ name: String) throws(SystemCallError) -> OpenFile {
    try directory.open(name, [.read, .write, .create, .exclusive, .noFollow], mode: 0o600)
  }

  private mutating func testContent(_ file: borrowing OpenFile, _ name: String) {
    attempt(.fileSync) { _ throws(SystemCallError) in
      try file.writeAll([1, 2, 3].span, at: 0)
      try file.sync(.full)
      return true
    }
    attempt(.append) { examination throws(SystemCallError) in
      let appending = try examination.directory.open(name, [.write, .append, .noFollow])
      let size = try file.status().size
      for _ in 0..<2 {
        _ = try examination.directory.fileSystem.perform("write", appending.path) {
          backend throws(ErrorNumber) in
          try backend.write(appending.descriptor, [4].span, at: nil)
        }
      }
      return try file.status().size == size + 2
    }
    attempt(.attributes, alsoUnsupported: [.notPermitted, .permissionDenied]) {
      _ throws(SystemCallError) in
      try file.setAttribute("user.doctor", [7])
      return try file.attribute("user.doctor") == [7]
    }
  }

  private mutating func testLocks(_ file: borrowing OpenFile, _ name: String) {
    attempt(.wholeFileLock, alsoUnsupported: [.noLocks]) { examination throws(SystemCallError) in
      try file.lock(.exclusive)
      let other = try examination.directory.open(name, [.read, .write, .noFollow])
      if try examination.isGranted({ backend throws(ErrorNumber) in
        try backend.lock(other.descriptor, .exclusive)
      }) {
        return false
      }
      try file.lock(.unlock)
      return try examination.isGranted { backend throws(ErrorNumber) in
        try backend.lock(other.descriptor, .exclusive)
      }
    }
    // Back to a live temporary file; the other descriptor is closed by now.
    try? file.lock(.exclusive)
    attempt(.rangeLock, alsoUnsupported: [.noLocks]) { examination throws(SystemCallError) in
      let backend = examination.directory.fileSystem.backend
      let range: Range<Int64> = 0..<1
      try examination.lockRange(file, range)
      let other = try examination.directory.open(name, [.read, .write, .noFollow])
      let isExcluded = try !examination.isGranted { backend throws(ErrorNumber) in
        try backend.lockRange(other.descriptor, range, .exclusive, waits: false)
      }
      // Another range of the same file is free.
      try examination.lockRange(other, 1..<2)
      try? backend.lockRange(file.descriptor, range, .unlock, waits: false)
      return isExcluded
    }
  }

  private func lockRange(
    _ file: borrowing OpenFile, _ range: Range<Int64>
  ) throws(SystemCallError) {
    try directory.fileSystem.perform("fcntl", file.path) { backend throws(ErrorNumber) in
      try backend.lockRange(file.descriptor, range, .exclusive, waits: false)
    }
  }

  /// Whether a lock is to be had; `false` when someone holds it.
  private func isGranted(
    _ lock: (any FileSystemBackend) throws(ErrorNumber) -> Void
  ) throws(SystemCallError) -> Bool {
    do throws(SystemCallError) {
      try directory.fileSystem.perform("lock", directory.path, lock)
      return true
    } catch {
      // POSIX allows both for a lock that someone holds.
      if error.number == .wouldBlock || error.number == .permissionDenied { return false }
      throw error
    }
  }

  private mutating func testNames(_ file: borrowing OpenFile, _ name: String) {
    let (link, second, target) = (newName(), newName(), newName())
    attempt(
      .hardLinks, alsoUnsupported: [.notPermitted, .permissionDenied, .crossDevice, .tooManyLinks]
    ) { examination throws(SystemCallError) in
      try examination.directory.link(name, to: link)
      return try file.status().links == 2
    }
    var other: FileStatus?
    attempt(.renameOver) { examination throws(SystemCallError) in
      _ = try examination.make(target)
      let moved = try examination.make(second).status()
      try examination.directory.rename(second, to: target)
      other = moved
      guard try examination.isFile(moved, at: target) else { return false }
      return try examination.isAbsent(second)
    }
    guard other != nil else { return }
    attempt(.renameNoReplace) { examination throws(SystemCallError) in
      do throws(SystemCallError) {
        try examination.directory.rename(target, to: name, .noReplace)
        return false
      } catch {
        if error.number != .exists { throw error }
      }
      try examination.directory.rename(target, to: second, .noReplace)
      return try examination.isAbsent(target)
    }
    attempt(.renameExchange) { examination throws(SystemCallError) in
      let kept = try examination.isAbsent(target) ? second : target
      let (before, mine) = (try examination.directory.status(of: kept), try file.status())
      try examination.directory.rename(kept, to: name, .exchange)
      guard let before else { return false }
      guard try examination.isFile(before, at: name) else { return false }
      return try examination.isFile(mine, at: kept)
    }
    attempt(.caseSensitiveNames) { examination throws(SystemCallError) in
      try examination.isAbsent(name.uppercased())
    }
    if report.finding(.caseSensitiveNames) == .ineffective {
      // The same file by another spelling is not a broken promise.
      report.record(.caseSensitiveNames, .unsupported(.exists))
    }
  }

  private func isFile(_ status: FileStatus, at name: String) throws(SystemCallError) -> Bool {
    try directory.status(of: name)?.isSameFile(as: status) == true
  }

  private func isAbsent(_ name: String) throws(SystemCallError) -> Bool {
    try directory.status(of: name) == nil
  }
}

extension ErrorNumber {
  /// Whether a call said that this file system can't do it at all.
  fileprivate var saysNotSupported: Bool {
    switch self {
    case .notSupported, .notImplemented, .invalidArgument: true
    default: false
    }
  }
}
