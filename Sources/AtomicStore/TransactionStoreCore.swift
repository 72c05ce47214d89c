internal import BackoffLock
internal import ReliabilityIO

/// The work of a store below the lock: journal, files, and what has been applied.
///
/// All calls block.
///
/// Whoever calls holds the store's lock and hands over its token, which says whether anybody else had it since the
/// last call.
struct TransactionStoreCore: ~Copyable {
  var files: TransactionStoreFiles
  var journal: Journal
  /// What is applied but not synced.
  var epoch = JournalEpoch()
  /// Why the journal holds a transaction that is not applied.
  var problem: StoreError?
  /// A sync of a file or directory has failed: nothing that looks right may be believed.
  private var distrustsFiles = false
  /// Whether nothing is known any more; only a new store can find out.
  private var isBroken = false
  /// Whether the last record is known to be on the medium, not only in the kernel's memory.
  var isLastRecordDurable = true
  private var lastToken: FencingToken?
  /// Which start of the machine this is.
  private(set) var machineEpoch: UInt32
  private let options: Options

  struct Options: Sendable {
    /// How many bytes of records make a checkpoint due.
    var checkpointSize = 512 << 10
    /// How many zeros a new journal is filled with.
    var journalRoom = Journal.room
    /// Replacements longer than this go to a file of their own.
    var sideThreshold = 1 << 20
  }

  /// Opens the store of a directory, which is made if there is none, and recovers it.
  ///
  /// A transaction that can't be applied doesn't fail the opening: it stays ``problem``.
  static func open(
    _ path: String, token: FencingToken, options: Options = Options(), fileSystem: FileSystem
  ) throws(StoreError) -> TransactionStoreCore {
    let files = try TransactionStoreFiles(
      root: openDirectory(path, fileSystem: fileSystem), path: path)
    guard let found = try Journal.open(in: files.root.open) else {
      let made = try Journal(
        making: [], generation: 1, after: 0, token: token, room: options.journalRoom,
        in: files.root.open)
      return TransactionStoreCore(files: files, journal: made, token: token, options: options)
    }
    var core = TransactionStoreCore(files: files, journal: found, token: token, options: options)
    let scan = try core.journal.scan()
    try core.check(token)
    if let last = scan.records.last {
      // What is read after a restart of the machine is on the medium.
      core.isLastRecordDurable = scan.isMarkedApplied || last.token.epoch < token.epoch
      do throws(StoreError) {
        try core.redo()
        try core.checkpoint(token)
      } catch {
        core.problem = error
      }
    }
    if core.journal.isEmpty { core.removeSideFiles() }
    return core
  }

  private init(
    files: TransactionStoreFiles, journal: consuming Journal, token: FencingToken, options: Options
  ) {
    self.files = files
    self.journal = journal
    self.options = options
    lastToken = token
    machineEpoch = token.epoch
  }

  private static func openDirectory(
    _ path: String, fileSystem: FileSystem
  ) throws(StoreError) -> OpenDirectory {
    do throws(SystemCallError) {
      return try OpenDirectory(path, fileSystem: fileSystem, mayBeUnreadable: false)
    } catch {
      throw StoreError(
        error.number == .notFound || error.number == .notADirectory
          ? .directoryMissing : .callFailed, path: path, cause: error)
    }
  }

  var lastTransaction: UInt64 { journal.lastTransaction }

  private func check(_ token: FencingToken) throws(StoreError) {
    if token < journal.token { throw StoreError(.fencedOff, path: journal.path) }
  }

  private func removeSideFiles() {
    for name in (try? files.root.open.entries()) ?? [] where JournalName.isSide(name) {
      _ = files.root.open.remove(name)
    }
  }
}

extension TransactionStoreCore {
  /// Takes in what other processes have done since the last call.
  mutating func refresh(_ token: FencingToken) throws(StoreError) {
    if isBroken { throw StoreError(.outcomeUnknown, path: journal.path) }
    let path = journal.path
    let directory = files.root
    let status = try storeCall(path) { () throws(SystemCallError) in
      try directory.open.status(of: JournalName.journal)
    }
    if status?.inode == journal.inode, let last = lastToken,
      token == last || token.directlyFollows(last)
    {
      lastToken = token
      return
    }
    lastToken = nil
    try files.requireRoot()
    let known = journal.lastTransaction
    if status?.inode != journal.inode {
      guard let other = try Journal.open(in: files.root.open) else {
        throw StoreError(.closed, path: path)
      }
      journal = other
      try beginAnew()
    } else {
      switch try journal.refresh() {
      case .anew: try beginAnew()
      case .records(let scan):
        note(scan)
        if scan.isMarkedApplied {
          problem = nil
          isLastRecordDurable = true
        } else if journal.lastTransaction > known {
          problem = TransactionStoreCore.stoppedHalfway(path)
          isLastRecordDurable = false
        }
      }
    }
    try check(token)
    lastToken = token
  }

  private mutating func beginAnew() throws(StoreError) {
    epoch = JournalEpoch()
    distrustsFiles = false
    let scan = try journal.scan()
    note(scan)
    isLastRecordDurable = scan.isMarkedApplied || scan.records.isEmpty
    problem = isLastRecordDurable ? nil : TransactionStoreCore.stoppedHalfway(journal.path)
  }

