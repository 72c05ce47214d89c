internal import Dispatch
internal import Foundation
internal import FoundationNetworking
internal import Synchronization

/// One request and its answer, between the thread on which URLSession delivers and the task that reads.
///
/// At most ``limit`` bytes wait to be read: then the delivering thread is held until the reader has caught up or gone.
final class Exchange: Sendable {
  private static let limit = 1 << 20

  private struct State {
    var response: HTTPURLResponse?
    var pieces: [Data] = []
    var bytes = 0
    var end: Result<Void, any Error>?
    var redirects = 0
    var isAbandoned = false
    var producerWaits = false
    var reader: CheckedContinuation<Void, Never>?

    mutating func takeReader() -> CheckedContinuation<Void, Never>? {
      defer { reader = nil }
      return reader
    }
  }

  private let state = Mutex(State())
  private let producerMayGoOn = DispatchSemaphore(value: 0)

  // The delivering side, on the session's own queue.

  func received(_ response: HTTPURLResponse) {
    let reader = state.withLock { state in
      state.response = response
      return state.takeReader()
    }
    reader?.resume()
  }

  func received(_ data: Data) {
    let (reader, waits) = state.withLock { state in
      guard !state.isAbandoned else { return (nil as CheckedContinuation<Void, Never>?, false) }
      state.pieces.append(data)
      state.bytes += data.count
      state.producerWaits = state.bytes > Self.limit
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
  /// - Throws: What URLSession says, or `CancellationError`.
  func response() async throws -> HTTPURLResponse {
    while true {
      try Task.checkCancellation()
      let (response, end) = state.withLock { ($0.response, $0.end) }
      if let response { return response }
      if let end {
        try end.get()
        throw URLError(.badServerResponse)
      }
      await change { $0.response != nil }
    }
  }

  /// The next piece of the body, or `nil` at its end.
  ///
  /// - Throws: What URLSession says, or `CancellationError`.
  func next() async throws -> Data? {
    while true {
      try Task.checkCancellation()
      let (piece, end, releases) = state.withLock { state in
        guard !state.pieces.isEmpty else { return (nil as Data?, state.end, false) }
        // Pieces are 16 KB and few: moving the rest up costs nothing next to the copy that made them.
        let piece = state.pieces.removeFirst()
        state.bytes -= piece.count
        let releases = state.producerWaits && state.bytes <= Self.limit / 2
        if releases { state.producerWaits = false }
        return (piece, nil, releases)
      }
      if releases { producerMayGoOn.signal() }
      if let piece { return piece }
      if let end {
        try end.get()
        return nil
      }
      await change { !$0.pieces.isEmpty }
    }
  }

  /// Nobody reads any more: what still comes is dropped.
  func abandon() {
    let (reader, releases) = state.withLock { state in
      let releases = state.producerWaits
      state.producerWaits = false
      state.isAbandoned = true
      state.pieces = []
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
          state.reader = continuation
          return false
        }
        if goesOn { continuation.resume() }
      }
    } onCancel: {
      abandon()
    }
  }
}
