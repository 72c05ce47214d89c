internal import BackoffLock
internal import ReliabilityIO

/// The open journal of a store: a file of fixed blocks that is written in place and never shrinks.
///
/// Room is written with zeros when it is made. To overwrite it and to sync then changes no metadata, which saves a
/// third of the time of a growing file.
struct Journal: ~Copyable {
  private let file: OpenFile
  let inode: UInt64
  private(set) var header: JournalHeader
  /// Behind the last record, counted from the first.
  private(set) var end = 0
  private(set) var lastTransaction: UInt64
  /// The highest token whose holder has written.
  private(set) var token: FencingToken
  /// A sync failed: what the file holds is unknown, and it must not be synced again.
  private(set) var isPoisoned = false

  /// How many bytes are filled with zeros when a journal is made.
  static let room = 1 << 20
  /// How much is read at once to look for new records.
  private static let window = 1 << 16

  var path: String { file.path }
  var isEmpty: Bool { end == 0 }

  /// Makes a journal with some records and puts it in the place of the one there is.
  ///
  /// Everything is synced before the name changes. When it throws after that (``StoreError/Code/outcomeUnknown``), the
  /// new journal has its name, but a power cut may bring the old one back.
  init(
    making records: [JournalRecord], generation: UInt64, after lastTransaction: UInt64,
    token: FencingToken, room: Int, in directory: borrowing OpenDirectory
  ) throws(StoreError) {
    let path = joinPath(directory.path, JournalName.journal)
    let salt = Journal.makeSalt(directory.fileSystem)
    let header = JournalHeader(
      generation: generation, salt: salt,
      lastTransaction: records.first.map { $0.transaction &- 1 } ?? lastTransaction, token: token)
    var content = JournalWriter(capacity: JournalHeader.area + room)
    let copy = header.encoded
    for _ in 0..<2 {
      content.raw(copy)
      content.pad(toMultipleOf: JournalHeader.stride)
    }
    for record in records {
      guard let bytes = record.encoded(salt: salt) else {
        throw StoreError(.transactionTooLarge, path: path)
      }
      content.raw(bytes)
    }
    let end = content.content.count - JournalHeader.area
    content.raw(repeatElement(0, count: max(AppliedMark.size, room - end)))

    let made = try Made(content.content, in: directory, path: path)
    inode = made.inode
    file = made.file
    self.header = header
    self.token = token
    self.end = end
    self.lastTransaction = records.last?.transaction ?? lastTransaction
  }

  /// A new file in the journal's place.
  private struct Made: ~Copyable {
    let file: OpenFile
    let inode: UInt64

    init(
      _ content: [UInt8], in directory: borrowing OpenDirectory, path: String
    ) throws(StoreError) {
      if let error = directory.remove(JournalName.newJournal) {
        throw StoreError(.callFailed, path: path, cause: error)
      }
      let made = try storeCall(path) { () throws(SystemCallError) in
        try directory.open(
          JournalName.newJournal, [.read, .write, .create, .exclusive, .noFollow], mode: 0o666)
      }
      let status: FileStatus
      do throws(SystemCallError) {
        try made.writeAll(content.span, at: 0)
        try made.sync(.full)
        status = try made.status()
        try directory.rename(JournalName.newJournal, to: JournalName.journal)
      } catch {
        _ = directory.remove(JournalName.newJournal)
        let code: StoreError.Code = error.call == "fsync" ? .syncing(error) : .writing(error)
        throw StoreError(code, path: path, cause: error)
      }
      do throws(SystemCallError) {
        try directory.sync()
      } catch {
        throw StoreError(.outcomeUnknown, path: path, cause: error)
      }
      file = made
      inode = status.inode
    }
  }

  /// Opens the journal of a directory, without reading its records.
  ///
  /// - Returns: `nil` when there is none.
  static func open(
    in directory: borrowing OpenDirectory, forReading: Bool = false
  ) throws(StoreError) -> Journal? {
    let path = joinPath(directory.path, JournalName.journal)
    let flags: OpenFlags = forReading ? [.read, .noFollow] : [.read, .write, .noFollow]
    let status = try storeCall(path) { () throws(SystemCallError) in
      try directory.status(of: JournalName.journal)
    }
    guard status != nil else { return nil }
    let file = try storeCall(path) { () throws(SystemCallError) in
      try directory.open(JournalName.journal, flags)
    }
    let inode = try storeCall(path) { () throws(SystemCallError) in try file.status().inode }
    switch try storeCall(path, { () throws(SystemCallError) in try readHeader(file) }) {
    case .header(let header): return Journal(file: file, inode: inode, header: header)
    case .newer: throw StoreError(.formatTooNew, path: path)
    case .damaged: throw StoreError(.journalCorrupt, path: path)
    }
  }

  private init(file: consuming OpenFile, inode: UInt64, header: JournalHeader) {
    self.file = file
    self.inode = inode
    self.header = header
    lastTransaction = header.lastTransaction
    token = header.token
  }

  private static func makeSalt(_ fileSystem: FileSystem) -> UInt64 {
    while true {
      let salt = fileSystem.backend.randomBits()
      if salt != 0 { return salt }
    }
  }

