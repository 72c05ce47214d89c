internal import ReliabilityIO

// For modules that keep an index of their records and leave the records themselves on the disk.

extension AppendLog {
  /// Where the line of a record is, within one generation.
  package struct Place: Hashable, Sendable {
    package var offset: Int64
    /// Bytes with checksum and newline: ``AppendLog/lineLength(of:)``.
    package var length: Int

    package init(offset: Int64, length: Int) { (self.offset, self.length) = (offset, length) }

    package var end: Int64 { offset + Int64(length) }
  }

  /// How many bytes the line of a record takes that has at least one member.
  package static func lineLength(of payload: some Collection<UInt8>) -> Int {
    payload.count + LogLine.overhead
  }

  /// The most bytes that neighbouring records are read by in one call.
  private static let longestRead = 1 << 20

  /// Reads single records.
  ///
  /// - Parameters:
  ///   - places: Where they are; those that follow each other are read in one call.
  ///   - generation: The generation that the places belong to.
  /// - Returns: Their payloads in the same order; `nil` for what is no good record any more.
  /// - Throws: ``StoreError``, with ``StoreError/Code/stalePosition`` when the log was compacted since.
  package nonisolated(nonsending) func payloads(
    at places: [Place], generation: UInt64
  ) async throws(StoreError) -> [[UInt8]?] {
    if places.isEmpty { return [] }
    return try await DiskExecutor.shared.run { () throws(StoreError) in
      let file = try self.place.openToRead()
      do throws(SystemCallError) {
        switch try LogHeader.read(from: file) {
        case .header(let header), .damaged(let header):
          guard header.generation == generation else {
            throw SystemCallError(.outOfRange, call: "read", path: self.path)
          }
        case .none, .torn, .foreign:
          throw SystemCallError(.outOfRange, call: "read", path: self.path)
        }
        return try Self.payloads(at: places, in: file)
      } catch {
        throw StoreError(
          error.number == .outOfRange ? .stalePosition : .callFailed, path: self.path,
          cause: error.number == .outOfRange ? nil : error)
      }
    }
  }

  private static func payloads(
    at places: [Place], in file: borrowing OpenFile
  ) throws(SystemCallError) -> [[UInt8]?] {
    var payloads: [[UInt8]?] = []
    payloads.reserveCapacity(places.count)
    var next = 0
    while next < places.count {
      let first = next
      var end = places[first].end
      next += 1
      while next < places.count, places[next].offset == end,
        places[next].end - places[first].offset <= Int64(longestRead)
      {
        end = places[next].end
        next += 1
      }
      let start = places[first].offset
      let bytes = try file.readRange(start..<end)
      for place in places[first..<next] {
        let from = Int(place.offset - start)
        payloads.append(payload(of: bytes.span, from: from, length: place.length))
      }
    }
    return payloads
  }

  private static func payload(of bytes: Span<UInt8>, from: Int, length: Int) -> [UInt8]? {
    // Of a file that was cut meanwhile there is less.
    guard length > 1, from + length <= bytes.count, bytes[from + length - 1] == LogLine.newline,
      let end = LogLine.bodyEnd(of: bytes.extracting(from..<(from + length - 1)))
    else { return nil }
    return [UInt8](capacity: end + 1) { buffer in
      for index in from..<(from + end) { buffer.append(bytes[index]) }
      buffer.append(LogLine.brace)
    }
  }
}

extension AppendLog {
  /// Whether two logs are one file, whatever their paths look like.
  package nonisolated(nonsending) func isSameFile(
    as other: AppendLog
  ) async throws(StoreError) -> Bool {
    try await DiskExecutor.shared.run { () throws(StoreError) in
      guard let mine = try self.place.status(), let its = try other.place.status() else {
        return false
      }
      return FileIdentity(mine) == FileIdentity(its)
    }
  }

  /// Where a log is, symbolic links of the last component followed; beside it its owner's lock belongs.
  package static nonisolated(nonsending) func resolvedPath(
    _ path: String, fileSystem: FileSystem
  ) async throws(StoreError) -> String {
    try await DiskExecutor.shared.run { () throws(StoreError) in
      try LogPlace(path, fileSystem: fileSystem).path
    }
  }
}
