/// The locks of one process, by lock file: several ``BackoffLock``s of one file share one queue.
///
/// A test makes a second one to play another process: the system's locks belong to open files, not to processes.
package final class LockRegistry: Sendable {
  package static let shared = LockRegistry()

  private struct Entry {
    weak var core: LockCore?
  }

  private let entries = Lock<[LockFile.Identity: Entry]>([:])

  package init() {}

  /// The core of an open lock file: the one that is there already, or a new one around this file.
  func core(for file: LockFile, clock: NanosecondClock) -> LockCore {
    var found: LockCore?
    // Never let go of under the lock: the last one to do so comes here again.
    defer { withExtendedLifetime(found) {} }
    return entries.withLock { entries in
      found = entries[file.identity]?.core
      if let found, !found.isRetired { return found }
      let core = LockCore(file, registry: self, clock: clock)
      entries[file.identity] = Entry(core: core)
      return core
    }
  }

  /// Forgets a core that has ended, unless another took its place.
  func forget(_ identity: LockFile.Identity, _ core: LockCore?) {
    var found: LockCore?
    defer { withExtendedLifetime(found) {} }
    entries.withLock { entries in
      found = entries[identity]?.core
      if found == nil || found === core { entries[identity] = nil }
    }
  }
}
