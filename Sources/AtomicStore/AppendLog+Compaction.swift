internal import ReliabilityIO

extension AppendLog {
  /// What a compaction has done.
  public struct Compaction: Hashable, Sendable {
    /// The generation of the log from now on.
    public let generation: UInt64
    /// Where the snapshot began before which everything was replaced, in the old generation.
    public let replacedUpTo: Position
    /// Where the records that were kept begin, in the new generation.
    public let snapshotEnd: Position
    /// The size of the file before, in bytes.
    public let bytesBefore: Int64
    /// The size of the file after, in bytes.
    public let bytesAfter: Int64
    /// Whether it survives a power cut.
    public let isDurable: Bool

    /// Where a record that was kept is now.
    ///
    /// - Parameter position: A position of the old generation.
    /// - Returns: `nil` when what was there was replaced, or the position is of another generation.
    public func translate(_ position: Position) -> Position? {
      guard position.generation == replacedUpTo.generation, position >= replacedUpTo else {
        return nil
      }
      let offset = position.offset - replacedUpTo.offset + snapshotEnd.offset
      return Position(generation: generation, offset: offset)
    }
  }

  /// Replaces all records before a position by a snapshot of what they led to.
  ///
  /// The new file is written beside the old one while appends go on; only the records that came meanwhile are copied
  /// under the lock. It takes the name in one step, so a crash leaves the old log or the new one. Records from the
  /// position on are kept byte for byte. Bad records before it leave the log once they are in the quarantine file.
  ///
  ///     let (state, position) = store.snapshot()  // taken together
  ///     try await log.compact(upTo: position) { snapshot in
  ///       for entry in state { try await snapshot.append(entry.encoded) }
  ///     }
  ///
  /// - Parameters:
  ///   - position: Up to where the snapshot stands for the records; ``Receipt/end`` or ``Record/next`` of the last one
  ///     that is in it.
  ///   - write: Appends the snapshot's records. What it throws ends the compaction, and the log is as it was.
  /// - Returns: The new generation, and how to translate positions.
  /// - Throws: ``StoreError``; with ``StoreError/Code/stalePosition`` another process was faster. `LockTimeoutError`,
  ///   `LockError`. `CancellationError` while it writes or waits; then the log is as it was.
  /// - Complexity: O(bytes of the log).
  @discardableResult
  public nonisolated(nonsending) func compact(
    upTo position: Position, _ write: (Snapshot) async throws -> Void
  ) async throws -> Compaction {
    try requireWritable()
    precondition(options.format == .checked, "a plain file can't be compacted")
    if shared.withLock({ $0.queue.isClosed }) { throw StoreError(.closed, path: path) }
    let draft = try await DiskExecutor.shared.run { () throws(StoreError) in
      try LogDraft(self, upTo: position)
    }
    let snapshot = Snapshot(draft: draft, log: self)
    do {
      try await write(snapshot)
      try await snapshot.flush()
      // What is there while nobody writes stays there. Beyond it may be the half of a write that is yet to fail.
      let end = try await withFile { (file) throws(StoreError) in try draft.end(of: file) }
      try await DiskExecutor.shared.run { () throws(StoreError) in
        try draft.copyTail(of: self, upTo: end)
        try draft.findBadRecords(for: self)
      }
      try Task.checkCancellation()
      let result = try await withFile { (file) throws(StoreError) in
        try draft.publish(&file, log: self)
      }
      deliverEvents()
      return result
    } catch {
      await DiskExecutor.shared.run { draft.discard() }
      throw error
    }
  }

  /// Replaces all records before a position by others.
  ///
  /// - Parameters:
  ///   - position: Up to where the records stand for those in the log.
  ///   - records: The snapshot.
  /// - Returns: The new generation, and how to translate positions.
  /// - Throws: As ``compact(upTo:_:)``.
  @discardableResult
  public nonisolated(nonsending) func compact(
    upTo position: Position, replacingWith records: some Sequence<[UInt8]>
  ) async throws -> Compaction {
    try await compact(upTo: position) { snapshot in
      for record in records { try await snapshot.append(record) }
    }
  }

  /// Takes the records of a snapshot, for use within ``compact(upTo:_:)``, by one task.
  public final class Snapshot: Sendable {
    private let draft: LogDraft
    private let log: AppendLog
    private let buffer = Lock<[UInt8]>([])

    init(draft: LogDraft, log: AppendLog) {
      self.draft = draft
      self.log = log
    }

    /// Adds a record to the snapshot.
    ///
    /// - Parameter record: As for ``AppendLog/append(_:durability:)``.
    /// - Throws: ``StoreError``, with ``StoreError/Code/closed`` after the compaction; `CancellationError`.
    public nonisolated(nonsending) func append(_ record: [UInt8]) async throws {
      if record.count > log.options.maximumRecordSize {
        throw StoreError(.recordTooLarge, path: log.path)
      }
      if LogLine.flaw(in: record, format: .checked) != nil {
        throw StoreError(.invalidRecord, path: log.path)
      }
      let isFull = buffer.withLock { buffer in
        LogLine.append(record, to: &buffer)
        return buffer.count >= 1 << 18
      }
      if isFull {
        try Task.checkCancellation()
        try await flush()
      }
    }

