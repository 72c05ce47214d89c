import ReliabilityIO

@testable import BackoffLock

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// A fresh directory with one lock file in it, removed when the test ends.
final class LockScratch: Sendable {
  let directory: String
  var path: String { directory + "/lock" }

  init() {
    let parent = unsafe access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    var template = Array("\(parent)/reliability-lock-XXXXXX".utf8CString)
    precondition(unsafe mkdtemp(&template) != nil, "no scratch directory")
    directory = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit {
    let files = RealFileSystem()
    if let opened = try? OpenDirectory(directory, fileSystem: .real) {
      for name in (try? opened.entries()) ?? [] { try? opened.unlink(name) }
    }
    try? files.removeDirectory(directory, in: nil)
  }

  /// A lock in this process, or with a registry of its own in what the system takes for another one.
  func lock(
    in registry: LockRegistry = .shared, usesWholeFiles: Bool = false,
    fileSystem: FileSystem = .real, clock: any TimeSource = ContinuousClock(),
    _ change: (inout BackoffLock.Configuration) -> Void = { _ in }
  ) -> BackoffLock {
    var configuration = BackoffLock.Configuration()
    // Tests of other things must not fail because the machine is slow.
    configuration.timeout = .seconds(600)
    change(&configuration)
    return BackoffLock(
      path, configuration: configuration, fileSystem: fileSystem, clock: clock,
      registry: registry, usesWholeFiles: usesWholeFiles)
  }

  var bytes: [UInt8] {
    guard let file = try? OpenFile(path, [.read], fileSystem: .real) else { return [] }
    return
      (try? [UInt8](
        capacity: 4096,
        initializingWith: { (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
          try file.readAll(into: &buffer, at: 0)
        })) ?? []
  }

  func write(_ bytes: [UInt8]) throws {
    let file = try OpenFile(path, [.write, .create], mode: 0o666, fileSystem: .real)
    try file.truncate(to: 0)
    try file.writeAll(bytes.span, at: 0)
  }
}

extension LockScratch {
  /// How many files this process has open.
  static var openDescriptors: Int {
    guard let directory = try? OpenDirectory("/proc/self/fd", fileSystem: .real) else { return 0 }
    return ((try? directory.entries()) ?? []).count
  }
}
