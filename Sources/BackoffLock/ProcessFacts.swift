internal import ReliabilityCore
internal import ReliabilityIO

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  // Compiled, not run: unverified.
  internal import Darwin
#elseif canImport(Musl)
  // Compiled, not run: unverified.
  internal import Musl
#endif

/// What a system knows of its processes: the machine's own, or another machine's in a test.
package protocol ProcessFacts: Sendable {
  /// The process that asks.
  var current: ProcessIdentity { get }
  /// Whether a process has this number, in the namespace of the one who asks.
  ///
  /// One that may not be signalled does.
  func exists(_ pid: Int32) -> Bool
  /// When the process with this number started; `nil` when that can't be found out.
  func startTime(of pid: Int32) -> UInt64?
}

/// What this system knows.
package struct SystemProcessFacts: ProcessFacts {
  package init() {}

  /// The identity is read once, and again in a child that was forked.
  private static let known = Lock<ProcessIdentity?>(nil)

  package var current: ProcessIdentity {
    let pid = getpid()
    if let known = SystemProcessFacts.known.withLock({ $0 }), known.pid == pid { return known }
    let read = readIdentity(pid)
    SystemProcessFacts.known.withLock { $0 = read }
    return read
  }

  package func exists(_ pid: Int32) -> Bool {
    // Zero and negative numbers would ask about groups of processes.
    pid > 0 && (kill(pid, 0) == 0 || errno != ESRCH)
  }
}

#if canImport(Darwin)
  extension SystemProcessFacts {
    package func startTime(of pid: Int32) -> UInt64? {
      var name: [Int32] = [CTL_KERN, KERN_PROC, KERN_PROC_PID, pid]
      var info = kinfo_proc()
      var size = MemoryLayout<kinfo_proc>.stride
      let result = unsafe sysctl(&name, UInt32(name.count), &info, &size, nil, 0)
      guard result == 0, size > 0 else { return nil }
      let start = unsafe info.kp_proc.p_un.__p_starttime
      return UInt64(start.tv_sec) * 1_000_000 + UInt64(start.tv_usec)
    }

    private func readIdentity(_ pid: Int32) -> ProcessIdentity {
      var boot = timeval()
      var size = MemoryLayout<timeval>.stride
      let known = unsafe sysctlbyname("kern.boottime", &boot, &size, nil, 0) == 0
      // The installation has no identifier that a process may read without a framework: another boot proves nothing.
      return ProcessIdentity(
        pid: pid, startTime: startTime(of: pid) ?? 0,
        bootIdentifier: text("kern.bootsessionuuid"),
        bootTime: known ? Int64(boot.tv_sec) * 1000 + Int64(boot.tv_usec) / 1000 : 0,
        namespace: 0, machineIdentifier: "", host: text("kern.hostname"))
    }

    private func text(_ name: String) -> String {
      var bytes = [UInt8](repeating: 0, count: 256)
      var size = bytes.count
      guard unsafe sysctlbyname(name, &bytes, &size, nil, 0) == 0 else { return "" }
      return String(decoding: bytes.prefix(size).prefix { $0 != 0 }, as: UTF8.self)
    }
  }
#else
  extension SystemProcessFacts {
    package func startTime(of pid: Int32) -> UInt64? {
      // Field 22 of proc(5)'s stat. The second is the program's name in parentheses and may hold anything, also
      // spaces and parentheses: count from the last one.
      let stat = content("/proc/\(pid)/stat")
      guard let name = stat.lastIndex(of: ")") else { return nil }
      let fields = stat[stat.index(after: name)...].split(separator: " ")
      return fields.count > 19 ? UInt64(fields[19]) : nil
    }

    private func readIdentity(_ pid: Int32) -> ProcessIdentity {
      let names = try? RealFileSystem()
        .status(of: "/proc/self/ns/pid", in: nil, followingLink: true)
      return ProcessIdentity(
        pid: pid, startTime: startTime(of: pid) ?? 0,
        bootIdentifier: content("/proc/sys/kernel/random/boot_id"), bootTime: bootTime,
        namespace: names?.inode ?? 0, machineIdentifier: content("/etc/machine-id"),
        host: content("/proc/sys/kernel/hostname"))
    }

    /// Milliseconds since 1970, from the time since boot (seconds with two decimals).
    private var bootTime: Int64 {
      guard let up = content("/proc/uptime").split(separator: " ").first.flatMap({ Double($0) })
      else { return 0 }
      return WallTime.now.nanosecondsSince1970 / 1_000_000 - Int64(up * 1000)
    }

    /// The first kilobyte of a small file of the system, without the newline; empty when it can't be read.
    private func content(_ path: String) -> String {
      guard let file = try? OpenFile(path, [.read], fileSystem: .real),
        let bytes = try? [UInt8](
          capacity: 1024,
          initializingWith: { (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
            try file.readAll(into: &buffer, at: 0)
          })
      else { return "" }
      return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }
  }
#endif
