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
  /// The threads without work, each asleep on a parker of its own.
  ///
  /// Not all on one condition: that of glibc before 2.41 can lose a signal when several threads wait for it (bug 25847),
  /// and the job would lie in the queue with every thread asleep.
  private var idle: [ThreadParker] = []
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
    return (threads, idle.count, queued, jobs)
  }

  func enqueue(_ job: Job) {
    monitor.lock()
    queued += 1
    jobs += 1
    if let last { last.next = job } else { first = job }
    last = job
    let sleeper = idle.popLast()
    let mustStart = sleeper == nil && threads < maximumThreads
    if mustStart { threads += 1 }
    monitor.unlock()
    if let sleeper {
      sleeper.wake()
    } else if mustStart {
      startThread()
    }
  }

  /// Lets the threads end once the queue is empty.
  func close() {
    monitor.lock()
    isClosed = true
    let sleepers = idle
    idle = []
    monitor.unlock()
    for sleeper in sleepers { sleeper.wake() }
  }

  /// A thread's life.
  private func serve() {
    monitor.lock()
    while true {
      while first == nil && !isClosed {
        let parker = ThreadParker()
        idle.append(parker)
        monitor.unlock()
        parker.sleep()
        monitor.lock()
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
