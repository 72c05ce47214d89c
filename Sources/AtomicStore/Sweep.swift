internal import ReliabilityCore
internal import ReliabilityIO

/// One sweep of one directory.
struct Sweep: ~Copyable {
  let directory: OpenDirectory
  let options: OrphanSweeper.Options
  private var report = SweepReport()
  private var now: (nanoseconds: Int64, isOfTheFileSystem: Bool)?
  private var trustsLocks: Bool?

  init(directory: consuming OpenDirectory, options: OrphanSweeper.Options) {
    self.directory = directory
    self.options = options
  }

  mutating func run() throws(SystemCallError) -> SweepReport {
    for name in try directory.entries().sorted() {
      guard let leftover = LeftoverName(name) else { continue }
      do throws(SystemCallError) {
        try examine(name, leftover)
      } catch {
        report.failures.append(error)
      }
    }
    return report
  }

  private mutating func examine(
    _ name: String, _ leftover: LeftoverName
  ) throws(SystemCallError) {
    // Before it is opened: to open a device may do something.
    guard let status = try directory.status(of: name) else { return }
    let file = try describe(name, leftover, status)
    guard status.kind == .regular else { return keep(file, .notRegularFile) }
    guard let handle = try open(name) else { return }

    let lock = try takeLock(handle)
    if lock == .heldByWriter { return keep(file, .live) }
    // Nobody else takes the lock from here on; a writer that comes now finds it held and begins again with another
    // file. What the name means is looked at after that: the file may have been published meanwhile.
    let locked = try handle.status()
    guard let current = try directory.status(of: name), current.isSameFile(as: locked) else {
      return
    }
    let orphan = try describe(name, leftover, locked)
    // Another name may be the one a writer works with, and its lock would be on that writer's descriptor alone.
    let isProven = lock == .taken && locked.links == 1
    let minimum =
      !isProven ? options.minimumAgeWithoutProof : locked.size > 0 ? options.minimumAge : .zero
    let isOld = orphan.age >= minimum && (isProven || currentTime().isOfTheFileSystem)
    if !isOld { return keep(orphan, isProven ? .recent : .unproven) }
    if options.action == .report { return keep(orphan, .reportOnly) }
    if let reason = directory.remove(name) { throw reason }
    report.removed.append(orphan)
  }

  private mutating func keep(_ file: SweepReport.File, _ reason: SweepReport.KeptFile.Reason) {
    report.kept.append(SweepReport.KeptFile(file: file, reason: reason))
  }

  /// - Returns: `nil` when the name has gone, or has become something that is not ours.
  private func open(_ name: String) throws(SystemCallError) -> OpenFile? {
    do throws(SystemCallError) {
      return try directory.open(name, [.read, .write, .noFollow, .nonBlocking])
    } catch {
      switch error.number {
      case .notFound, .symbolicLinkLoop, .isADirectory: return nil
      case .permissionDenied:
        // A save with a read-only mode: enough for a lock, except on NFS, which then says so.
        return try directory.open(name, [.read, .noFollow, .nonBlocking])
      default: throw error
      }
    }
  }

  private enum LockResult {
    case taken, heldByWriter, provesNothing
  }

  private mutating func takeLock(
    _ file: borrowing OpenFile
  ) throws(SystemCallError) -> LockResult {
    do throws(SystemCallError) {
      try file.lock(.exclusive)
    } catch {
      if error.number == .wouldBlock { return .heldByWriter }
      if error.number.saysNoLocks || error.number == .badDescriptor { return .provesNothing }
      throw error
    }
    return try locksReachEveryWriter(file) ? .taken : .provesNothing
  }

  /// Whether a writer on another machine would be seen: on network file systems a lock may be local to each machine,
  /// and a server that had no locks to give earlier may have let a writer go on without one.
  private mutating func locksReachEveryWriter(
    _ file: borrowing OpenFile
  ) throws(SystemCallError) -> Bool {
    if let trustsLocks { return trustsLocks }
    let kind = try directory.fileSystem.perform("fstatfs", directory.path) {
      backend throws(ErrorNumber) in
      try backend.kind(of: file.descriptor)
    }
    trustsLocks = !kind.isNetwork
    return !kind.isNetwork
  }

  private mutating func describe(
    _ name: String, _ leftover: LeftoverName, _ status: FileStatus
  ) throws(SystemCallError) -> SweepReport.File {
    let now = currentTime().nanoseconds
    // Whatever happened last: a link or a change of mode moves only the one, a copied time only the other.
    let age = now - max(status.modified, status.changed)
    return SweepReport.File(
      path: joinPath(directory.path, name), size: status.size,
      age: .nanoseconds(max(0, age)), process: leftover.process)
  }

  /// Now, by the clock of whoever stores the directory, asked once and only when there is something to judge.
  ///
  /// Where no file can be made, on a full disk for one, it is the wall clock here: good enough for how long a proven
  /// orphan stays, and for nothing else.
  private mutating func currentTime() -> (nanoseconds: Int64, isOfTheFileSystem: Bool) {
    if let now { return now }
    var time = (nanoseconds: WallTime.now.nanosecondsSince1970, isOfTheFileSystem: false)
    if let probe = try? LockedFile(in: directory, for: "sweep", mode: 0o600, path: directory.path) {
      time = (max(probe.status.modified, probe.status.changed), true)
      if let reason = directory.remove(probe.name) { report.failures.append(reason) }
    }
    now = time
    return time
  }
}

extension FileStatus {
  /// Whether both are the same file of the same disk, whatever its names.
  func isSameFile(as other: FileStatus) -> Bool {
    inode == other.inode && device == other.device
  }
}

extension ErrorNumber {
  /// Whether a lock call said that there are no locks, rather than that this one failed.
  var saysNoLocks: Bool {
    switch self {
    case .noLocks, .notSupported, .notImplemented, .invalidArgument: true
    default: false
    }
  }
}