  private static func readHeader(
    _ file: borrowing OpenFile
  ) throws(SystemCallError) -> JournalHeader.Reading {
    let count = JournalHeader.stride + JournalHeader.size
    let bytes = try [UInt8](capacity: count) {
      (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
      try file.readAll(into: &buffer, at: 0)
    }
    return JournalHeader.read(bytes)
  }
}

extension Journal {
  /// Reads all records, also those of this process.
  mutating func scan() throws(StoreError) -> JournalScan {
    let size = try calling { () throws(SystemCallError) in try file.status().size }
    let bytes = try read(from: 0, count: Int(clamping: size) - JournalHeader.area)
    let scan: JournalScan
    do throws(JournalScan.Damage) {
      scan = try JournalScan(bytes, salt: header.salt, after: header.lastTransaction)
    } catch {
      switch error {
      case .corrupt: throw StoreError(.journalCorrupt, path: path)
      case .unknownRecord: throw StoreError(.formatTooNew, path: path)
      }
    }
    end = 0
    lastTransaction = header.lastTransaction
    token = header.token
    note(scan)
    return scan
  }

  /// What others have written since this process looked.
  enum News {
    case records(JournalScan)
    /// The records were made durable and forgotten: the journal begins anew.
    case anew
  }

  /// Looks for records of other processes behind the last known one.
  mutating func refresh() throws(StoreError) -> News {
    switch try calling({ () throws(SystemCallError) in try Journal.readHeader(file) }) {
    case .header(let current):
      guard current == header else {
        header = current
        return .anew
      }
    case .newer: throw StoreError(.formatTooNew, path: path)
    case .damaged: throw StoreError(.journalCorrupt, path: path)
    }
    var bytes = try read(from: end, count: Journal.window)
    var scan = try scanPart(bytes)
    while case .incomplete(let size) = JournalRecord.read(bytes[scan.size...], salt: header.salt) {
      let before = bytes.count
      bytes = try read(from: end, count: max(scan.size + size, 2 * before))
      if bytes.count <= before { break }
      scan = try scanPart(bytes)
    }
    note(scan)
    return .records(scan)
  }

  private func scanPart(_ bytes: [UInt8]) throws(StoreError) -> JournalScan {
    do throws(JournalScan.Damage) {
      return try JournalScan(
        bytes, salt: header.salt, after: lastTransaction, looksFurther: false)
    } catch {
      throw StoreError(.formatTooNew, path: path)
    }
  }

  private mutating func note(_ scan: JournalScan) {
    guard let last = scan.records.last else { return }
    end += scan.size
    lastTransaction = last.transaction
    token = max(token, scan.records.map(\.token).max() ?? token)
  }

  /// Writes a record behind the last one; it counts only once it is synced.
  func write(_ record: [UInt8]) throws(StoreError) {
    try calling { () throws(SystemCallError) in try file.writeAll(record.span, at: offset(end)) }
  }

  /// The commit point.
  mutating func sync() throws(StoreError) {
    precondition(!isPoisoned, "a file whose sync failed is never synced again")
    do throws(SystemCallError) {
      try file.sync(.data)
    } catch {
      isPoisoned = true
      throw StoreError(.syncing(error), path: path, cause: error)
    }
  }

  /// Counts a record that was written and synced.
  mutating func note(_ record: JournalRecord, size: Int) {
    end += size
    lastTransaction = record.transaction
    token = max(token, record.token)
  }

  /// Tells other processes that everything up to the last record has been applied.
  func markApplied() {
    let mark = AppliedMark(salt: header.salt, transaction: lastTransaction)
    // Without the mark the next process applies the last record once more.
    try? write(mark.encoded, at: end)
  }

  func unmarkApplied() {
    try? write([UInt8](repeating: 0, count: AppliedMark.size), at: end)
  }

  /// Forgets all records: their changes are durable.
  mutating func reset(token newToken: FencingToken) throws(StoreError) {
    let new = JournalHeader(
      generation: header.generation + 1, salt: Journal.makeSalt(file.fileSystem),
      lastTransaction: lastTransaction, token: max(token, newToken))
    try calling { () throws(SystemCallError) in
      try file.writeAll(new.encoded.span, at: new.offset)
    }
    // Before a record may overwrite what the old header still counts.
    try sync()
    header = new
    token = new.token
    end = 0
  }

  private func offset(_ position: Int) -> Int64 { Int64(JournalHeader.area + position) }

  private func write(_ bytes: [UInt8], at position: Int) throws(StoreError) {
    try calling { () throws(SystemCallError) in
      try file.writeAll(bytes.span, at: offset(position))
    }
  }

  private func read(from position: Int, count: Int) throws(StoreError) -> [UInt8] {
    guard count > 0 else { return [] }
    return try calling { () throws(SystemCallError) in
      try [UInt8](capacity: count) {
        (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
        try file.readAll(into: &buffer, at: offset(position))
      }
    }
  }

  private func calling<R>(
    _ body: () throws(SystemCallError) -> R
  ) throws(StoreError) -> R {
    try storeCall(path, body)
  }
}

/// Runs system calls and says in the error which file of the store they were about.
func storeCall<R: ~Copyable>(
  _ path: String, _ body: () throws(SystemCallError) -> R
) throws(StoreError) -> R {
  do throws(SystemCallError) {
    return try body()
  } catch {
    throw StoreError(.writing(error), path: path, cause: error)
  }
}

extension StoreError.Code {
  /// The code for an error of a sync.
  static func syncing(_ error: SystemCallError) -> StoreError.Code {
    let code = writing(error)
    return code == .callFailed ? .syncFailed : code
  }
}
