internal import Dispatch
internal import Foundation
import Reliability

/// Threads for calls that block for long, such as a read from a socket; each is kept a while for the next call.
///
///     let head = try await BlockingThreads.shared.run { try fetch.open().head }
///
/// There is no limit: whoever calls has one, such as a number of workers. The cooperative pool is never blocked.
public final class BlockingThreads: Sendable {
  /// The threads of the process.
  public static let shared = BlockingThreads()

  private let idle = Lock<[Worker]>([])
  private let patience: DispatchTimeInterval
  private let givesWay: Bool

  /// Makes a set without threads.
  ///
  /// - Parameters:
  ///   - seconds: How long a thread without work stays.
  ///   - givesWay: Whether other threads come first where processors are short: those of downloads must not hold up the answers
  ///     of a service. Linux only.
  public init(idleSeconds seconds: Int = 10, givesWay: Bool = false) {
    patience = .seconds(seconds)
    self.givesWay = givesWay
  }

  /// Runs a body on one of the threads.
  ///
  /// Not cancellable by itself: whoever cancels must make the blocking call return.
  ///
  /// - Returns: What the body returns.
  /// - Throws: What the body throws.
  public func run<Result: Sendable>(
    _ body: @escaping @Sendable () throws -> Result
  ) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      start { continuation.resume(with: Swift.Result { try body() }) }
    }
  }

  /// Runs a body on one of the threads; nobody waits for it.
  public func start(_ body: @escaping @Sendable () -> Void) {
    if let worker = idle.withLock({ $0.popLast() }) {
      worker.hand(body)
    } else {
      let worker = Worker()
      worker.hand(body)
      Thread.detachNewThread { self.serve(worker) }
    }
  }

  private func serve(_ worker: Worker) {
    #if canImport(Glibc)
      // Of this thread alone: that is what zero means to Linux.
      if givesWay { _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10) }
    #endif
    while true {
      worker.next()?()
      idle.withLock { $0.append(worker) }
      if worker.wait(patience) { continue }
      let isTaken = idle.withLock { idle in
        guard let index = idle.firstIndex(where: { $0 === worker }) else { return true }
        idle.remove(at: index)
        return false
      }
      // Somebody was faster: the work is on its way.
      guard isTaken else { return }
      worker.wait()
    }
  }

  private final class Worker: Sendable {
    private let work = Lock<(@Sendable () -> Void)?>(nil)
    private let wake = DispatchSemaphore(value: 0)
    private let isFirst = Lock(true)

    func hand(_ body: @escaping @Sendable () -> Void) {
      work.withLock { $0 = body }
      wake.signal()
    }

    func next() -> (@Sendable () -> Void)? {
      // The first piece of work was there before the thread; its signal is used up here.
      let first = isFirst.withLock { first in
        defer { first = false }
        return first
      }
      if first { wake.wait() }
      return work.withLock { $0.take() }
    }

    func wait(_ patience: DispatchTimeInterval) -> Bool {
      wake.wait(timeout: .now() + patience) == .success
    }

    func wait() { wake.wait() }
  }
}
