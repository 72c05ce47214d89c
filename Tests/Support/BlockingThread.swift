import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// A thread that may block, unlike those of the pool.
package final class BlockingThread: Sendable {
  private let isDone = Atomic<Bool>(false)

  package init(_ body: @escaping @Sendable () -> Void) {
    let box = Box(body: body, thread: self)
    #if canImport(Glibc)
      var thread = pthread_t()
    #else
      var thread: pthread_t?
    #endif
    let argument = unsafe Unmanaged.passRetained(box).toOpaque()
    #if canImport(Darwin)
      let result = unsafe pthread_create(
        &thread, nil, { unsafe BlockingThread.main($0) }, argument)
    #else
      let result = unsafe pthread_create(
        &thread, nil, { argument in unsafe argument.flatMap { unsafe BlockingThread.main($0) } },
        argument)
    #endif
    precondition(result == 0)
    #if canImport(Glibc)
      pthread_detach(thread)
    #endif
  }

  package func end() async {
    try? await until { isDone.load(ordering: .acquiring) }
  }

  private final class Box {
    let body: @Sendable () -> Void
    let thread: BlockingThread
    init(body: @escaping @Sendable () -> Void, thread: BlockingThread) {
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
