import CReliability
import ProcessSupervision
import ReliabilityTestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// What the tests need to know of processes that is not the module's to say.
enum Shell {
  static let isLong = unsafe getenv("RELIABILITY_LONG_TESTS") != nil

  /// How many descriptors this process has open.
  static var descriptors: Int {
    (0..<1024).count { fcntl(Int32($0), F_GETFD) != -1 }
  }

  /// Whether the process is there and no zombie.
  static func isAlive(_ pid: Int32) -> Bool {
    var process = creliability_process()
    return unsafe creliability_process_read(pid, &process) == 0 && process.is_zombie == 0
  }

  /// This process's children, zombies included.
  static var children: [creliability_process] {
    var pids = [Int32](repeating: 0, count: 8192)
    let count = unsafe pids.withUnsafeMutableBufferPointer {
      unsafe creliability_process_list($0.baseAddress!, Int32($0.count))
    }
    var found: [creliability_process] = []
    for pid in pids.prefix(Int(count)) {
      var process = creliability_process()
      if unsafe creliability_process_read(pid, &process) == 0, process.parent == getpid() {
        found.append(process)
      }
    }
    return found
  }

  static func run(
    _ script: String, _ configuration: ProcessConfiguration = ProcessConfiguration()
  ) async throws -> ProcessReport {
    try await runProcess("/bin/sh", ["-c", script], configuration: configuration)
  }

  /// The failure of a script that must fail.
  static func failure(
    _ script: String, _ configuration: ProcessConfiguration = ProcessConfiguration(),
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws -> ProcessError {
    let error = await ReliabilityTestSupport.failure { try await run(script, configuration) }
    return try #require(error as? ProcessError, sourceLocation: sourceLocation)
  }

  /// Waits until a child of a test has written its number into a file.
  static func number(in file: String, of directory: ScratchDirectory) async throws -> Int32 {
    var found: Int32?
    try await until {
      found = directory.read(file).flatMap { text in
        text.hasSuffix("\n") ? Int32(text.dropLast()) : nil
      }
      return found != nil
    }
    return try #require(found)
  }
}
