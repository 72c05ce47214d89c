internal import ReliabilityIO

extension AppendLog {
  /// Takes in the bad records of a piece of the log.
  ///
  /// - Returns: Whether some are not in the quarantine file yet, as far as we know.
  @discardableResult
  func meet(_ chunk: LogChunk, generation: UInt64) -> Bool {
    let bad = chunk.badLines.map { line in
      BadRecord(position: .init(generation: generation, offset: line.offset), length: line.length)
    }
    if bad.isEmpty { return false }
    var news = LogNews()
    let isWaiting: Bool = shared.withLock { shared in
      for record in bad where shared.known.insert(record).inserted {
        shared.health.badRecords.append(record)
        if shared.health.badRecords.count > Health.maximumKept {
          shared.health.badRecords.removeFirst()
        }
        shared.health.counts.badRecords += 1
        if options.format == .checked { shared.unquarantined.append(record) }
        news.kinds.append(.badRecord(record))
      }
      return !shared.unquarantined.isEmpty
    }
    note(news)
    return isWaiting
  }

  /// Copies the bad records that were met to the quarantine file, unless they are there.
  ///
  /// A failure is kept in ``health`` and does not stop the reading.
  nonisolated(nonsending) func quarantine() async throws {
    if shared.withLock({ $0.health.readOnlyReason != nil }) { return }
    do {
      try await withFile { (file) throws(StoreError) in
        try self.quarantineBlocking(&file)
      }
    } catch let error as CancellationError {
      throw error
    } catch {
      let reason = error as? StoreError ?? StoreError(.callFailed, path: quarantinePath)
      shared.withLock { $0.health.quarantineFailure = reason }
    }
  }

  /// As ``quarantine()``, by whoever holds the lock.
  func quarantineBlocking(_ file: inout LogFile) throws(StoreError) {
    let generation = file.generation
    let records = shared.withLock { shared in
      shared.unquarantined.filter { $0.position.generation == generation }
    }
    if records.isEmpty { return }
    let copied = try file.quarantine(records, path: quarantinePath)
    file.news.kinds += copied.map { .quarantined($0) }
    shared.withLock { shared in
      shared.unquarantined.removeAll { $0.position.generation <= generation }
      shared.health.quarantineFailure = nil
    }
  }
}

extension LogFile {
  static let quarantineContent = AppendLog.Content("quarantine", version: 1)

  /// Copies lines to the quarantine file, itself a log, durably.
  ///
  /// - Returns: Those that were not there before.
  func quarantine(
    _ records: [AppendLog.BadRecord], path: String
  ) throws(StoreError) -> [AppendLog.BadRecord] {
    let place = try LogPlace(path, fileSystem: self.place.fileSystem)
    var options = AppendLog.Options()
    options.content = LogFile.quarantineContent
    options.mode = 0o600
    var quarantine = LogFile(place, options: options)
    // Our lock is the lock of both.
    try quarantine.prepare()
    let present = try quarantine.quarantinedPrefixes()
    var lines: [UInt8] = []
    var copied: [AppendLog.BadRecord] = []
    for record in records {
      let prefix = LogFile.quarantinePrefix(record)
      if present.contains(prefix) { continue }
      let bytes: [UInt8]
      do throws(SystemCallError) {
        let start = record.position.offset
        // The whole of a line beyond any record would not fit one either; its beginning tells what it was.
        let kept = min(record.length, 16 << 20)
        bytes = try file!.readRange(start..<(start + kept))
      } catch {
        throw self.error(error)
      }
      var payload = Array(prefix.utf8)
      payload += Array(#","bytes":""#.utf8) + Base64.encode(bytes) + Array(#""}"#.utf8)
      LogLine.append(payload, to: &lines)
      copied.append(record)
    }
    if lines.isEmpty { return [] }
    let start = try quarantine.write(lines.span)
    _ = try quarantine.sync(.full, rewriting: lines, at: start)
    return copied
  }

  /// The beginning of a quarantined record, which says where it was.
  private static func quarantinePrefix(_ record: AppendLog.BadRecord) -> String {
    #"{"generation":\#(record.position.generation),"offset":\#(record.position.offset)"#
      + #","length":\#(record.length)"#
  }

  /// What is in the quarantine: the records without their bytes.
  private borrowing func quarantinedPrefixes() throws(StoreError) -> Set<String> {
    var found: Set<String> = []
    do throws(SystemCallError) {
      var reader = LogReader(
        try place.target.directory.open(place.target.name, [.read, .noFollow]), from: 0,
        format: .checked, maximumRecordSize: options.maximumRecordSize)
      while let chunk = try reader.next() {
        for line in chunk.lines where !line.isBad {
          let payload = chunk.bytes[line.start..<line.payloadEnd]
          let text = String(decoding: payload.prefix(100), as: UTF8.self)
          if let end = text.range(of: #","bytes":"#) { found.insert(String(text[..<end])) }
        }
      }
    } catch {
      throw self.error(error)
    }
    return found
  }
}

extension String {
  /// Where a text first occurs, without Foundation.
  fileprivate func range(of text: String) -> String.Index? {
    var index = startIndex
    while index < endIndex {
      if self[index...].hasPrefix(text) { return index }
      index = self.index(after: index)
    }
    return nil
  }
}

/// Bytes as text.
///
/// Source: RFC 4648, section 4.
enum Base64 {
  private static let letters = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  static func encode(_ bytes: [UInt8]) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let rest = min(3, bytes.count - start)
      var word = 0
      for index in 0..<3 { word = word << 8 | (index < rest ? Int(bytes[start + index]) : 0) }
      for index in 0..<4 {
        let letter = letters[word >> (18 - 6 * index) & 63]
        text.append(index <= rest ? letter : UInt8(ascii: "="))
      }
    }
    return text
  }
}
