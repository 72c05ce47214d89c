import ReliabilityIO
import ReliabilityTesting
import Synchronization

#if canImport(Darwin)
  import Darwin
#endif

/// The real file system with the calls of a lock counted, and one of them failing.
final class FaultyLocks: ForwardingFileSystem, CustomStringConvertible {
  private struct State {
    var calls = 0
    var open: Set<Int32> = []
    var faultsMet = 0
    var failed = ""
    var threads: [String: Set<String>] = [:]
  }

  let base: any FileSystemBackend = RealFileSystem()
  private let failing: Int
  private let call: String?
  private let number: ErrorNumber
  private let persistently: Bool
  private let isNetwork: Bool
  private let state = Lock(State())

  /// The n-th call fails, counted from 1, and perhaps all after it.
  init(failing: Int, _ number: ErrorNumber, persistently: Bool) {
    (self.failing, self.number, self.persistently) = (failing, number, persistently)
    call = nil
    isNetwork = false
  }

  /// Every call of one name fails.
  init(failingEvery call: String, _ number: ErrorNumber) {
    (failing, self.number, persistently, self.call) = (0, number, true, call)
    isNetwork = false
  }

  /// Nothing fails; perhaps it says of itself that another machine has the data.
  init(isNetwork: Bool) {
    (failing, number, persistently, call) = (0, .inputOutput, false, nil)
    self.isNetwork = isNetwork
  }

  var fileSystem: FileSystem { FileSystem(self) }
  var openDescriptors: Int { state.withLock { $0.open.count } }
  var calls: Int { state.withLock { $0.calls } }
  var faultsMet: Int { state.withLock { $0.faultsMet } }
  var description: String {
    state.withLock { "\($0.failed) failing as call \(failing) with \(number)" }
  }

  /// The names of the threads on which a call was made.
  func threads(of call: String) -> Set<String> { state.withLock { $0.threads[call] ?? [] } }

  private static var threadName: String {
    #if os(Linux)
      guard let file = try? OpenFile("/proc/thread-self/comm", [.read], fileSystem: .real),
        let name = try? [UInt8](
          capacity: 32,
          initializingWith: { (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
            try file.readAll(into: &buffer, at: 0)
          })
      else { return "" }
      return String(decoding: name.dropLast(), as: UTF8.self)
    #else
      var name = [CChar](repeating: 0, count: 32)
      _ = unsafe pthread_getname_np(pthread_self(), &name, name.count)
      return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    #endif
  }

  func willCall(_ name: String) throws(ErrorNumber) {
    let thread = isNetwork ? Self.threadName : ""
    let fails = state.withLock { state in
      state.calls += 1
      if isNetwork { state.threads[name, default: []].insert(thread) }
      let fails =
        call.map { $0 == name }
        ?? (persistently ? state.calls >= failing : state.calls == failing)
      if fails {
        state.faultsMet += 1
        state.failed = name
      }
      return fails
    }
    if fails { throw number }
  }

  func open(
    _ name: String, in directory: Descriptor?, _ flags: OpenFlags, mode: FileMode
  ) throws(ErrorNumber) -> Descriptor {
    try willCall("open")
    let file = try base.open(name, in: directory, flags, mode: mode)
    state.withLock { _ = $0.open.insert(file.rawValue) }
    return file
  }

  /// Never fails, so that what is open can be counted.
  func close(_ file: Descriptor) throws(ErrorNumber) {
    let wasOpen = state.withLock { $0.open.remove(file.rawValue) != nil }
    precondition(wasOpen, "a descriptor was closed twice")
    try base.close(file)
  }

  func kind(of file: Descriptor) throws(ErrorNumber) -> FileSystemKind {
    try willCall("fstatfs")
    if isNetwork { return FileSystemKind(name: "nfs", isNetwork: true) }
    return try base.kind(of: file)
  }
}
