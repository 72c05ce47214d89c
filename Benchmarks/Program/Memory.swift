import CReliabilityAllocationCounter

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// How much memory the process holds.
enum Memory {
  /// Bytes that the program holds from malloc; NaN where that cannot be asked.
  static var heapBytes: Double {
    let bytes = creliability_heap_bytes()
    return bytes < 0 ? .nan : Double(bytes)
  }

  /// Bytes of physical memory, as the system sees it, without what malloc keeps for later; NaN where there is no `/proc`.
  static var residentBytes: Double {
    creliability_heap_trim()
    let descriptor = unsafe open("/proc/self/statm", O_RDONLY)
    guard descriptor >= 0 else { return .nan }
    defer { close(descriptor) }
    let text = unsafe String(unsafeUninitializedCapacity: 256) { buffer in
      unsafe max(0, read(descriptor, buffer.baseAddress, buffer.count))
    }
    // Sizes in pages: in all, resident, shared …
    let fields = text.split(separator: " ")
    guard fields.count > 1, let pages = Double(fields[1]) else { return .nan }
    return pages * Double(sysconf(Int32(_SC_PAGESIZE)))
  }
}

/// How long the processors have worked for this process.
enum CPUTime {
  /// Nanoseconds in the program and in the kernel for it, all threads together.
  static var now: Double {
    var time = timespec()
    guard unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return .nan }
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
  }
}
