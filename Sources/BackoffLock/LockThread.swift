internal import ReliabilityIO

/// The one thread that waits for a lock on behalf of everybody in the process.
///
/// Waiting for another process has no bound, so it happens neither on the cooperative pool nor on the threads that do file
/// I/O, which the holder needs to finish. It is started when first needed and ends after a second without work.
///
/// Unchecked: the fields are touched only under the monitor.
final class LockThread: @unchecked Sendable {
  private let monitor = ThreadMonitor()
  private var jobs: [@Sendable () -> Void] = []
  private var isRunning = false

  /// Runs a job after those that were given before.
  ///
  /// - Returns: 0, or the `errno` that kept the thread from starting; the job is dropped then.
  func run(_ job: @escaping @Sendable () -> Void) -> Int32 {
    monitor.lock()
    var failure: Int32 = 0
    if !isRunning {
      // Under the monitor: a job that came meanwhile would be dropped with this one.
      failure = SystemThread.start("lock-wait") { self.serve() }
      isRunning = failure == 0
    }
    if failure == 0 { jobs.append(job) }
    monitor.unlock()
    monitor.signal()
    return failure
  }

  /// The thread's life.
  private func serve() {
    monitor.lock()
    while !jobs.isEmpty || monitor.wait(seconds: 1) || !jobs.isEmpty {
      if jobs.isEmpty { continue }
      let job = jobs.removeFirst()
      monitor.unlock()
      job()
      monitor.lock()
    }
    isRunning = false
    monitor.unlock()
  }
}
