/// Lets one thread sleep until another wakes it, once; a wake that comes first is not lost.
///
/// Unchecked: the flag is touched only under the monitor.
package final class ThreadParker: @unchecked Sendable {
  private let monitor = ThreadMonitor()
  private var isAwake = false

  package init() {}

  /// Blocks the thread until ``wake()`` was called.
  package func sleep() {
    monitor.lock()
    while !isAwake { monitor.wait() }
    monitor.unlock()
  }

  /// Wakes the thread that sleeps, or that will.
  package func wake() {
    monitor.lock()
    isAwake = true
    monitor.unlock()
    monitor.signal()
  }
}
