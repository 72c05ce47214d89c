internal import BackoffLock
internal import ReliabilityIO

extension TransactionStoreCore {
  /// Applies what is committed but not applied, and syncs everything.
  mutating func recover(_ rule: TransactionStore.RecoveryRule, token: FencingToken)
    throws(StoreError)
  {
    try refresh(token)
    do throws(StoreError) {
      try settle()
    } catch {
      guard rule == .appendAtEnd, error.isConflict else { throw error }
      try rebase()
    }
    try checkpoint(token)
  }

  /// Moves appended bytes whose place is taken or gone to the end of their file, and applies everything.
  ///
  /// The journal is written anew before, so that a crash in the middle finds the new places.
  mutating func rebase() throws(StoreError) {
    var records = try journal.scan().records
    var overtaken: Set<String> = []
    for operation in records.flatMap(\.operations) where operation.isWhole {
      overtaken.insert(operation.path)
    }
    var ends: [String: AppendEnd] = [:]
    for index in records.indices {
      for position in records[index].operations.indices {
        let operation = records[index].operations[position]
        guard case .append(let path, _, _, _) = operation, !overtaken.contains(path) else {
          continue
        }
        var end: AppendEnd
        if let known = ends[path] { end = known } else { end = try appendEnd(of: path) }
        let mayBeTorn = records[index].token.epoch < machineEpoch
        let fits = mayBeTorn ? true : try bytesFit(operation)
        records[index].operations[position] = end.place(operation, fits: fits)
        ends[path] = end
      }
    }
    try replaceJournal(with: records, orElseRefuse: false)
    isLastRecordDurable = true
    problem = StoreError(.callFailed, path: journal.path)
    files.forget()
    try settle()
  }

  private mutating func appendEnd(of path: String) throws(StoreError) -> AppendEnd {
    guard let status = try files.status(of: path) else { return AppendEnd() }
    let file = try files.file(path, inode: status.inode)
    return AppendEnd(
      inode: status.inode, size: status.size,
      endsInLine: try endsInLine(file, status.size, files.path(of: path)))
  }

  /// Whether an operation's bytes may be written at its place without harm to those of others.
  private mutating func bytesFit(
    _ operation: JournalOperation
  ) throws(StoreError) -> Bool {
    guard case .append(let path, _, let base, let bytes) = operation,
      let status = try files.status(of: path), status.size > base
    else { return true }
    let file = try files.file(path, inode: status.inode)
    return try mayHold(bytes, file, at: base, size: status.size, files.path(of: path))
  }
}

/// The end of a file while the appends of a journal are given their places.
struct AppendEnd: Hashable, Sendable {
  /// 0 when there is no file.
  var inode: UInt64 = 0
  var size: Int64 = 0
  var endsInLine = true
  /// Once one append had to move, those behind it must too.
  var hasMoved = false

  /// Leaves an append where it is, if it can be made there, or moves it to the end.
  ///
  /// - Parameters:
  ///   - operation: The append.
  ///   - fits: Whether its place holds nothing of others.
  mutating func place(_ operation: JournalOperation, fits: Bool) -> JournalOperation {
    guard case .append(let path, let recorded, let base, let bytes) = operation else {
      return operation
    }
    let isSameFile = recorded == 0 || recorded == inode
    if !hasMoved, isSameFile, base <= size, fits {
      size = max(size, base + Int64(bytes.count))
      endsInLine = true
      return operation
    }
    hasMoved = true
    let line = UInt8(ascii: "\n")
    let moved = endsInLine || bytes.first == line ? bytes : [line] + bytes
    defer {
      size += Int64(moved.count)
      endsInLine = true
    }
    return .append(path: path, inode: inode, base: size, bytes: moved)
  }
}

extension StoreError {
  /// Whether another program has changed a file that a committed transaction appends to.
  var isConflict: Bool {
    switch code {
    case .externallyTruncated, .externallyReplaced, .externallyOverwritten: true
    default: false
    }
  }
}
