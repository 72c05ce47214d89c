internal import ReliabilityIO
internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#endif

/// Which process this is, on which machine, since which start of it.
struct LockingProcess: Sendable {
  /// Sixteen bytes that differ from one start of the machine to the next.
  var bootIdentifier: [UInt8]
  /// When the process started, in clock ticks after the machine; tells it from a later one with its number.
  var startTime: UInt64?
  /// Which table of process numbers it is in: containers have their own.
  var processNamespace: String?
  var host: String
  var name: String

  static let current = LockingProcess()

  private init() {
    let status = Self.text("/proc/self/stat") ?? ""
    // The name may hold spaces and parentheses: what counts is after the last one.
    let fields = status.split(separator: ")").last?.split(separator: " ") ?? []
    startTime = fields.count > 19 ? UInt64(fields[19]) : nil
    let program = CommandLine.arguments.first ?? ""
    name = String(program.split(separator: "/").last ?? "unknown")
    processNamespace = try? RealFileSystem().readLink("/proc/self/ns/pid", in: nil)
    host = Self.hostName()
    bootIdentifier = Self.currentBootIdentifier()
  }

  private static func currentBootIdentifier() -> [UInt8] {
    #if canImport(Darwin)
      // The session's number is a text of 36 characters. Compiled, not run: unverified.
      var size = 64
      var buffer = [CChar](repeating: 0, count: size)
      let result = unsafe sysctlbyname("kern.bootsessionuuid", &buffer, &size, nil, 0)
      let digits =
        result == 0
        ? String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        : ""
    #else
      let digits = text("/proc/sys/kernel/random/boot_id") ?? ""
    #endif
    var bytes: [UInt8] = []
    var high: UInt8?
    for character in digits {
      guard let digit = character.hexDigitValue.map(UInt8.init) else { continue }
      if let first = high {
        bytes.append(first << 4 | digit)
        high = nil
      } else {
        high = digit
      }
    }
    // Without one, every start of the machine looks like the same: the counter still grows, as far as it was kept.
    return Array((bytes + [UInt8](repeating: 0xFF, count: 16)).prefix(16))
  }

  private static func hostName() -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard unsafe gethostname(&buffer, buffer.count - 1) == 0 else { return "unknown" }
    return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  private static func text(_ path: String) -> String? {
    guard let file = try? OpenFile(path, [.read], fileSystem: .real),
      let bytes = try? [UInt8](
        capacity: 1024,
        initializingWith: { (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
          try file.readAll(into: &buffer, at: 0)
        })
    else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// Tells a process from the copy of it that `fork` makes: what is held here is not the copy's to use or give up.
enum ForkWatch {
  private static let forks = Atomic<Int>(0)
  private static let isWatching: Bool = {
    pthread_atfork(nil, nil, { ForkWatch.forks.add(1, ordering: .relaxed) })
    return true
  }()

  /// How many forks lie between the program and this process.
  static var generation: Int {
    _ = isWatching
    return forks.load(ordering: .relaxed)
  }

  /// Whether this process came from `fork` without `exec` after locks were first used.
  static var isCopy: Bool { generation != 0 }
}
