internal import ReliabilityIO

extension LogFile {
  /// Brings the file into order: a header at the beginning, a newline at the end.
  mutating func heal() throws(StoreError) {
    var size: Int64
    do throws(SystemCallError) { size = try file!.status().size } catch { throw self.error(error) }
    let good: Int64
    do throws(SystemCallError) {
      good = try LogFile.goodEnd(of: file!, size: size)
    } catch {
      throw self.error(error)
    }
    if options.format == .checked { try readHeader(isTorn: good == 0 && size > 0) }
    if good < size {
      size = isShared ? try isolate(from: good, size: size) : try cut(to: good, size: size)
    }
    end = size
    if options.format == .checked && header == nil { try writeHeader() }
  }

  /// Where the last line ends that has a newline and no NUL.
  static func goodEnd(of file: borrowing OpenFile, size: Int64) throws(SystemCallError) -> Int64 {
    var end = size
    // What follows the last newline is no line yet.
    end = try lineStart(before: end, in: file)
    while end > 0 {
      let start = try lineStart(before: end - 1, in: file)
      if try !hasNUL(start..<end, in: file) { return end }
      end = start
    }
    return 0
  }

  /// Where the line begins that an offset is in: after the newline before it.
  private static func lineStart(
    before end: Int64, in file: borrowing OpenFile
  ) throws(SystemCallError) -> Int64 {
    var stop = end
    // A line is short as a rule, and a torn one may be long.
    var step: Int64 = 4096
    while stop > 0 {
      let start = max(0, stop - step)
      let bytes = try file.readRange(start..<stop)
      if let found = bytes.span.lastIndexOf(LogLine.newline, before: bytes.count) {
        return start + Int64(found) + 1
      }
      stop = start
      step = min(step * 4, 1 << 20)
    }
    return 0
  }

  private static func hasNUL(
    _ range: Range<Int64>, in file: borrowing OpenFile
  ) throws(SystemCallError) -> Bool {
    var start = range.lowerBound
    while start < range.upperBound {
      let bytes = try file.readRange(start..<min(range.upperBound, start + (1 << 20)))
      if bytes.span.indexOf(0, from: 0) != nil { return true }
      if bytes.isEmpty { break }
      start += Int64(bytes.count)
    }
    return false
  }

  /// Saves the torn end beside the log and cuts it off.
  private mutating func cut(to good: Int64, size: Int64) throws(StoreError) -> Int64 {
    let saved = try saveTail(good..<size)
    do throws(SystemCallError) {
      try file!.truncate(to: good)
      try syncFile(.data)
    } catch {
      end = -1
      throw self.error(error)
    }
    news.kinds.append(.healed(.init(offset: good, length: size - good, savedAs: saved)))
    return good
  }

  /// Copies a torn end to a file of its own, durably.
  ///
  /// - Returns: Its path.
  mutating func saveTail(_ range: Range<Int64>) throws(StoreError) -> String {
    let time = CivilTime(.now)
    let stamp =
      "\(time.year.padded(4))\(time.month.padded(2))\(time.day.padded(2))T"
      + "\(time.hour.padded(2))\(time.minute.padded(2))\(time.second.padded(2))Z"
    let random = String(place.fileSystem.backend.randomBits(), radix: 16)
    let path = "\(place.path).torn-\(stamp)-\(random)"
    var copy = try TemporaryFile(
      for: path, options: .init(createOnly: true, mode: 0o600), fileSystem: place.fileSystem)
    try copy.append(range, of: file!)
    let outcome = try copy.publish()
    if case .publishedNotDurable(let reason) = outcome.status,
      reason.code == .directorySyncFailed
    {
      throw StoreError(.syncFailed, path: path, cause: reason.cause)
    }
    return path
  }

