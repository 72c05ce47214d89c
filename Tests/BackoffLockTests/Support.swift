import BackoffLock
import ReliabilityTesting
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// A number that tests share; what orders its users is the lock under test.
final class Counted: Sendable {
  private let atomic = Atomic<Int>(0)
  var value: Int {
    get { atomic.load(ordering: .sequentiallyConsistent) }
    set { atomic.store(newValue, ordering: .sequentiallyConsistent) }
  }
}

struct NeverHappened: Error {
  var line = #line
}

/// Looks again and again, at short intervals, until something has happened on another thread.
///
/// For half a minute: a busy machine lets a disk thread or a task wait for seconds.
func until(line: Int = #line, _ condition: () -> Bool) async throws {
  let end = ContinuousClock.now.advanced(by: .seconds(30))
  while !condition() {
    if ContinuousClock.now > end { throw NeverHappened(line: line) }
    try await ContinuousClock().wait(for: .microseconds(200))
  }
}

/// A thread that may block, unlike those of the pool.
final class Thread: Sendable {
  private let isDone = Atomic<Bool>(false)

  init(_ body: @escaping @Sendable () -> Void) {
    let box = Box(body: body, thread: self)
    #if canImport(Glibc)
      var thread = pthread_t()
    #else
      var thread: pthread_t?
    #endif
    let argument = unsafe Unmanaged.passRetained(box).toOpaque()
    #if canImport(Darwin)
      let result = unsafe pthread_create(
        &thread, nil, { unsafe Thread.main($0) }, argument)
    #else
      let result = unsafe pthread_create(
        &thread, nil, { argument in unsafe argument.flatMap { unsafe Thread.main($0) } }, argument)
    #endif
    precondition(result == 0)
    #if canImport(Glibc)
      pthread_detach(thread)
    #endif
  }

  func end() async {
    try? await until { isDone.load(ordering: .acquiring) }
  }

  private final class Box {
    let body: @Sendable () -> Void
    let thread: Thread
    init(body: @escaping @Sendable () -> Void, thread: Thread) {
      (self.body, self.thread) = (body, thread)
    }
  }

  private static func main(_ argument: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    let box = unsafe Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
    box.body()
    box.thread.isDone.store(true, ordering: .releasing)
    return nil
  }
}
