#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#endif

/// A mutex and a condition, for threads that wait for work or for each other.
///
/// A `Mutex` has no condition to wait on, so these are the C library's. Locked for a few instructions only: also threads of
/// the cooperative pool come here to leave work for others.
@safe package final class ThreadMonitor: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  package init() {
    unsafe mutex.initialize(to: pthread_mutex_t())
    unsafe condition.initialize(to: pthread_cond_t())
    unsafe pthread_mutex_init(mutex, nil)
    #if canImport(Darwin)
      unsafe pthread_cond_init(condition, nil)
    #else
      // By default the limit of a wait is an instant of the wall clock, which jumps.
      var attributes = pthread_condattr_t()
      unsafe pthread_condattr_init(&attributes)
      unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
      unsafe pthread_cond_init(condition, &attributes)
      unsafe pthread_condattr_destroy(&attributes)
    #endif
  }

  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe pthread_mutex_destroy(mutex)
    unsafe condition.deallocate()
    unsafe mutex.deallocate()
  }

  package func lock() { unsafe pthread_mutex_lock(mutex) }
  package func unlock() { unsafe pthread_mutex_unlock(mutex) }

  /// Sleeps until a signal, with the lock given up meanwhile; may also return without one.
  package func wait() { unsafe pthread_cond_wait(condition, mutex) }

  /// As ``wait()``, but not for longer than a number of seconds.
  ///
  /// - Parameter seconds: By a clock that never jumps; at least 0.
  /// - Returns: `false` when the time is up.
  package func wait(seconds: Int) -> Bool {
    var time = timespec()
    #if canImport(Darwin)
      time.tv_sec = seconds
      return unsafe pthread_cond_timedwait_relative_np(condition, mutex, &time) != ETIMEDOUT
    #else
      unsafe clock_gettime(CLOCK_MONOTONIC, &time)
      time.tv_sec += seconds
      return unsafe pthread_cond_timedwait(condition, mutex, &time) != ETIMEDOUT
    #endif
  }

  /// Wakes one thread that waits.
  ///
  /// Best after ``unlock()``: else it wakes only to wait for the lock.
  package func signal() { unsafe pthread_cond_signal(condition) }

  /// Wakes all threads that wait.
  package func broadcast() { unsafe pthread_cond_broadcast(condition) }
}
