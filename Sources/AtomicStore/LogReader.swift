internal import ReliabilityIO

/// Reads a log line by line in large pieces, without its lock.
///
/// A line without its newline is not there yet. Bytes of such a line are never kept from one read to the next: the
/// line may be healed away and another one written in its place meanwhile.
struct LogReader: ~Copyable {
  static let chunkSize = 1 << 20

  private let file: OpenFile
  private let format: AppendLog.Format
  private let maximumLine: Int
  /// Where the next line begins.
  private(set) var offset: Int64
  /// Where to stop, or `nil` to go on to the end.
  private let limit: Int64?

  init(
    _ file: consuming OpenFile, from offset: Int64, to limit: Int64? = nil,
    format: AppendLog.Format, maximumRecordSize: Int
  ) {
    self.file = file
    self.offset = offset
    self.limit = limit
    self.format = format
    maximumLine = maximumRecordSize + LogLine.overhead
  }

  /// The next lines, at least one; `nil` at the end.
  mutating func next() throws(SystemCallError) -> LogChunk? {
    var size = LogReader.chunkSize
    while true {
      if let limit { size = min(size, Int(clamping: limit - offset)) }
      if size <= 0 { return nil }
      let bytes = try read(size, at: offset)
      var chunk = LogChunk(bytes: bytes, offset: offset)
      let end = chunk.split(format)
      try confirmBadLines(of: &chunk)
      if end > 0 {
        offset += Int64(end)
        return chunk
      }
      if bytes.count < size { return nil }
      if size > maximumLine { return try skipLongLine() }
      size *= 2
    }
  }

  private func read(_ size: Int, at offset: Int64) throws(SystemCallError) -> [UInt8] {
    try [UInt8](capacity: size) { (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
      try file.readAll(into: &buffer, at: offset)
    }
  }

  /// Looks at bad lines a second time, in case they changed while they were read.
  private func confirmBadLines(of chunk: inout LogChunk) throws(SystemCallError) {
    for index in chunk.lines.indices where chunk.lines[index].isBad {
      let line = chunk.lines[index]
      let again = try read(line.end - line.start, at: chunk.offset + Int64(line.start))
      var single = LogChunk(bytes: again + [LogLine.newline], offset: 0)
      _ = single.split(format)
      guard single.lines.count == 1, !single.lines[0].isBad else { continue }
      chunk.replaceLine(index, with: single)
    }
  }

  /// A line longer than any record: bad, and passed over.
  private mutating func skipLongLine() throws(SystemCallError) -> LogChunk? {
    var end = offset
    while true {
      let bytes = try read(LogReader.chunkSize, at: end)
      if let found = bytes.span.indexOf(LogLine.newline, from: 0) {
        end += Int64(found)
        var chunk = LogChunk(bytes: [], offset: offset)
        chunk.longLine = end - offset
        offset = end + 1
        return chunk
      }
      if bytes.count < LogReader.chunkSize { return nil }
      end += Int64(bytes.count)
    }
  }
}

/// A piece of a log, split into lines.
struct LogChunk: Sendable {
  struct Line: Sendable {
    var start: Int
    /// Of the line, without its newline.
    var end: Int
    /// Of the payload; `-1` for a bad line.
    var payloadEnd: Int
    var isBad: Bool { payloadEnd < 0 }
  }

  /// The content; a brace stands where the payload of each good line ends.
  private(set) var bytes: [UInt8]
  /// Where it begins in the file.
  let offset: Int64
  private(set) var lines: [Line] = []
  /// The length of a line that is too long to be a record; there are no others then.
  var longLine: Int64?

  init(bytes: [UInt8], offset: Int64) {
    self.bytes = bytes
    self.offset = offset
  }

  /// Finds the lines and verifies them.
  ///
  /// - Returns: Where the last whole line ends, newline included.
  mutating func split(_ format: AppendLog.Format) -> Int {
    var start = 0
    var found: [Line] = []
    found.reserveCapacity(bytes.count / 128)
    while let end = bytes.span.indexOf(LogLine.newline, from: start) {
      let payloadEnd = LogChunk.payloadEnd(of: bytes.span.extracting(start..<end), format)
      if payloadEnd > 0 && format == .checked { bytes[start + payloadEnd - 1] = LogLine.brace }
      found.append(
        Line(start: start, end: end, payloadEnd: payloadEnd < 0 ? -1 : start + payloadEnd))
      start = end + 1
    }
    lines = found
    return start
  }

  /// Where the payload of a line ends; `-1` for a bad line.
  @inline(__always)
  private static func payloadEnd(of line: Span<UInt8>, _ format: AppendLog.Format) -> Int {
    switch format {
    case .checked: LogLine.bodyEnd(of: line).map { $0 + 1 } ?? -1
    case .plain: line.indexOf(0, from: 0) == nil ? line.count : -1
    }
  }

  /// Puts a line that turned out to be good in its place.
  mutating func replaceLine(_ index: Int, with other: LogChunk) {
    let start = lines[index].start
    for (place, byte) in other.bytes.dropLast().enumerated() { bytes[start + place] = byte }
    lines[index].payloadEnd = start + other.lines[0].payloadEnd
  }

  /// The lines that are no records, by place in the file.
  var badLines: [(offset: Int64, length: Int64)] {
    if let longLine { return [(offset, longLine)] }
    return lines.filter(\.isBad).map { (offset + Int64($0.start), Int64($0.end - $0.start)) }
  }
}
