internal import BackoffLock
internal import ReliabilityIO

extension TransactionStore {
  /// What is done about bytes of a committed transaction whose place another program has taken or cut off.
  public enum RecoveryRule: Hashable, Sendable {
    /// Nothing: the error is thrown, and the journal keeps the transaction.
    case strict
    /// They are written at the end of the file as it is now, which is made if there is none.
    ///
    /// Nothing is lost and nothing of the other program's is touched. Lines that had been written before the file was
    /// moved or cut are written a second time.
    case appendAtEnd
  }

  /// Applies what is committed but not applied yet, syncs everything, and lets the journal begin anew.
  ///
  /// Every commit and every opening tries the same with ``RecoveryRule/strict``.
  ///
  /// Cancellation ends the wait for the lock; what runs after that runs to its end.
  ///
  /// - Parameter rule: What is done where another program has changed a file.
  /// - Throws: ``StoreError``, such as ``StoreError/Code/externallyTruncated``,
  ///   ``StoreError/Code/externallyReplaced`` or ``StoreError/Code/externallyOverwritten`` with the file's path.
  public nonisolated(nonsending) func recover(_ rule: RecoveryRule = .strict) async throws {
    try await withCore { core, token in try core.recover(rule, token: token) }
  }

  /// Syncs every file that was changed and lets the journal begin anew.
  ///
  /// Call it before a file of the store is moved or cut, and before the directory is copied. It happens by itself when
  /// the journal has grown, after a second without commits, and in ``close()``.
  ///
  /// Cancellation ends the wait for the lock; what runs after that runs to its end.
  ///
  /// - Throws: ``StoreError`` when something can't be synced; nothing is lost, and the next commit tries again.
  public nonisolated(nonsending) func checkpoint() async throws {
    try await withCore { core, token in
      try core.refresh(token)
      try core.settle()
      let directories = core.changedDirectories
      try core.checkpoint(token)
      // The temporary files of replacements are where the files are; the store's opening sees its own directory only.
      for path in directories {
        OrphanSweeper.sweepIfDue(path, fileSystem: core.files.root.open.fileSystem)
      }
    }
  }

  /// Sets the journal of a directory aside, so that a store can be opened that does not know of it.
  ///
  /// The last resort, for ``StoreError/Code/journalCorrupt``, for a lost lock file (``StoreError/Code/fencedOff``),
  /// and for transactions that nobody wants to be finished any more. Transactions that are not applied yet may be
  /// found in part. No store of the directory should be open; one that is refuses everything from then on.
  ///
  /// - Parameters:
  ///   - path: The store's directory.
  ///   - fileSystem: Where it is.
  ///   - clock: Measures the wait for the lock, 30 seconds at most.
  /// - Returns: Where the journal is now, or `nil` when there was none.
  /// - Throws: ``StoreError``, or what the lock throws.
  @discardableResult
  public nonisolated(nonsending) static func discardPending(
    in path: String, fileSystem: FileSystem = .real, clock: any TimeSource = ContinuousClock()
  ) async throws -> String? {
    let lock = makeLock(path, timeout: .seconds(30), fileSystem: fileSystem, clock: clock)
    let hold = try await acquire(lock, directory: path)
    defer { lock.release(hold) }
    return try await DiskExecutor.shared.run { () throws(StoreError) -> String? in
      let name = JournalName.setAside(fileSystem.backend.randomBits())
      return try storeCall(joinPath(path, JournalName.journal)) { () throws(SystemCallError) in
        let directory = try OpenDirectory(path, fileSystem: fileSystem)
        guard try directory.status(of: JournalName.journal) != nil else { return nil }
        try directory.rename(JournalName.journal, to: name, .noReplace)
        try directory.sync()
        return joinPath(path, name)
      }
    }
  }

  /// Sees to it that the journal is emptied once nothing has been committed for a while.
  func scheduleIdleCheckpoint() {
    guard let delay = configuration.idleCheckpoint else { return }
    let instant = clock.now.saturatingAdvanced(by: delay)
    let alarm: IdleAlarm? = idle.withLock { idle in idle.committed(until: instant.sinceOrigin, self)
    }
    if let alarm { clock.schedule(alarm, at: instant) }
  }

  /// The alarm went off.
  fileprivate func idleTimePassed() {
    let now = clock.now
    let next = idle.withLock { idle in idle.alarmWentOff(at: now.sinceOrigin, self) }
    switch next {
    case .nothing: break
    case .checkpoint: Task { try? await self.checkpoint() }
    case .wait(let alarm, let end):
      clock.schedule(alarm, at: ContinuousClock.Instant(sinceOrigin: end))
    }
  }
}

/// When the journal is emptied because nothing happens: one alarm for any number of commits.
struct IdleCheckpoint {
  private var alarm: IdleAlarm?
  private var end: Duration = .zero
  private var hasEnded = false

  enum Next {
    case nothing, checkpoint
    case wait(IdleAlarm, until: Duration)
  }

  /// - Returns: An alarm to schedule when none is.
  mutating func committed(until end: Duration, _ store: TransactionStore) -> IdleAlarm? {
    self.end = end
    guard alarm == nil, !hasEnded else { return nil }
    let new = IdleAlarm(store)
    alarm = new
    return new
  }

  mutating func alarmWentOff(at now: Duration, _ store: TransactionStore) -> Next {
    alarm = nil
    if hasEnded { return .nothing }
    if now >= end { return .checkpoint }
    let new = IdleAlarm(store)
    alarm = new
    return .wait(new, until: end)
  }

  /// - Returns: The alarm to take back.
  mutating func finish() -> IdleAlarm? {
    hasEnded = true
    defer { alarm = nil }
    return alarm
  }
}

/// Wakes a store that still exists.
final class IdleAlarm: Alarm, @unchecked Sendable {
  private weak let store: TransactionStore?

  init(_ store: TransactionStore) {
    self.store = store
    super.init()
  }

  override func fire() { store?.idleTimePassed() }
}
