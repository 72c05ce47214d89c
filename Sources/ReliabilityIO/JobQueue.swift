/// One piece of work, and the link to the next one in the queue.
class Job {
  fileprivate var next: Job?

  func run() {}
}

/// The queue of ``DiskExecutor`` and its threads: first in, first out, threads started only when nobody is idle.
///
/// Unchecked: every field is touched only under the monitor.
final class JobQueue: @unchecked Sendable {
  private let maximumThreads: Int
  private var first: Job?
  private var last: Job?
  private var idleThreads = 0
  /// Idle threads that were signalled and have not woken yet.
  private var wakingThreads = 0
  private var threads = 0
  private var queued = 0
  private var jobs = 0
  private var isClosed = false
  private let monitor = ThreadMonitor()

  init(maximumThreads: Int) { self.maximumThreads = maximumThreads }

  var threadCount: Int {
    monitor.lock()
    defer { monitor.unlock() }
    return threads
  }

  /// Threads, those that are idle, jobs that wait for one, and jobs so far.
  var figures: (threads: Int, idle: Int, queued: Int, jobs: Int) {
    monitor.lock()
    defer { monitor.unlock() }
    return (threads, idleThreads, queued, jobs)
  }

  func enqueue(_ job: Job) {
    monitor.lock()
    queued += 1
    jobs += 1
    if let last { last.next = job } else { first = job }
    last = job
    var mustStart = false
    var mustWake = false
    if idleThreads > wakingThreads {
      wakingThreads += 1
      mustWake = true
    } else if threads < maximumThreads {
      threads += 1
      mustStart = true
    }
    monitor.unlock()
    if mustWake {
      monitor.signal()
    } else if mustStart {
      startThread()
    }
  }

  /// Lets the threads end once the queue is empty.
  func close() {
    monitor.lock()
    isClosed = true
    monitor.unlock()
    monitor.broadcast()
  }

  /// A thread's life.
  private func serve() {
    monitor.lock()
    while true {
      while first == nil && !isClosed {
        idleThreads += 1
        monitor.wait()
        idleThreads -= 1
        if wakingThreads > 0 { wakingThreads -= 1 }
      }
      guard let job = first else { break }
      first = job.next
      job.next = nil
      if first == nil { last = nil }
      queued -= 1
      monitor.unlock()
      job.run()
      monitor.lock()
    }
    threads -= 1
    monitor.unlock()
  }

  private func startThread() {
    let failure = SystemThread.start("reliability-io") { self.serve() }
    if failure != 0 { threadDidNotStart() }
  }

  /// With other threads alive the jobs are served by them.
  ///
  /// With none, and none to be had, they are run here: blocking one thread of the pool is better than
  /// waiting for ever.
  private func threadDidNotStart() {
    monitor.lock()
    threads -= 1
    let isAlone = threads == 0
    var job = isAlone ? first : nil
    if isAlone {
      first = nil
      last = nil
      queued = 0
    }
    monitor.unlock()
    while let current = job {
      job = current.next
      current.next = nil
      current.run()
    }
  }
}
