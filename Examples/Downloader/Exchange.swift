internal import Dispatch
import Reliability
internal import ReliabilityExampleSupport

/// One request and its answer, between the thread that delivers and the task that reads.
///
/// Hardly more than ``limit`` bytes wait to be read: then the delivering thread is held until the reader has caught up or gone.
final class Exchange: Sendable {
  private static let limit = 1 << 20

  private struct State {
    var response: HTTPResponseHead?
    var bytes: [UInt8] = []
    var end: Result<Void, any Error>?
    var redirects = 0
    var isAbandoned = false
    var producerWaits = false
    var reader: Reader?

    mutating func takeReader() -> Reader? {
      defer { reader = nil }
      return reader
    }
  }

  /// Who waits for more: a task, or a thread that may block.
  private enum Reader {
    case task(CheckedContinuation<Void, Never>)
    case thread(DispatchSemaphore)

    func resume() {
      switch self {
      case .task(let continuation): continuation.resume()
      case .thread(let semaphore): semaphore.signal()
      }
    }
  }

  private let state = Lock(State())
  private let producerMayGoOn = DispatchSemaphore(value: 0)

  // The delivering side, on a thread that may be held.

  func received(_ response: HTTPResponseHead) {
    let reader = state.withLock { state in
      state.response = response
      return state.takeReader()
    }
    reader?.resume()
  }

  func received(_ bytes: UnsafeRawBufferPointer) {
    let (reader, waits) = state.withLock { state in
      guard !state.isAbandoned else { return (nil as Reader?, false) }
      unsafe state.bytes.append(contentsOf: bytes)
      state.producerWaits = state.bytes.count > Self.limit
      return (state.takeReader(), state.producerWaits)
    }
    reader?.resume()
    if waits { producerMayGoOn.wait() }
  }

  func ended(_ error: (any Error)?) {
    let reader = state.withLock { state in
      state.end = error.map { .failure($0) } ?? .success(())
      return state.takeReader()
    }
    reader?.resume()
  }

  /// Whether one more redirect may be followed.
  func allowsRedirect() -> Bool {
    state.withLock { state in
      state.redirects += 1
      return state.redirects <= 10
    }
  }

  // The reading side.

  /// The status and the header fields, as soon as they are there.
  ///
  /// - Throws: What ended the exchange, or `CancellationError`.
  func response() async throws -> HTTPResponseHead {
    while true {
      try Task.checkCancellation()
      let (response, end) = state.withLock { ($0.response, $0.end) }
      if let response { return response }
      if let end {
        try end.get()
        throw DownloadError(.connection)
      }
      await change { $0.response != nil }
    }
  }

  /// What arrived of the body since the last call, never empty, or `nil` at its end.
  ///
  /// - Throws: What ended the exchange, or `CancellationError`.
  func next() async throws -> [UInt8]? {
    while true {
      try Task.checkCancellation()
      let (bytes, end, releases) = state.withLock { state in
        defer {
          state.bytes = []
          state.producerWaits = false
        }
        return (state.bytes, state.end, state.producerWaits)
      }
      if releases { producerMayGoOn.signal() }
      if !bytes.isEmpty { return bytes }
      if let end {
        try end.get()
        return nil
      }
      await change { !$0.bytes.isEmpty }
    }
  }

  /// As ``response()``, for a thread that may block.
  ///
  /// - Throws: A stall's `TimeoutError` when it takes longer than the limit.
  func response(within limit: Duration) throws -> HTTPResponseHead {
    while true {
      let (response, end, isAbandoned) = state.withLock { ($0.response, $0.end, $0.isAbandoned) }
      if isAbandoned { throw CancellationError() }
      if let response { return response }
      if let end {
        try end.get()
        throw DownloadError(.connection)
      }
      try wait(within: limit) { $0.response != nil }
    }
  }

  /// As ``next()``, for a thread that may block.
  ///
  /// - Throws: A stall's `TimeoutError` when it takes longer than the limit.
  func next(within limit: Duration) throws -> [UInt8]? {
    while true {
      let (bytes, end, releases, isAbandoned) = state.withLock { state in
        defer {
          state.bytes = []
          state.producerWaits = false
        }
        return (state.bytes, state.end, state.producerWaits, state.isAbandoned)
      }
      if releases { producerMayGoOn.signal() }
      if isAbandoned { throw CancellationError() }
      if !bytes.isEmpty { return bytes }
      if let end {
        try end.get()
        return nil
      }
      try wait(within: limit) { !$0.bytes.isEmpty }
    }
  }

  private func wait(within limit: Duration, _ isThere: (borrowing State) -> Bool) throws {
    let semaphore = DispatchSemaphore(value: 0)
    let goesOn = state.withLock { state in
      if isThere(state) || state.end != nil || state.isAbandoned { return true }
      state.reader = .thread(semaphore)
      return false
    }
    if goesOn { return }
    let nanoseconds = Int(min(max(limit / .nanoseconds(1), 1), 1e17))
    if semaphore.wait(timeout: .now() + .nanoseconds(nanoseconds)) == .timedOut {
      state.withLock { $0.reader = nil }
      throw TimeoutError(kind: .stall, limit: limit, elapsed: limit)
    }
  }

  /// Nobody reads any more: what still comes is dropped.
  func abandon() {
    let (reader, releases) = state.withLock { state in
      let releases = state.producerWaits
      state.producerWaits = false
      state.isAbandoned = true
      state.bytes = []
      return (state.takeReader(), releases)
    }
    reader?.resume()
    if releases { producerMayGoOn.signal() }
  }

  private func change(_ isThere: (borrowing State) -> Bool) async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let goesOn = state.withLock { state in
          if isThere(state) || state.end != nil || state.isAbandoned { return true }
          state.reader = .task(continuation)
          return false
        }
        if goesOn { continuation.resume() }
      }
    } onCancel: {
      abandon()
    }
  }
}
