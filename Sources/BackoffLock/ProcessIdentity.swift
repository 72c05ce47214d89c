package import ReliabilityCore

/// Which process, precisely enough to prove later that it has ended.
///
/// A process number alone proves nothing: numbers are used again, every container has a process 1, and a file on a
/// shared disk may name a process of another machine. ``isDead(according:)`` answers only what is certain.
package struct ProcessIdentity: Hashable, Sendable {
  /// The process number in its own namespace.
  package var pid: Int32
  /// When it started, in a unit of the platform's own, or 0 when that is unknown.
  ///
  /// On Linux clock ticks after boot. Only good for comparing.
  package var startTime: UInt64
  /// Names one start of one kernel; empty when unknown.
  package var bootIdentifier: String
  /// When that kernel started, in milliseconds since 1970, or 0 when unknown.
  package var bootTime: Int64
  /// The inode of its namespace of process numbers; 0 where there are none.
  package var namespace: UInt64
  /// Names the installation of the operating system; empty when unknown.
  package var machineIdentifier: String
  /// The machine's name, for people.
  package var host: String

  package init(
    pid: Int32, startTime: UInt64, bootIdentifier: String, bootTime: Int64, namespace: UInt64,
    machineIdentifier: String, host: String
  ) {
    self.pid = pid
    self.startTime = startTime
    self.bootIdentifier = bootIdentifier
    self.bootTime = bootTime
    self.namespace = namespace
    self.machineIdentifier = machineIdentifier
    self.host = host
  }

  /// This process.
  package static var current: ProcessIdentity { SystemProcessFacts().current }
}

extension ProcessIdentity {
  /// How much earlier a boot must be to count as an earlier one: the time of boot is computed from the wall clock.
  private static let bootMargin: Int64 = 1000

  /// Whether the process has certainly ended; `false` also when nothing is certain.
  ///
  /// - Its machine has restarted since: same machine by identifier and name, an earlier boot. Machines cloned from
  ///   one image share the identifier until it is made anew, so the name must agree too.
  /// - Same boot of the same kernel and the same namespace of process numbers: nobody has the number, or somebody who
  ///   started at another time has. A process that may not be signalled (`EPERM`) is there. A zombie counts as alive:
  ///   a process whose first thread has ended looks the same.
  ///
  /// - Parameter facts: What is known here.
  package func isDead(according facts: some ProcessFacts) -> Bool {
    let here = facts.current
    guard !bootIdentifier.isEmpty, machineIdentifier == here.machineIdentifier else { return false }
    if bootIdentifier != here.bootIdentifier {
      return !machineIdentifier.isEmpty && host == here.host && bootTime > 0
        && !here.bootIdentifier.isEmpty && bootTime < here.bootTime - ProcessIdentity.bootMargin
    }
    guard namespace == here.namespace, pid > 0 else { return false }
    guard facts.exists(pid) else { return true }
    guard startTime > 0, let now = facts.startTime(of: pid) else { return false }
    return now != startTime
  }

  /// Whether the process has certainly ended, according to this system.
  package var isDead: Bool { isDead(according: SystemProcessFacts()) }
}

extension ProcessIdentity {
  /// Writes the members `pid`, `start`, `boot`, `boot_ms`, `pidns`, `machine` and `host`.
  package func write(to json: inout JSONWriter) {
    json.member("pid", pid)
    json.member("start", startTime)
    json.member("boot", bootIdentifier)
    json.member("boot_ms", bootTime)
    json.member("pidns", namespace)
    json.member("machine", machineIdentifier)
    json.member("host", host)
  }

  /// Reads what ``write(to:)`` wrote.
  ///
  /// - Returns: `nil` without a process number; other members may be missing and count as unknown.
  package init?(_ line: JSONLine) {
    guard let pid = line.integer("pid").flatMap({ Int32(exactly: $0) }) else { return nil }
    self.init(
      pid: pid, startTime: line.unsigned("start") ?? 0, bootIdentifier: line.string("boot") ?? "",
      bootTime: line.integer("boot_ms") ?? 0, namespace: line.unsigned("pidns") ?? 0,
      machineIdentifier: line.string("machine") ?? "", host: line.string("host") ?? "")
  }
}
