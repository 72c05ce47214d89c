import BackoffLock
import ReliabilityIO
import ReliabilityTestSupport
import ReliabilityTesting

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

/// Two processes of two machines.
extension ProcessIdentity {
  static let alpha = KnownProcesses.on("alpha", pid: 11)
  static let beta = KnownProcesses.on("beta", pid: 22)
}

/// A server, a directory on it, and contenders from any machine; everything goes when the test ends.
final class LeaseScene: Sendable {
  let clock = ManualClock()
  let server: LeaseServer
  private let scratch = ScratchDirectory()
  var path: String { scratch.file("build.lease") }
  let events = Lock<[NetworkLease.Event]>([])

  init() { server = LeaseServer(clock: clock) }

  var names: [String] { scratch.names(in: "build.lease") }

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
    try scratch.write(text, to: "build.lease/" + name)
  }
}
