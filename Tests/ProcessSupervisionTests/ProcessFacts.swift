import CReliability

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

enum ProcessFacts {
  /// This process's memory.
  static var resident: Int64 {
    var process = creliability_process()
    return unsafe creliability_process_read(getpid(), &process) == 0 ? process.resident_bytes : 0
  }
}