  /// Ends the torn line with a newline, so that it swallows no record.
  private mutating func isolate(from good: Int64, size: Int64) throws(StoreError) -> Int64 {
    do throws(SystemCallError) {
      let last = try file!.readRange((size - 1)..<size)
      if last == [LogLine.newline] { return size }
      let newline = [LogLine.newline]
      try file!.writeAll(newline.span, at: size)
    } catch {
      throw self.error(error)
    }
    hasUnsynced = true
    news.kinds.append(.healed(.init(offset: good, length: size - good, savedAs: nil)))
    return size + 1
  }

  /// Reads the header, if there is a line at all.
  private mutating func readHeader(isTorn: Bool) throws(StoreError) {
    let found: LogHeader.Found
    do throws(SystemCallError) {
      found = try LogHeader.read(from: file!)
    } catch {
      throw self.error(error)
    }
    switch found {
    case .none: header = nil
    case .header(let header): try accept(header)
    case .torn where isTorn: header = nil
    case .damaged(let header): try accept(header)
    case .torn, .foreign: throw StoreError(.notALog, path: place.path)
    }
  }

  private mutating func accept(_ found: LogHeader) throws(StoreError) {
    try found.check(options, path: place.path)
    header = found
  }

  /// Gives an empty file its header.
  private mutating func writeHeader() throws(StoreError) {
    let fresh = LogHeader(generation: 1, content: options.content)
    let line = fresh.line
    let start = try write(line.span)
    header = fresh
    _ = try sync(.full, rewriting: line, at: start)
  }
}

extension LogHeader {
  /// What the beginning of a file turned out to be.
  enum Found {
    case none, torn, foreign
    case header(LogHeader)
    /// Its checksum is wrong, but what matters can be read.
    case damaged(LogHeader)
  }

  /// Reads the first line of a file.
  static func read(from file: borrowing OpenFile) throws(SystemCallError) -> Found {
    let bytes = try file.readRange(0..<Int64(maximumLength))
    if bytes.isEmpty { return .none }
    guard let end = bytes.span.indexOf(LogLine.newline, from: 0) else {
      return mayBeTorn(bytes.span) ? .torn : .foreign
    }
    let line = bytes.span.extracting(0..<end)
    if let bodyEnd = LogLine.bodyEnd(of: line),
      let header = LogHeader(payload: Array(bytes[..<bodyEnd]) + [UInt8(ascii: "}")])
    {
      return .header(header)
    }
    if line.indexOf(0, from: 0) != nil && mayBeTorn(line) { return .torn }
    let body = bytes[..<max(0, end - LogLine.tailLength - 1)]
    if let header = LogHeader(payload: Array(body) + [UInt8(ascii: "}")]) {
      return .damaged(header)
    }
    return .foreign
  }

  /// Refuses a log of another content or of a later version.
  func check(_ options: AppendLog.Options, path: String) throws(StoreError) {
    if version > LogHeader.currentVersion { throw StoreError(.newerFormat, path: path) }
    if let wanted = options.content {
      guard let content, content.name == wanted.name else {
        throw StoreError(.notALog, path: path)
      }
      if content.version > wanted.version { throw StoreError(.newerFormat, path: path) }
    }
  }
}

extension OpenFile {
  /// The bytes of a range, fewer at the end of the file.
  borrowing func readRange(_ range: Range<Int64>) throws(SystemCallError) -> [UInt8] {
    try [UInt8](capacity: range.count) {
      (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
      try readAll(into: &buffer, at: range.lowerBound)
    }
  }
}

extension TemporaryFile {
  /// Adds a range of another file at the end.
  mutating func append(
    _ range: Range<Int64>, of source: borrowing OpenFile
  ) throws(StoreError) {
    var start = range.lowerBound
    while start < range.upperBound {
      let bytes: [UInt8]
      do throws(SystemCallError) {
        bytes = try source.readRange(start..<min(range.upperBound, start + (1 << 20)))
        if bytes.isEmpty { throw SystemCallError(.inputOutput, call: "read", path: source.path) }
      } catch {
        throw abandon(.callFailed, error)
      }
      try append(bytes.span)
      start += Int64(bytes.count)
    }
  }
}
