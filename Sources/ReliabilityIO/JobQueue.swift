internal import CReliability

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#endif

/// One piece of work, and the link to the next one in the queue.
class Job {
  fileprivate var next: Job?

  func run() {}
}

/// The queue of ``DiskExecutor`` and its threads: first in, first out, threads started only when nobody is idle.
///
/// Unchecked: every field is touched only with `mutex` held. A `Mutex` has no condition to wait on, so this is
/// the C library's.
@safe final class JobQueue: @unchecked Sendable {
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
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let hasWork = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init(maximumThreads: Int) {
    self.maximumThreads = maximumThreads
    unsafe mutex.initialize(to: pthread_mutex_t())
    unsafe hasWork.initialize(to: pthread_cond_t())
    unsafe pthread_mutex_init(mutex, nil)
    unsafe pthread_cond_init(hasWork, nil)
  }

  deinit {
    unsafe pthread_cond_destroy(hasWork)
    unsafe pthread_mutex_destroy(mutex)
    unsafe hasWork.deallocate()
    unsafe mutex.deallocate()
  }

  var threadCount: Int {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    return threads
  }

  /// Threads, those that are idle, jobs that wait for one, and jobs so far.
  var figures: (threads: Int, idle: Int, queued: Int, jobs: Int) {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    return (threads, idleThreads, queued, jobs)
  }

  func enqueue(_ job: Job) {
    unsafe pthread_mutex_lock(mutex)
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
    unsafe pthread_mutex_unlock(mutex)
    if mustWake {
      unsafe pthread_cond_signal(hasWork)
    } else if mustStart {
      startThread()
    }
  }

  /// Lets the threads end once the queue is empty.
  func close() {
    unsafe pthread_mutex_lock(mutex)
    isClosed = true
    unsafe pthread_mutex_unlock(mutex)
    unsafe pthread_cond_broadcast(hasWork)
  }

  /// A thread's life.
  private func serve() {
    unsafe pthread_mutex_lock(mutex)
    while true {
      while first == nil && !isClosed {
        idleThreads += 1
        unsafe pthread_cond_wait(hasWork, mutex)
        idleThreads -= 1
        if wakingThreads > 0 { wakingThreads -= 1 }
      }
      guard let job = first else { break }
      first = job.next
      job.next = nil
      if first == nil { last = nil }
      queued -= 1
      unsafe pthread_mutex_unlock(mutex)
      job.run()
      unsafe pthread_mutex_lock(mutex)
    }
    threads -= 1
    unsafe pthread_mutex_unlock(mutex)
  }

  private func startThread() {
    // The new thread inherits the mask: no signal handler of the program runs on it.
    var all = sigset_t()
    var previous = sigset_t()
    unsafe sigfillset(&all)
    unsafe pthread_sigmask(SIG_SETMASK, &all, &previous)
    defer { unsafe pthread_sigmask(SIG_SETMASK, &previous, nil) }

    let argument = unsafe Unmanaged.passRetained(self)
    #if canImport(Glibc)
      var thread = pthread_t()
    #else
      var thread: pthread_t?
    #endif
    let result = unsafe pthread_create(
      &thread, nil, { unsafe JobQueue.threadMain($0) }, argument.toOpaque())
    if result == 0 {
      #if canImport(Glibc)
        pthread_detach(thread)
      #else
        if let thread { unsafe pthread_detach(thread) }
      #endif
    } else {
      unsafe argument.release()
      threadDidNotStart(result)
    }
  }

  /// With other threads alive the jobs are served by them.
  ///
  /// With none, and none to be had, they are run here: blocking one thread of the pool is better than
  /// waiting for ever.
  private func threadDidNotStart(_ reason: Int32) {
    unsafe pthread_mutex_lock(mutex)
    threads -= 1
    let isAlone = threads == 0
    var job = isAlone ? first : nil
    if isAlone {
      first = nil
      last = nil
      queued = 0
    }
    unsafe pthread_mutex_unlock(mutex)
    while let current = job {
      job = current.next
      current.next = nil
      current.run()
    }
  }

  #if canImport(Darwin)
    private static func threadMain(_ argument: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer?
    {
      unsafe creliability_name_thread("reliability-io")
      let queue = unsafe Unmanaged<JobQueue>.fromOpaque(argument).takeRetainedValue()
      queue.serve()
      return nil
    }
  #else
    private static func threadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?
    {
      guard let argument = unsafe argument else { return nil }
      unsafe creliability_name_thread("reliability-io")
      let queue = unsafe Unmanaged<JobQueue>.fromOpaque(argument).takeRetainedValue()
      queue.serve()
      return nil
    }
  #endif
}
