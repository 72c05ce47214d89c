internal import ReliabilityCore

/// Carries output from the thread that reads the pipes to whoever iterates over the lines.
///
/// Chunks go in as they were read; lines are cut on the reader's side, so that the one thread that serves all children does no more
/// than copy.
final class LineBuffer: Sendable {
  /// What was read from one pipe at once.
  struct Chunk: Sendable {
    var source: ProcessLine.Source
    var bytes: [UInt8]
    /// What a chunk counts for: its bytes, and its own weight.
    var weight: Int { bytes.count + 64 }
  }

  enum Taken {
    case chunk(Chunk)
    case ended
    case nothingYet
  }

  fileprivate struct State {
    var chunks: [Chunk] = []
    var head = 0
    var weight = 0
    var readers = 0
    var isPaused = false
    var isClosed = false
    var droppedBytes: Int64 = 0
    var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    var nextWaiter: UInt64 = 0
  }

  /// More than two pipes hold.
  private static let lastOutput = 4 << 20

  private let state = Lock(State())
  private let limit: Int
  let cutter: Lock<LineCutter>

  /// Called when reading, which was paused, may go on.
  let resumeReading: @Sendable () -> Void

  init(limit: Int, longestLine: Int, resumeReading: @escaping @Sendable () -> Void) {
    self.limit = limit
    self.resumeReading = resumeReading
    cutter = Lock(LineCutter(longestLine: longestLine))
  }

  /// Adds what was read.
  ///
  /// - Parameter mayPause: Whether the writer can be held up; when not, the oldest output makes room.
  /// - Returns: Whether to stop reading until ``resumeReading`` is called.
  func append(_ chunk: Chunk, mayPause: Bool) -> Bool {
    let (waiters, mustPause, dropped) = state.withLock { state in
      state.chunks.append(chunk)
      state.weight += chunk.weight
      let waiters = state.takeWaiters()
      var dropped: [Chunk] = []
      if state.weight > limit {
        if mayPause && state.readers > 0 {
          state.isPaused = true
        } else {
          // What is left in the pipes of a process that has ended is not lost for being much at once.
          let limit = state.readers > 0 ? limit + Self.lastOutput : limit
          while state.weight > limit, state.chunks.count - state.head > 1 {
            let chunk = state.removeFirst()
            state.droppedBytes += Int64(chunk.bytes.count)
            dropped.append(chunk)
          }
        }
      }
      return (waiters, state.isPaused, dropped)
    }
    // Memory is given back outside the lock.
    _ = dropped
    for waiter in waiters { waiter.resume() }
    return mustPause
  }

  /// Nothing more will come.
  func close() {
    let waiters = state.withLock { state in
      state.isClosed = true
      return state.takeWaiters()
    }
    for waiter in waiters { waiter.resume() }
  }

  var droppedBytes: Int64 { state.withLock { $0.droppedBytes } }

  func addReader() { state.withLock { $0.readers += 1 } }

  func removeReader() {
    let goOn = state.withLock { state in
      state.readers -= 1
      guard state.readers == 0, state.isPaused else { return false }
      state.isPaused = false
      return true
    }
    if goOn { resumeReading() }
  }

  func take() -> Taken {
    let (taken, goOn): (Taken, Bool) = state.withLock { state in
      guard state.head < state.chunks.count else {
        return (state.isClosed ? .ended : .nothingYet, false)
      }
      let chunk = state.removeFirst()
      guard state.isPaused, state.weight <= limit / 2 else { return (.chunk(chunk), false) }
      state.isPaused = false
      return (.chunk(chunk), true)
    }
    if goOn { resumeReading() }
    return taken
  }

  /// Suspends until there may be something to take, or the task is cancelled.
  nonisolated(nonsending) func wait() async {
    let ticket = state.withLock { state in
      state.nextWaiter += 1
      return state.nextWaiter
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isDone = state.withLock { state in
          if Task.isCancelled || state.isClosed || state.head < state.chunks.count { return true }
          state.waiters[ticket] = continuation
          return false
        }
        if isDone { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.waiters.removeValue(forKey: ticket) }?.resume()
    }
  }
}

extension LineBuffer.State {
  fileprivate mutating func takeWaiters() -> [CheckedContinuation<Void, Never>] {
    guard !waiters.isEmpty else { return [] }
    defer { waiters = [:] }
    return Array(waiters.values)
  }

  fileprivate mutating func removeFirst() -> LineBuffer.Chunk {
    let chunk = chunks[head]
    chunks[head].bytes = []
    head += 1
    weight -= chunk.weight
    if head == chunks.count {
      chunks.removeAll(keepingCapacity: true)
      head = 0
    } else if head > 64, head * 2 > chunks.count {
      chunks.removeFirst(head)
      head = 0
    }
    return chunk
  }
}
