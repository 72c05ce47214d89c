internal import CReliability
internal import ReliabilityCore
internal import ReliabilityIO

/// The one thread that serves all children: it waits for their ends and their output, and does what their state machines say.
///
/// No thread is blocked for a child, no signal handler is installed, and nobody else's children are awaited. No code of a user runs here.
/// A child whose end the system cannot report (no pidfd before Linux 5.3, or no memory for another watch) is looked at every 20
/// milliseconds.
@safe final class ProcessLoop: @unchecked Sendable {
  /// What the loop serves; every function is called on its thread.
  protocol Served: AnyObject {
    func ready(_ channel: Channel)
    func poll()
  }

  /// What became ready.
  enum Channel: UInt64 { case exit, output, error }

  private static let pollMilliseconds: Int32 = 20
  private static let wakeToken = UInt64.max
  private static let instance = Lock<ProcessLoop?>(nil)

  /// The loop of the process, started when first needed.
  static func shared() throws(SystemCallError) -> ProcessLoop {
    let outcome = instance.withLock { instance -> Result<ProcessLoop, SystemCallError> in
      if let loop = instance { return .success(loop) }
      do throws(SystemCallError) {
        let loop = try ProcessLoop()
        instance = loop
        return .success(loop)
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }

  private let poller: Int32
  private let waker: Int32
  private let posted = Lock<[@Sendable () -> Void]>([])

  // Only touched on the loop's thread.
  private var served: [UInt64: any Served] = [:]
  private var polled: Set<UInt64> = []
  private var lastID: UInt64 = 0
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)

  private init() throws(SystemCallError) {
    poller = creliability_poller_open()
    guard poller >= 0 else { throw .last("epoll_create") }
    waker = creliability_poller_add_waker(poller, Self.wakeToken)
    guard waker >= 0 else {
      let failure = SystemCallError.last("eventfd")
      creliability_close(poller)
      throw failure
    }
    let failure = SystemThread.start("processes") { self.run() }
    guard failure == 0 else {
      #if os(Linux)
        creliability_close(waker)
      #endif
      creliability_close(poller)
      throw SystemCallError(ErrorNumber(rawValue: failure), call: "pthread_create", path: "")
    }
  }

  deinit { unsafe buffer.deallocate() }

  /// Runs the body on the loop's thread, after what was posted before.
  func post(_ body: @escaping @Sendable () -> Void) {
    let isFirst = posted.withLock { posted in
      posted.append(body)
      return posted.count == 1
    }
    if isFirst { creliability_poller_wake(poller, waker) }
  }

  private func run() {
    var tokens = [UInt64](repeating: 0, count: 64)
    while true {
      let timeout = polled.isEmpty ? -1 : Self.pollMilliseconds
      let count = unsafe tokens.withUnsafeMutableBufferPointer {
        unsafe creliability_poller_wait(poller, $0.baseAddress!, Int32($0.count), timeout)
      }
      for token in tokens.prefix(Int(count)) {
        if token == Self.wakeToken {
          creliability_poller_clear(waker)
        } else if let channel = Channel(rawValue: token & 3) {
          served[token >> 2]?.ready(channel)
        }
      }
      let bodies = posted.withLock { posted in
        defer { posted = [] }
        return posted
      }
      for body in bodies { body() }
      for id in polled { served[id]?.poll() }
    }
  }

  // MARK: On the loop's thread

  func add(_ child: any Served) -> UInt64 {
    lastID += 1
    served[lastID] = child
    return lastID
  }

  func remove(_ id: UInt64) {
    served[id] = nil
    polled.remove(id)
  }

  /// Watches a descriptor, or looks at the child again and again where that cannot be had.
  func watch(_ descriptor: Int32, _ channel: Channel, of id: UInt64) {
    if creliability_poller_add(poller, descriptor, id << 2 | channel.rawValue) != 0 {
      polled.insert(id)
    }
  }

  /// Watches for the end of a process.
  func watchExit(of pid: Int32, _ pidfd: Int32, _ id: UInt64) {
    let token = id << 2 | Channel.exit.rawValue
    if creliability_poller_add_process(poller, pid, pidfd, token) != 0 { polled.insert(id) }
  }

  func unwatch(_ descriptor: Int32) { creliability_poller_remove(poller, descriptor) }
}

extension SystemCallError {
  /// The call that has just failed on this thread.
  static func last(_ call: String, _ path: String = "") -> SystemCallError {
    SystemCallError(ErrorNumber(rawValue: creliability_error_number()), call: call, path: path)
  }
}
