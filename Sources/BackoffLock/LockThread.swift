internal import CReliability

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#endif

/// The one thread that waits for a lock on behalf of everybody in the process.
///
/// Waiting for another process has no bound, so it happens neither on the cooperative pool nor on the threads that do file
/// I/O, which the holder needs to finish. It is started when first needed and ends after a second without work.
///
/// Unchecked: the fields are touched only with `mutex` held.
@safe final class LockThread: @unchecked Sendable {
  private var jobs: [@Sendable () -> Void] = []
  private var isRunning = false
  private var isIdle = false
  private var mustEnd = false
  private var hasAlarm = false
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let hasWork = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init() {
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

  /// Runs a job after those that were given before.
  ///
  /// - Returns: 0, or the `errno` that kept the thread from starting; the job is dropped then.
  func run(_ job: @escaping @Sendable () -> Void) -> Int32 {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    if !isRunning {
      // With `mutex` held: a job that came meanwhile would be dropped with this one.
      let failure = start()
      if failure != 0 { return failure }
      isRunning = true
    }
    jobs.append(job)
    mustEnd = false
    unsafe pthread_cond_signal(hasWork)
    return 0
  }

  private func serve() {
    unsafe pthread_mutex_lock(mutex)
    while true {
      if jobs.isEmpty {
        if mustEnd { break }
        idle()
        continue
      }
      let job = jobs.removeFirst()
      unsafe pthread_mutex_unlock(mutex)
      job()
      unsafe pthread_mutex_lock(mutex)
    }
    (isRunning, mustEnd) = (false, false)
    unsafe pthread_mutex_unlock(mutex)
  }

  /// Waits for work, with `mutex` held.
  private func idle() {
    if !hasAlarm {
      hasAlarm = true
      let end = ContinuousClock.now.advanced(by: .seconds(1))
      // Weak, so that no alarm keeps a lock alive that its program let go.
      ContinuousClock().schedule(LockAlarm { [weak self] in self?.idleTimePassed() }, at: end)
    }
    isIdle = true
    unsafe pthread_cond_wait(hasWork, mutex)
    isIdle = false
  }

  private func idleTimePassed() {
    unsafe pthread_mutex_lock(mutex)
    hasAlarm = false
    if isIdle && jobs.isEmpty { mustEnd = true }
    unsafe pthread_mutex_unlock(mutex)
    unsafe pthread_cond_signal(hasWork)
  }

  private func start() -> Int32 {
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
      &thread, nil, { unsafe LockThread.main($0) }, argument.toOpaque())
    guard result == 0 else {
      unsafe argument.release()
      return result
    }
    #if canImport(Glibc)
      pthread_detach(thread)
    #else
      if let thread { unsafe pthread_detach(thread) }
    #endif
    return 0
  }

  #if canImport(Darwin)
    private static func main(_ argument: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
      unsafe creliability_name_thread("lock-wait")
      let thread = unsafe Unmanaged<LockThread>.fromOpaque(argument).takeRetainedValue()
      thread.serve()
      return nil
    }
  #else
    private static func main(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
      guard let argument = unsafe argument else { return nil }
      unsafe creliability_name_thread("lock-wait")
      let thread = unsafe Unmanaged<LockThread>.fromOpaque(argument).takeRetainedValue()
      thread.serve()
      return nil
    }
  #endif
}

/// Lets one thread sleep until another wakes it, once.
///
/// Unchecked: `isAwake` is touched only with `mutex` held.
@safe final class ThreadParker: @unchecked Sendable {
  private var isAwake = false
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let woken = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init() {
    unsafe mutex.initialize(to: pthread_mutex_t())
    unsafe woken.initialize(to: pthread_cond_t())
    unsafe pthread_mutex_init(mutex, nil)
    unsafe pthread_cond_init(woken, nil)
  }

  deinit {
    unsafe pthread_cond_destroy(woken)
    unsafe pthread_mutex_destroy(mutex)
    unsafe woken.deallocate()
    unsafe mutex.deallocate()
  }

  func sleep() {
    unsafe pthread_mutex_lock(mutex)
    while !isAwake { unsafe pthread_cond_wait(woken, mutex) }
    unsafe pthread_mutex_unlock(mutex)
  }

  func wake() {
    unsafe pthread_mutex_lock(mutex)
    isAwake = true
    unsafe pthread_cond_signal(woken)
    unsafe pthread_mutex_unlock(mutex)
  }
}