    nonisolated(nonsending) func flush() async throws(StoreError) {
      let bytes = buffer.withLock { buffer in
        let bytes = buffer
        buffer = []
        return bytes
      }
      let draft = draft
      try await DiskExecutor.shared.run { () throws(StoreError) in try draft.append(bytes) }
    }
  }
}

/// The next generation of a log, while it is written.
final class LogDraft: Sendable {
  private struct State: ~Copyable {
    var file: TemporaryFile
    /// What of the old log is in it, after the snapshot.
    var copied: Int64
    var snapshotEnd: Int64 = 0
  }

  private let position: AppendLog.Position
  private let header: LogHeader
  private let path: String
  /// `nil` once the compaction has ended, whatever became of it.
  private let state: Lock<State?>

  init(_ log: AppendLog, upTo position: AppendLog.Position) throws(StoreError) {
    // Refuses a position of another generation; one in the header is that of the first record.
    let position = try log.openToRead(position).position
    let old = try log.place.openToRead()
    do throws(SystemCallError) {
      switch try LogHeader.read(from: old) {
      case .header(var found), .damaged(var found):
        guard found.generation < .max else {
          throw SystemCallError(.outOfRange, call: "read", path: log.path)
        }
        found.generation += 1
        header = found
      case .none, .torn, .foreign:
        throw SystemCallError(.invalidArgument, call: "read", path: log.path)
      }
    } catch {
      throw StoreError(.notALog, path: log.path, cause: error)
    }
    guard header.generation == position.generation + 1 else {
      throw StoreError(.stalePosition, path: log.path)
    }
    self.position = position
    path = log.path
    var file = try TemporaryFile(
      for: log.path, options: AtomicFile.Options(), fileSystem: log.place.fileSystem)
    try file.append(header.line.span)
    state = Lock(State(file: file, copied: position.offset))
  }

  private func withState<R>(
    _ body: (inout State) throws(StoreError) -> R
  ) throws(StoreError) -> R {
    try state.withLock { (state) throws(StoreError) in
      guard var open = state.take() else { throw StoreError(.closed, path: path) }
      do throws(StoreError) {
        let result = try body(&open)
        state = consume open
        return result
      } catch {
        state = consume open
        throw error
      }
    }
  }

  func append(_ bytes: [UInt8]) throws(StoreError) {
    try withState { (state) throws(StoreError) in try state.file.append(bytes.span) }
  }

  /// Lets go of the file, and removes it unless it was published.
  func discard() { state.withLock { _ = $0.take() } }

  /// Where the log ends, for whoever has its lock.
  func end(of file: borrowing LogFile) throws(StoreError) -> Int64 {
    guard file.generation == position.generation else {
      throw StoreError(.stalePosition, path: path)
    }
    return file.end
  }

  /// Copies the records from the position up to an end that was seen under the lock, and makes all so far durable.
  func copyTail(of log: AppendLog, upTo end: Int64) throws(StoreError) {
    let source = try log.place.openToRead()
    try withState { (state) throws(StoreError) in
      state.snapshotEnd = state.file.size
      do throws(SystemCallError) {
        if end > state.copied {
          do throws(StoreError) {
            try state.file.append(state.copied..<end, of: source)
          } catch {
            throw error.cause ?? SystemCallError(.inputOutput, call: "read", path: log.path)
          }
          state.copied = end
        }
        // So that little is left to sync under the lock.
        try state.file.file.sync(.data)
      } catch {
        throw state.file.abandon(.writing(error), error)
      }
    }
  }

  /// Meets the bad records that the compaction will drop.
  func findBadRecords(for log: AppendLog) throws(StoreError) {
    let source = try log.openToRead(nil)
    guard source.generation == position.generation else { return }
    var reader = LogReader(
      try log.place.openToRead(), from: source.reader.offset, to: position.offset,
      format: .checked, maximumRecordSize: log.options.maximumRecordSize)
    do throws(SystemCallError) {
      while let chunk = try reader.next() { log.meet(chunk, generation: source.generation) }
    } catch {
      throw StoreError(.callFailed, path: log.path, cause: error)
    }
  }

  /// Copies what came last, and gives the draft the log's name.
  func publish(
    _ file: inout LogFile, log: AppendLog
  ) throws(StoreError) -> AppendLog.Compaction {
    guard file.generation == position.generation else {
      throw StoreError(.stalePosition, path: log.path)
    }
    try log.quarantineBlocking(&file)
    defer { discard() }
    return try withState { (state) throws(StoreError) in
      let before = file.end
      try state.file.refreshTarget()
      // A program without the lock has cut the log, or the path leads elsewhere since.
      guard before >= state.copied,
        state.file.target.existing.map(FileIdentity.init) == file.identity
      else { throw StoreError(.stalePosition, path: log.path) }
      if before > state.copied {
        try state.file.append(state.copied..<before, of: file.file!)
      }
      let size = state.file.size
      let outcome = try state.file.publish()
      // The log is the new one from here on. What fails now makes the next turn look again, not this one undone.
      do throws(StoreError) {
        try file.adopt(outcome, size: size, header: header)
      } catch {
        file.news.counts.failures += 1
      }
      let result = AppendLog.Compaction(
        generation: header.generation, replacedUpTo: position,
        snapshotEnd: .init(generation: header.generation, offset: state.snapshotEnd),
        bytesBefore: before, bytesAfter: size, isDurable: outcome.isDurable)
      file.news.kinds.append(.compacted(result))
      return result
    }
  }
}
