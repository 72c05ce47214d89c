/// One line of a child process's output.
///
///     for try await line in process.lines where line.source == .error { print(line.text) }
public struct ProcessLine: Hashable, Sendable {
  /// Where a line came from.
  public enum Source: Hashable, Sendable {
    /// The standard output.
    case output
    /// The standard error.
    case error
  }

  /// The line without its end.
  ///
  /// Bytes that are no UTF-8 are replaced.
  public let text: String
  /// Where it came from.
  public let source: Source
  /// Whether it is only a part of a line longer than ``ProcessConfiguration/longestLine``; the rest follows.
  public let isCut: Bool
}

extension ProcessLine: CustomStringConvertible {
  /// The text.
  public var description: String { text }
}

/// The lines of a child process's two outputs, as they come.
///
///     for try await line in process.lines {
///       print(line)
///     }
///
/// A line ends with LF, CR LF, or CR alone, as programs write that redraw their progress; the order between the two outputs is
/// that in which they were read. The sequence ends once the process has ended and everything was read. While it is iterated over
/// nothing is lost: a slow reader holds the process up. Output from before the first iteration waits, as much of the end of it as
/// ``ProcessConfiguration/lineBufferBytes``. Several iterations share the lines: each goes to one of them.
public struct ProcessLines: AsyncSequence, Sendable {
  /// What the sequence gives.
  public typealias Element = ProcessLine

  let buffer: LineBuffer

  /// Begins an iteration.
  public func makeAsyncIterator() -> Iterator { Iterator(reader: Reader(buffer)) }

  /// An iteration over the lines.
  public struct Iterator: AsyncIteratorProtocol {
    let reader: Reader

    /// The next line, `nil` after the last one.
    ///
    /// - Throws: `CancellationError` when the task is cancelled.
    public mutating func next(
      isolation actor: isolated (any Actor)? = #isolation
    ) async throws -> ProcessLine? {
      try await reader.next(isolation: actor)
    }

    /// The next line, `nil` after the last one.
    ///
    /// - Throws: `CancellationError` when the task is cancelled.
    public mutating func next() async throws -> ProcessLine? { try await next(isolation: nil) }
  }

  /// Tells the buffer that somebody reads, for as long as it lives.
  final class Reader: Sendable {
    private let buffer: LineBuffer

    init(_ buffer: LineBuffer) {
      self.buffer = buffer
      buffer.addReader()
    }

    deinit { buffer.removeReader() }

    func next(isolation actor: isolated (any Actor)?) async throws -> ProcessLine? {
      while true {
        try Task.checkCancellation()
        switch step() {
        case .line(let line): return line
        case .ended: return nil
        case .wait: await buffer.wait()
        }
      }
    }

    private enum Step { case line(ProcessLine), ended, wait }

    private func step() -> Step {
      buffer.cutter.withLock { cutter in
        while true {
          if let line = cutter.popFirst() { return .line(line) }
          switch buffer.take() {
          case .chunk(let chunk): cutter.add(chunk)
          case .nothingYet: return .wait
          case .ended:
            cutter.finish()
            return cutter.popFirst().map(Step.line) ?? .ended
          }
        }
      }
    }
  }
}
