import BackoffLock
import ReliabilityIO
import ReliabilityTesting

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// What a made-up machine knows of its processes.
struct KnownProcesses: ProcessFacts {
  var current: ProcessIdentity
  /// Number and time of start of those that exist; 0 where it can't be asked.
  var others: [Int32: UInt64] = [:]

  func exists(_ pid: Int32) -> Bool { pid == current.pid || others[pid] != nil }
  func startTime(of pid: Int32) -> UInt64? {
    pid == current.pid ? current.startTime : others[pid].flatMap { $0 == 0 ? nil : $0 }
  }

  /// A process of one machine; another machine differs in everything.
  static func on(_ machine: String, pid: Int32, namespace: UInt64 = 1) -> ProcessIdentity {
    ProcessIdentity(
      pid: pid, startTime: 1000 + UInt64(pid), bootIdentifier: "boot of \(machine)",
      bootTime: 1_700_000_000_000, namespace: namespace, machineIdentifier: "id of \(machine)",
      host: machine)
  }
}

/// A server, a directory on it, and contenders from any machine; everything goes when the test ends.
final class LeaseScene: Sendable {
  let clock = ManualClock()
  let server: LeaseServer
  let directory: String
  var path: String { directory + "/build.lease" }
  let events = Lock<[NetworkLease.Event]>([])

  init() {
    server = LeaseServer(clock: clock)
    var template = Array("/tmp/reliability-lease-XXXXXX".utf8CString)
    precondition(unsafe mkdtemp(&template) != nil, "no scratch directory")
    directory = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit {
    let files = RealFileSystem()
    for name in names { try? files.unlink(path + "/" + name, in: nil) }
    try? files.removeDirectory(path, in: nil)
    try? files.removeDirectory(directory, in: nil)
  }

  var names: [String] {
    guard let directory = try? OpenDirectory(path, fileSystem: .real) else { return [] }
    return ((try? directory.entries()) ?? []).sorted()
  }

  var kinds: [NetworkLease.Event.Kind] { events.withLock { $0.map(\.kind) } }

  /// A contender with the identity of some process.
  func lease(
    _ identity: ProcessIdentity, knowing others: [Int32: UInt64] = [:],
    _ change: (inout NetworkLease.Configuration) -> Void = { _ in }
  ) -> NetworkLease {
    var configuration = NetworkLease.Configuration()
    configuration.randomness = .seeded(7)
    configuration.observer = { event in self.events.withLock { $0.append(event) } }
    change(&configuration)
    return NetworkLease(
      path, configuration: configuration, fileSystem: server.fileSystem, clock: clock,
      facts: KnownProcesses(current: identity, others: others))
  }

  func write(_ text: String, to name: String) throws {
    if names.isEmpty {
      try? RealFileSystem().makeDirectory(path, in: nil, mode: 0o755)
    }
    let file = try OpenFile(path + "/" + name, [.write, .create], fileSystem: .real)
    try file.writeAll(Array(text.utf8).span, at: 0)
  }
}
