internal import BackoffLock
internal import ReliabilityIO

extension TransactionStoreCore {
  /// Commits a transaction: one write and one sync of the journal, then the changes themselves.
  ///
  /// - Throws: When nothing was changed, and nothing will be. ``StoreError/Code/outcomeUnknown`` is the exception.
  mutating func commit(
    _ transaction: FileTransaction, token: FencingToken, isCancelled: () -> Bool = { false }
  ) throws -> TransactionOutcome {
    try refresh(token)
    try settle()
    if transaction.isEmpty { return .committed(transaction: lastTransaction) }

    var sides: [String] = []
    let record: JournalRecord
    let bytes: [UInt8]
    do {
      record = JournalRecord(
        transaction: lastTransaction + 1, token: token,
        operations: try prepare(transaction, token: token, sides: &sides))
      guard let encoded = record.encoded(salt: journal.header.salt) else {
        throw StoreError(.transactionTooLarge, path: files.path(of: transaction.paths[0]))
      }
      bytes = encoded
      if isCancelled() { throw CancellationError() }
      try journal.write(bytes)
    } catch {
      remove(sides)
      throw error
    }
    do throws(StoreError) {
      try journal.sync()
    } catch {
      try withdraw()
      remove(sides)
      throw error
    }
    journal.note(record, size: bytes.count)
    isLastRecordDurable = true
    return finish(record, token: token)
  }

  /// Applies a transaction that is committed.
  private mutating func finish(
    _ record: JournalRecord, token: FencingToken
  ) -> TransactionOutcome {
    do throws(StoreError) {
      for operation in record.operations { try apply(operation, isRepeated: false) }
      journal.markApplied()
    } catch {
      problem = error
      // Someone appended while the journal was synced: the line goes behind theirs.
      guard error.code == .externallyOverwritten, (try? rebase()) != nil else {
        return .committedPendingApply(transaction: record.transaction, reason: error)
      }
    }
    // A failed checkpoint is no failure of this transaction; the next call meets it again.
    if checkpointIsDue { try? checkpoint(token) }
    return .committed(transaction: record.transaction)
  }

  /// Makes sure that a record whose sync has failed never counts.
  ///
  /// It may be on the medium or not, and to sync again would not say. A new journal without it does.
  private mutating func withdraw() throws(StoreError) {
    let last = lastTransaction
    let committed: [JournalRecord]
    do throws(StoreError) {
      committed = try journal.scan().records.filter { $0.transaction <= last }
    } catch {
      abandon()
      throw StoreError(.outcomeUnknown, path: journal.path, cause: error.cause)
    }
    try replaceJournal(with: committed, after: last)
    if problem == nil { journal.markApplied() }
  }

  private func remove(_ sides: [String]) {
    for name in sides { _ = files.root.open.remove(name) }
  }

  /// Says exactly what is to be done, having looked at every file.
  private mutating func prepare(
    _ transaction: FileTransaction, token: FencingToken, sides: inout [String]
  ) throws(StoreError) -> [JournalOperation] {
    var operations: [JournalOperation] = []
    operations.reserveCapacity(transaction.paths.count)
    var manifests: [(path: String, content: [UInt8]?)] = []
    var inodes: Set<UInt64> = []
    for path in transaction.paths {
      switch transaction.changes[path] {
      case .append(let lines)?:
        let place = try placeForAppend(to: path, token: token)
        // Two names of one file would both begin at its end.
        if let inode = place.inode, !inodes.insert(inode).inserted {
          throw StoreError(.conflictingChanges, path: files.path(of: path))
        }
        operations.append(
          .append(
            path: path, inode: place.isNew ? 0 : place.inode ?? 0, base: place.base,
            bytes: place.endsInLine ? lines : [UInt8(ascii: "\n")] + lines))
      case .replace(let bytes, let mode)?:
        _ = try files.status(of: path)
        if bytes.count > sideThreshold {
          let side = try writeSide(bytes, for: path)
          sides.append(side.name)
          operations.append(.replaceFromSide(path: path, mode: mode, side: side))
        } else {
          operations.append(.replace(path: path, mode: mode, bytes: bytes))
        }
      case .remove?:
        _ = try files.status(of: path)
        operations.append(.remove(path: path))
      case .manifest(let content)?: manifests.append((path, content))
      case nil: break
      }
    }
    if !sides.isEmpty { try syncRoot() }
    let changes = operations
    for (path, content) in manifests {
      operations.append(try manifest(path, content: content, after: changes))
    }
    return operations
  }

