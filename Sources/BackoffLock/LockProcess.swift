internal import ReliabilityIO
internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#endif

/// What a lock file says about the process that holds it, read once.
struct LockProcess: Sendable {
  /// Sixteen bytes that differ from one start of the machine to the next.
  let bootIdentifier: [UInt8]
  /// When the process started, which tells it from a later one with its number; `nil` when unknown.
  let startTime: UInt64?
  /// Which table of process numbers it is in, since containers have their own; `nil` where there is only one.
  let processNamespace: String?
  let host: String
  let name: String

  static let current = LockProcess(.current)

  private init(_ identity: ProcessIdentity) {
    let program = CommandLine.arguments.first ?? ""
    name = String(program.split(separator: "/").last ?? "unknown")
    startTime = identity.startTime == 0 ? nil : identity.startTime
    processNamespace = identity.namespace == 0 ? nil : "pid:[\(identity.namespace)]"
    host = identity.host.isEmpty ? "unknown" : identity.host
    bootIdentifier = Self.bytes(of: identity.bootIdentifier)
  }

  /// The bytes that the hexadecimal digits of a text stand for.
  ///
  /// Without a text every start of the machine looks like the same: the counter still grows, as far as it was kept.
  private static func bytes(of text: String) -> [UInt8] {
    let digits = text.compactMap { $0.hexDigitValue.map(UInt8.init) }
    let bytes = stride(from: 0, to: digits.count - digits.count % 2, by: 2).map {
      digits[$0] << 4 | digits[$0 + 1]
    }
    return Array((bytes + [UInt8](repeating: 0xFF, count: 16)).prefix(16))
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