  private mutating func note(_ scan: JournalScan) {
    for record in scan.records {
      for operation in record.operations { epoch.note(operation) }
    }
  }

  /// Another process was killed between its commit and the last of its changes; it only has to be finished.
  private static func stoppedHalfway(_ path: String) -> StoreError {
    StoreError(.callFailed, path: path)
  }

  /// Applies what is committed but not applied.
  mutating func settle() throws(StoreError) {
    guard problem != nil else { return }
    do throws(StoreError) {
      try redo()
    } catch {
      problem = error
      throw error
    }
  }

  /// Makes every change of the journal again.
  private mutating func redo() throws(StoreError) {
    let scan = try journal.scan()
    if !isLastRecordDurable {
      // Its writer was stopped, perhaps before the sync. Nothing of it may be applied before it is durable, and a sync
      // would not do: after one that failed in another process, the next reports success.
      try replaceJournal(with: scan.records, orElseRefuse: false)
      isLastRecordDurable = true
    }
    epoch = JournalEpoch()
    for step in RecoveryPlan(scan.records).steps {
      try apply(
        step.operation, isRepeated: true, mayBeTorn: step.machineEpoch < machineEpoch)
    }
    problem = nil
    journal.markApplied()
  }

  /// Makes one change, or makes it again.
  ///
  /// - Parameters:
  ///   - operation: The change.
  ///   - isRepeated: Whether it may have been made before.
  ///   - mayBeTorn: Whether the machine has been restarted since it was committed.
  mutating func apply(
    _ operation: JournalOperation, isRepeated: Bool, mayBeTorn: Bool = false
  ) throws(StoreError) {
    let inode: UInt64? =
      switch operation {
      case .append(let path, let inode, let base, let bytes):
        try append(bytes, to: path, inode: inode, at: base, mayBeTorn: mayBeTorn)
      case .replace(let path, let mode, let bytes):
        try replace(
          path, mode: mode, with: .bytes(bytes), isRepeated: isRepeated && !distrustsFiles)
      case .replaceFromSide(let path, let mode, let side):
        try replace(path, mode: mode, with: .side(side), isRepeated: false)
      case .remove(let path): try remove(path)
      }
    epoch.note(operation, inode: inode)
  }

  /// Syncs everything that is applied and lets the journal forget it.
  mutating func checkpoint(_ token: FencingToken) throws(StoreError) {
    if let problem { throw problem }
    guard !journal.isEmpty else { return }
    do throws(StoreError) {
      try syncFiles()
    } catch {
      // What the kernel could not write it may have dropped. The journal still has it all.
      distrustsFiles = true
      problem = error
      files.forget()
      journal.unmarkApplied()
      throw error
    }
    do throws(StoreError) {
      try journal.reset(token: token)
    } catch {
      guard journal.isPoisoned else { throw error }
      try replaceJournal(with: [])
    }
    for name in epoch.sideFiles { _ = files.root.open.remove(name) }
    epoch = JournalEpoch()
    distrustsFiles = false
  }

  private mutating func syncFiles() throws(StoreError) {
    for (path, appended) in epoch.appended {
      let full = files.path(of: path)
      let file: TransactionStoreFiles.File
      if let open = files.openFile(path, inode: appended.inode) {
        file = open
      } else {
        let status = try files.status(of: path)
        guard let status, appended.inode == 0 || appended.inode == status.inode else {
          throw StoreError(.externallyReplaced, path: full)
        }
        file = try files.file(path, inode: status.inode)
      }
      do throws(SystemCallError) { try file.open.sync(.data) } catch {
        throw StoreError(.syncing(error), path: full, cause: error)
      }
      files.noteSynced(path, inode: file.inode, size: appended.end)
    }
    for relative in epoch.directories {
      let directory = try files.directory(relative, for: relative)
      do throws(SystemCallError) { try directory.open.sync() } catch {
        throw StoreError(.syncing(error), path: files.path(of: relative), cause: error)
      }
    }
  }

  /// Puts a new journal in the place of the old one, of which nothing counts any more.
  ///
  /// - Parameters:
  ///   - records: What it begins with.
  ///   - transaction: The last one before the first record that is to come.
  ///   - orElseRefuse: Whether a failure leaves something open, so that this store must refuse everything.
  mutating func replaceJournal(
    with records: [JournalRecord], after transaction: UInt64? = nil, orElseRefuse: Bool = true
  ) throws(StoreError) {
    let last = transaction ?? journal.lastTransaction
    do throws(StoreError) {
      journal = try Journal(
        making: records, generation: journal.header.generation + 1, after: last,
        token: journal.token, room: options.journalRoom, in: files.root.open)
    } catch {
      guard orElseRefuse || error.code == .outcomeUnknown else { throw error }
      isBroken = true
      throw StoreError(.outcomeUnknown, path: journal.path, cause: error.cause)
    }
  }

  /// The directories in which names have changed since the last checkpoint.
  var changedDirectories: [String] {
    epoch.directories.map { $0.isEmpty ? files.root.open.path : files.path(of: $0) }
  }

  /// Refuses everything from now on.
  mutating func abandon() { isBroken = true }

  var checkpointIsDue: Bool { journal.end >= options.checkpointSize }
  var sideThreshold: Int { options.sideThreshold }
}