  /// Where bytes that are appended belong.
  private struct Place {
    var inode: UInt64?
    var isNew: Bool
    var base: Int64
    var endsInLine: Bool
  }

  private mutating func placeForAppend(
    to path: String, token: FencingToken
  ) throws(StoreError) -> Place {
    let status = try files.status(of: path)
    if epoch.mustCheckpoint(
      beforeAppendTo: path, inode: status?.inode, size: status?.size ?? 0)
    {
      try checkpoint(token)
    }
    guard let status else { return Place(inode: nil, isNew: true, base: 0, endsInLine: true) }
    let (inode, size) = (status.inode, status.size)
    let appended = epoch.appended[path]
    let place = Place(
      inode: inode, isNew: appended?.isNew ?? false, base: size, endsInLine: true)
    if appended?.end == size || files.isSynced(path, inode: inode, size: size) { return place }

    // Bytes of others. Ours will be behind them, so they must be durable first: after a power cut the file would be
    // too short, as if someone had cut it.
    let file = try files.file(path, inode: inode)
    let full = files.path(of: path)
    let directory = try files.directory(of: path)
    do throws(SystemCallError) {
      try file.open.sync(.data)
      if appended == nil { try directory.open.sync() }
    } catch {
      files.forget()
      throw StoreError(.syncing(error), path: full, cause: error)
    }
    files.noteSynced(path, inode: inode, size: size)
    return Place(
      inode: inode, isNew: place.isNew, base: size, endsInLine: try endsInLine(file, size, full))
  }

  /// Whether a file is empty or ends in a line break.
  func endsInLine(
    _ file: TransactionStoreFiles.File, _ size: Int64, _ path: String
  ) throws(StoreError) -> Bool {
    guard size > 0 else { return true }
    let last = try storeCall(path) { () throws(SystemCallError) in
      try [UInt8](capacity: 1) { (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
        try file.open.readAll(into: &buffer, at: size - 1)
      }
    }
    return last == [UInt8(ascii: "\n")]
  }

  /// Writes content that is too large for the journal to a file of its own.
  private func writeSide(_ bytes: [UInt8], for path: String) throws(StoreError) -> SideFile {
    let directory = files.root
    let name = JournalName.side(directory.open.fileSystem.backend.randomBits())
    let full = files.path(of: path)
    let file = try storeCall(full) { () throws(SystemCallError) in
      try directory.open.open(
        name, [.read, .write, .create, .exclusive, .noFollow], mode: 0o600)
    }
    do throws(SystemCallError) {
      try file.writeAll(bytes.span, at: 0)
      try file.sync(.full)
    } catch {
      let code: StoreError.Code = error.call == "fsync" ? .syncing(error) : .writing(error)
      throw StoreError(
        code, path: full, cause: error, leftover: directory.open.remove(name)?.path)
    }
    return SideFile(
      name: name, size: Int64(bytes.count), checksum: CRC32C(bytes.span).value)
  }

  private func syncRoot() throws(StoreError) {
    let directory = files.root
    do throws(SystemCallError) { try directory.open.sync() } catch {
      throw StoreError(.syncing(error), path: directory.open.path, cause: error)
    }
  }

  /// The manifest as it is after some changes.
  private mutating func manifest(
    _ path: String, content: [UInt8]?, after operations: [JournalOperation]
  ) throws(StoreError) -> JournalOperation {
    var text = ManifestText()
    if let old = try read(path) {
      guard let parsed = ManifestText(old) else {
        throw StoreError(.invalidManifest, path: files.path(of: path))
      }
      text = parsed
    }
    text.transaction = lastTransaction + 1
    if let content { text.content = content }
    for operation in operations {
      text.files[operation.path] =
        switch operation {
        case .append(_, _, let base, let bytes): base + Int64(bytes.count)
        case .replace(_, _, let bytes): Int64(bytes.count)
        case .replaceFromSide(_, _, let side): side.size
        case .remove: nil
        }
    }
    return .replace(path: path, mode: nil, bytes: text.encoded)
  }
}
