import Reliability

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Runs all tasks of the process on one thread, in one order: what they do depends on nothing but their input.
///
/// The runtime hands every job that would go to the pool to a hook that it exports for this purpose. Here the jobs stand in a
/// line, and the calling thread takes them one by one. A task that wants to go on when nobody else can asks ``idle()``.
enum OneThread {
  struct Stuck: Error, CustomStringConvertible {
    var description: String { "every task waits for something that never comes" }
  }

  struct Unavailable: Error, CustomStringConvertible {
    var description: String { "this runtime has no hook for its pool" }
  }

  private struct Line {
    var jobs: [UnownedJob] = []
    var next = 0
    var idle: [CheckedContinuation<Void, Never>] = []

    mutating func take() -> UnownedJob? {
      guard next < jobs.count else { return nil }
      defer {
        next += 1
        if next == jobs.count || next == 4096 {
          jobs.removeFirst(next)
          next = 0
        }
      }
      return jobs[next]
    }
  }

  private static let line = Lock(Line())

  private final class Executor: SerialExecutor {
    func enqueue(_ job: consuming ExecutorJob) { OneThread.enqueue(UnownedJob(job)) }
  }

  private static let executor = Executor()

  private static func enqueue(_ job: UnownedJob) { line.withLock { $0.jobs.append(job) } }

  /// Runs a body, and everything it starts, on this thread until nothing more can go on.
  static func run<Value: Sendable>(
    _ body: @escaping @Sendable () async throws -> Value
  ) throws -> Value {
    let hook = unsafe try hook()
    unsafe hook.pointee = { job, _ in OneThread.enqueue(job) }
    defer { unsafe hook.pointee = nil }
    let outcome = Outcome<Value>()
    Task.detached { await outcome.set(body) }
    while true {
      if let job = line.withLock({ $0.take() }) {
        unsafe job.runSynchronously(on: executor.asUnownedSerialExecutor())
      } else if let waiter = line.withLock({ $0.idle.popLast() }) {
        waiter.resume()
      } else if let value = outcome.value {
        return try value.get()
      } else {
        throw Stuck()
      }
    }
  }

  /// Suspends until no other task can go on.
  static func idle() async {
    await withCheckedContinuation { continuation in line.withLock { $0.idle.append(continuation) } }
  }

  private final class Outcome<Value: Sendable>: Sendable {
    private let result = Lock<Result<Value, any Error>?>(nil)
    var value: Result<Value, any Error>? { result.withLock { $0 } }
    func set(_ body: @Sendable () async throws -> Value) async {
      let outcome: Result<Value, any Error>
      do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
      result.withLock { $0 = outcome }
    }
  }

  private typealias Original = @convention(thin) (UnownedJob) -> Void
  private typealias Hook = @convention(thin) (UnownedJob, Original) -> Void

  private static func hook() throws -> UnsafeMutablePointer<Hook?> {
    guard let symbol = unsafe dlsym(dlopen(nil, 0), "swift_task_enqueueGlobal_hook") else {
      throw Unavailable()
    }
    return unsafe symbol.assumingMemoryBound(to: Hook?.self)
  }
}
