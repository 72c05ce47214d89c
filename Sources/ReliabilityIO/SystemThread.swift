internal import CReliability

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#endif

/// A thread of the system's own, beside the cooperative pool, for calls that block.
package enum SystemThread {
  /// Starts a detached thread on which no signal handler of the program runs.
  ///
  /// - Parameters:
  ///   - name: As debuggers and `top -H` show it; at most 15 bytes are kept.
  ///   - body: What the thread does; it ends when this returns.
  /// - Returns: 0, or the `errno` that kept it from starting; the body is dropped then.
  package static func start(_ name: String, _ body: @escaping @Sendable () -> Void) -> Int32 {
    // The new thread inherits the mask.
    var all = sigset_t()
    var previous = sigset_t()
    unsafe sigfillset(&all)
    unsafe pthread_sigmask(SIG_SETMASK, &all, &previous)
    defer { unsafe pthread_sigmask(SIG_SETMASK, &previous, nil) }

    let start = unsafe Unmanaged.passRetained(ThreadStart(name, body))
    #if canImport(Glibc)
      var thread = pthread_t()
    #else
      var thread: pthread_t?
    #endif
    let failure = unsafe pthread_create(
      &thread, nil, { unsafe SystemThread.main($0) }, start.toOpaque())
    guard failure == 0 else {
      unsafe start.release()
      return failure
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
      unsafe Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue().run()
      return nil
    }
  #else
    private static func main(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
      guard let argument = unsafe argument else { return nil }
      unsafe Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue().run()
      return nil
    }
  #endif
}

/// What a thread is given on its way.
private final class ThreadStart: Sendable {
  private let name: String
  private let body: @Sendable () -> Void

  init(_ name: String, _ body: @escaping @Sendable () -> Void) {
    (self.name, self.body) = (name, body)
  }

  func run() {
    unsafe name.withCString { unsafe creliability_name_thread($0) }
    body()
  }
}
