internal import Synchronization

/// Runs finite disk calls on threads of its own, so that none ever blocks the cooperative pool.
///
/// A handful of threads, started when first needed, take jobs in order. More would not help: a disk serves few
/// calls at once, and journaling file systems commit concurrent syncs together.
///
/// - What may run here: calls that end by themselves, such as a write or a sync. Waiting for something without
///   a bound (another process's lock, a child, a pipe) must use a thread of its own, because the one who would
///   end the wait may need these threads to do so. User code never runs here, so task-locals need not follow.
/// - Cancellation: a call that waits or runs is finished; a disk call can't be taken back. The caller looks at
///   its task afterwards.
/// - Priority: the threads run at the default priority and jobs are served in order. A task that waits for a job
///   donates no priority to it; the inversion is bounded by the jobs ahead.
/// - Signals: all are blocked on these threads, so a program's handlers run on its own. One that the kernel
///   sends for a file limit (`SIGXFSZ`) becomes the error `EFBIG`.
/// - End: threads of ``shared`` live as long as the process and don't keep it alive. Another executor lets its
///   threads finish what is queued when it is released. After `fork` without `exec` there are no threads: jobs
///   would wait for ever.
package final class DiskExecutor: Sendable {
  /// The executor of the process.
  package static let shared = DiskExecutor(threads: 8)

  private let queue: JobQueue

  /// Makes an executor; no thread is started yet.
  ///
  /// - Parameter threads: The most threads it will have, at least 1.
  package init(threads: Int) {
    precondition(threads > 0, "threads must be greater than zero")
    queue = JobQueue(maximumThreads: threads)
  }

  deinit { queue.close() }

  /// How many threads have been started.
  package var threadCount: Int { queue.threadCount }

  /// Threads, those that are idle, jobs that wait for one, and jobs so far.
  var figures: (threads: Int, idle: Int, queued: Int, jobs: Int) { queue.figures }

  /// Runs a body of blocking calls on a disk thread and returns where the caller was.
  ///
  /// - Parameter body: Finite disk calls.
  /// - Returns: What the body returns.
  package nonisolated(nonsending) func run<R: ~Copyable, E: Error>(
    _ body: @escaping @Sendable () throws(E) -> sending R
  ) async throws(E) -> sending R {
    let job = BodyJob(body)
    await withCheckedContinuation { continuation in
      job.continuation = continuation
      queue.enqueue(job)
    }
    return try job.takeResult()
  }

  /// Starts a body of blocking calls on a disk thread and returns at once.
  ///
  /// For work that tells whoever waits for it by itself, possibly several tasks.
  ///
  /// - Parameter body: Finite disk calls.
  package func start(_ body: @escaping @Sendable () -> Void) {
    queue.enqueue(DetachedJob(body))
  }
}

/// A job nobody waits for.
///
/// Unchecked: the body is written before the job is queued and taken by the one thread that runs it.
private final class DetachedJob: Job, @unchecked Sendable {
  private var body: (@Sendable () -> Void)?

  init(_ body: @escaping @Sendable () -> Void) { self.body = body }

  override func run() { body.take()?() }
}

/// A job whose body gives one typed result to one waiting task.
///
/// Unchecked: the fields are written by the task before the job is queued, then by the one thread that runs it,
/// and read by the task after it was resumed. The queue's lock and the continuation order the three.
private final class BodyJob<R: ~Copyable, E: Error>: Job, @unchecked Sendable {
  private var body: (@Sendable () throws(E) -> sending R)?
  private var result: Result<R, E>?
  /// Orders the result's two sides.
  ///
  /// The continuation does too, but when it is resumed before the task waits, the thread sanitizer can't
  /// see it.
  private let isFinished = Atomic<Bool>(false)
  var continuation: CheckedContinuation<Void, Never>?

  init(_ body: @escaping @Sendable () throws(E) -> sending R) { self.body = body }

  override func run() {
    finish()
    isFinished.store(true, ordering: .releasing)
    continuation?.resume()
  }

  /// Runs the body and lets it go, before the task continues: what the body holds must not outlive the call.
  private func finish() {
    guard let body = body.take() else { preconditionFailure("a job ran twice") }
    do throws(E) {
      result = .success(try body())
    } catch {
      result = .failure(error)
    }
  }

  func takeResult() throws(E) -> sending R {
    guard isFinished.load(ordering: .acquiring), let result = result.take() else {
      preconditionFailure("a job was resumed unfinished")
    }
    return try result.get()
  }
}
