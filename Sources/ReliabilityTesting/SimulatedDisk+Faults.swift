extension SimulatedDisk {
  /// The system calls of a disk, by their names in C.
  public enum Call: String, Sendable, CaseIterable {
    /// Opening a file that must exist.
    case open
    /// Opening with the flag that creates.
    case create = "open(O_CREAT)"
    /// Opening a directory.
    case openDirectory = "open(O_DIRECTORY)"
    case close, dup, read, write
    case truncate = "ftruncate"
    case fsync, fdatasync, fstat, fstatat, fchmod, fchown, flock
    /// Locks on ranges of bytes.
    case fcntl
    case futimens, fstatfs, flistxattr, fgetxattr, fsetxattr, fremovexattr
    case rename, link, symlink, readlink, unlink, mkdir, rmdir, readdir
  }

  /// Makes a call fail.
  ///
  /// A failed call has no effect, with two exceptions that are the kernel's own: a close frees its descriptor all the
  /// same, and a sync that fails loses what it should have written (``Configuration`` says how).
  ///
  /// - Parameters:
  ///   - call: Which call, or `nil` for any.
  ///   - path: On which file, by the last components of its path; `nil` for any.
  ///   - count: Which of the calls from now on that match, from 1.
  ///   - error: What it fails with.
  ///   - persistently: Whether all later calls that match fail as well.
  public func fail(
    _ call: Call?, on path: String? = nil, at count: Int = 1, with error: ErrorNumber,
    persistently: Bool = false
  ) {
    precondition(count > 0, "count must be greater than zero")
    machine.withLock {
      $0.journal.faults.append(
        CallJournal.Fault(
          call: call, path: path, at: count, error: error, isPersistent: persistently))
    }
  }

  /// Forgets every fault, limit and interruption that was asked for.
  public func clearFaults() {
    machine.withLock {
      $0.journal.faults = []
      $0.journal.transferLimit = nil
      $0.journal.interruptions = 0
    }
  }

  /// How many calls failed because a fault was asked for.
  public var faultsMet: Int { machine.withLock { $0.journal.faultsMet } }

  /// Makes every read and write stop after some bytes.
  ///
  /// - Parameter count: The most bytes a call moves, at least 1, or `nil` for no limit.
  public func limitTransfers(to count: Int?) {
    precondition(count ?? 1 > 0, "count must be greater than zero")
    machine.withLock { $0.journal.transferLimit = count }
  }

  /// Makes every call fail with `EINTR` before it succeeds.
  ///
  /// - Parameter times: How often, 0 for never.
  public func interruptCalls(times: Int) {
    precondition(times >= 0, "times must not be negative")
    machine.withLock { $0.journal.interruptions = times }
  }
}
