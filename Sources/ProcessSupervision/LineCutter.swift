/// Cuts two outputs into lines.
///
/// A line ends with LF, CR LF, or CR alone, as programs write that redraw their progress. The last one need not end.
struct LineCutter {
  private var output: LineCutterSide
  private var error: LineCutterSide
  private var ready: [ProcessLine] = []
  private var next = 0

  init(longestLine: Int) {
    output = LineCutterSide(source: .output, longestLine: longestLine)
    error = LineCutterSide(source: .error, longestLine: longestLine)
  }

  /// The next line that is whole.
  mutating func popFirst() -> ProcessLine? {
    guard next < ready.count else { return nil }
    let line = ready[next]
    next += 1
    if next == ready.count {
      ready.removeAll(keepingCapacity: true)
      next = 0
    }
    return line
  }

  mutating func add(_ chunk: LineBuffer.Chunk) {
    switch chunk.source {
    case .output: output.cut(chunk.bytes, into: &ready)
    case .error: error.cut(chunk.bytes, into: &ready)
    }
  }

  /// What is left is a line too.
  mutating func finish() {
    output.finish(into: &ready)
    error.finish(into: &ready)
  }
}

/// Cuts one output into lines.
private struct LineCutterSide {
  let source: ProcessLine.Source
  let longestLine: Int
  private var pending: [UInt8] = []
  private var endedWithReturn = false

  init(source: ProcessLine.Source, longestLine: Int) {
    (self.source, self.longestLine) = (source, longestLine)
  }

  mutating func cut(_ bytes: [UInt8], into lines: inout [ProcessLine]) {
    var start = endedWithReturn && bytes.first == 0x0A ? 1 : 0
    endedWithReturn = bytes.last == 0x0D
    var index = start
    while index < bytes.count {
      let byte = bytes[index]
      guard byte == 0x0A || byte == 0x0D else {
        index += 1
        guard index - start + pending.count >= longestLine else { continue }
        // Not in the middle of a character.
        let end = min(bytes.count, index + 3)
        while index < end, bytes[index] & 0xC0 == 0x80 { index += 1 }
        emit(bytes[start..<index], isCut: true, into: &lines)
        start = index
        continue
      }
      emit(bytes[start..<index], isCut: false, into: &lines)
      index += 1
      if byte == 0x0D, index < bytes.count, bytes[index] == 0x0A { index += 1 }
      start = index
    }
    if start < bytes.count { pending += bytes[start...] }
  }

  mutating func finish(into lines: inout [ProcessLine]) {
    if !pending.isEmpty { emit([], isCut: false, into: &lines) }
  }

  private mutating func emit(
    _ bytes: ArraySlice<UInt8>, isCut: Bool, into lines: inout [ProcessLine]
  ) {
    let text: String
    if pending.isEmpty {
      text = String(decoding: bytes, as: UTF8.self)
    } else {
      text = String(decoding: pending + bytes, as: UTF8.self)
      pending = []
    }
    lines.append(ProcessLine(text: text, source: source, isCut: isCut))
  }
}
