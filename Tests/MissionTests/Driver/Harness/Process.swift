import CReliabilityAllocationCounter
import Reliability
import ReliabilityIO

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What this process holds of the machine.
enum Process {
  static func end(_ status: Int32) -> Never { exit(status) }

  /// Open descriptors; zero where there is no `/proc`.
  static var descriptors: Int { names(in: "/proc/self/fd") }

  /// Threads; zero where there is no `/proc`.
  static var threads: Int { names(in: "/proc/self/task") }

  private static func names(in directory: String) -> Int {
    guard let open = try? OpenDirectory(directory, fileSystem: .real) else { return 0 }
    return (try? open.entries())?.count ?? 0
  }

  /// Bytes that the program holds from malloc; zero where that can't be asked.
  static var heapBytes: Int { max(0, Int(creliability_heap_bytes())) }

  /// The least of what is held at some moments: work that is just ending is not counted.
  static func settledHeapBytes() async -> Int {
    var least = heapBytes
    for _ in 0..<20 {
      try? await ContinuousClock().wait(for: .milliseconds(5))
      least = min(least, heapBytes)
    }
    return least
  }

  /// Processor time of all threads so far.
  static var processorTime: Duration {
    var usage = rusage()
    #if canImport(Glibc)
      let whom = __rusage_who_t(RUSAGE_SELF.rawValue)
    #else
      let whom = RUSAGE_SELF
    #endif
    guard unsafe getrusage(whom, &usage) == 0 else { return .zero }
    return .seconds(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
      + .microseconds(Int64(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec))
  }

  /// Waits until something holds, for a minute at most.
  ///
  /// - Returns: Whether it does.
  static func settles(_ condition: () -> Bool) async -> Bool {
    let end = ContinuousClock.now + .seconds(60)
    while !condition() {
      if ContinuousClock.now > end { return false }
      try? await ContinuousClock().wait(for: .milliseconds(2))
    }
    return true
  }

  /// Another process of this program; it must succeed.
  static func run(_ arguments: [String]) async throws {
    try await runProcess(CommandLine.arguments[0], arguments)
  }
}
