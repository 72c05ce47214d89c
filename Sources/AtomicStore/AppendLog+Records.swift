internal import ReliabilityIO

extension AppendLog {
  /// The records from a position, or all of them, in the order in which they were written.
  ///
  /// Reads without the lock, a megabyte at a time, up to what is there when the end is met; an unfinished line is not
  /// there yet. When the log is compacted meanwhile, the old file is read to its end, and the position after its last
  /// record is stale: begin again.
  ///
  /// Bad records are passed over, reported in ``health`` and copied to ``quarantinePath``.
  ///
  /// - Parameter position: Where to begin: one of this log's, such as ``Record/next``; `nil` for the first record.
  /// - Returns: The records. Iterating throws ``StoreError``, with ``StoreError/Code/stalePosition`` for a position of another
  ///   generation, and `CancellationError`.
  public func records(from position: Position? = nil) -> Records {
    Records(log: self, start: position)
  }

  /// Calls a body with each record, on the calling thread; for callers on a thread of their own.
  ///
  /// - Parameters:
  ///   - position: Where to begin, or `nil` for the first record.
  ///   - body: Gets each record; what it throws ends the reading.
  /// - Returns: Where to go on later.
  /// - Throws: ``StoreError`` and what the body throws.
  @available(*, noasync, message: "This blocks its thread; iterate over records(from:).")
  @discardableResult
  public func forEachRecord(
    from position: Position? = nil, _ body: (Record) throws -> Void
  ) throws -> Position {
    var source = try openToRead(position)
    var place = source.position
    while let chunk = try source.next() {
      meet(chunk, generation: source.generation)
      for line in chunk.lines where !line.isBad {
        try body(Record(chunk, line, generation: source.generation))
      }
      place = source.position
    }
    deliverEvents()
    return place
  }

  /// Opens the file to read and finds a position in it.
  func openToRead(_ position: Position?) throws(StoreError) -> LogSource {
    let file = try place.openToRead()
    do throws(SystemCallError) {
      var generation: UInt64 = 0
      var start: Int64 = 0
      var limit: Int64?
      if options.format == .checked {
        let found = try LogHeader.read(from: file)
        let head = try file.readRange(0..<Int64(LogHeader.maximumLength))
        let headerEnd = head.span.indexOf(LogLine.newline, from: 0).map { Int64($0) + 1 }
        start = headerEnd ?? 0
        // Without a header there is no record; one that comes now is not to be taken for one.
        if headerEnd == nil { limit = 0 }
        switch found {
        case .none, .torn: break
        case .foreign: throw SystemCallError(.invalidArgument, call: "read", path: path)
        case .header(let header), .damaged(let header):
          generation = header.generation
          if let wanted = options.content, header.content?.name != wanted.name {
            throw SystemCallError(.invalidArgument, call: "read", path: path)
          }
        }
      }
      if let position {
        guard position.generation == generation, position.offset >= 0,
          try position.offset <= file.status().size, try isLineStart(position.offset, in: file)
        else {
          throw SystemCallError(.outOfRange, call: "read", path: path)
        }
        start = max(start, position.offset)
      }
      let reader = LogReader(
        file, from: start, to: limit, format: options.format,
        maximumRecordSize: options.maximumRecordSize)
      return LogSource(reader: reader, generation: generation, path: path)
    } catch {
      let code: StoreError.Code =
        switch error.number {
        case .invalidArgument: .notALog
        case .outOfRange: .stalePosition
        default: .callFailed
        }
      throw StoreError(code, path: path, cause: code == .callFailed ? error : nil)
    }
  }

  private func isLineStart(
    _ offset: Int64, in file: borrowing OpenFile
  ) throws(SystemCallError) -> Bool {
    if offset == 0 { return true }
    return try file.readRange((offset - 1)..<offset) == [LogLine.newline]
  }
}

/// A log that is being read, and which generation of it.
struct LogSource: ~Copyable {
  var reader: LogReader
  let generation: UInt64
  let path: String

  var position: AppendLog.Position {
    AppendLog.Position(generation: generation, offset: reader.offset)
  }

  mutating func next() throws(StoreError) -> LogChunk? {
    do throws(SystemCallError) {
      return try reader.next()
    } catch {
      throw StoreError(.callFailed, path: path, cause: error)
    }
  }
}

extension AppendLog.Record {
  init(_ chunk: LogChunk, _ line: LogChunk.Line, generation: UInt64) {
    payload = chunk.bytes[line.start..<line.payloadEnd]
    position = .init(generation: generation, offset: chunk.offset + Int64(line.start))
    next = .init(generation: generation, offset: chunk.offset + Int64(line.end) + 1)
  }
}

extension AppendLog {
  /// The records of a log, read as they are asked for.
  ///
  ///     var last: AppendLog.Position?
  ///     for try await record in log.records() {
  ///       last = record.next
  ///     }
  ///     for try await record in log.records(from: last) { print(record.position) }  // what came meanwhile
  public struct Records: AsyncSequence, Sendable {
    /// What is iterated over.
    public typealias Element = Record
    let log: AppendLog
    let start: Position?

    /// Begins to read.
    public func makeAsyncIterator() -> Iterator { Iterator(log: log, start: start) }

    /// Reads a log; not to be used by two tasks at once.
    public struct Iterator: AsyncIteratorProtocol {
      let log: AppendLog
      let start: Position?
      private var source: OpenSource?
      private var chunk: LogChunk?
      private var index = 0
      private var isAtEnd = false

      init(log: AppendLog, start: Position?) {
        self.log = log
        self.start = start
      }

      /// The next record; `nil` at the end, also when asked again.
      ///
      /// - Throws: ``StoreError``; `CancellationError` when the task is cancelled, before the next piece of the file is
      ///   read.
      public nonisolated(nonsending) mutating func next() async throws -> Record? {
        while true {
          if let chunk {
            while index < chunk.lines.count {
              let line = chunk.lines[index]
              index += 1
              if !line.isBad { return Record(chunk, line, generation: source!.generation) }
            }
          }
          if isAtEnd { return nil }
          try await fill()
        }
      }

      private nonisolated(nonsending) mutating func fill() async throws {
        try Task.checkCancellation()
        chunk = nil
        index = 0
        let log = log
        let start = start
        let open = source
        let (source, chunk) = try await DiskExecutor.shared.run {
          () throws(StoreError) -> (OpenSource, LogChunk?) in
          if let open { return (open, try open.next()) }
          let source = OpenSource(try log.openToRead(start))
          return (source, try source.next())
        }
        self.source = source
        self.chunk = chunk
        guard let chunk else {
          isAtEnd = true
          return
        }
        if log.meet(chunk, generation: source.generation) {
          try await log.quarantine()
        }
        log.deliverEvents()
      }
    }
  }
}

/// A source that disk threads use in turn.
final class OpenSource: Sendable {
  private let source: Lock<LogSource>
  let generation: UInt64

  init(_ source: consuming LogSource) {
    generation = source.generation
    self.source = Lock(source)
  }

  func next() throws(StoreError) -> LogChunk? {
    try source.withLock { (source) throws(StoreError) -> LogChunk? in try source.next() }
  }
}
