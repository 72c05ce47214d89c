import Foundation
import ReliabilityCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A child process whose output goes to files.
///
/// Made with `posix_spawn`, because `Process.waitUntilExit` on Linux may never return.
package final class Command: Sendable {
  /// Where SwiftPM puts a built program: beside the test bundle, under its product's or its target's name.
  ///
  /// - Returns: The first of these names that is there, or else where the first would be.
  package static func built(_ names: String...) -> String {
    let directory = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
      .deletingLastPathComponent()
    let paths = names.map { directory.appendingPathComponent($0).path }
    return paths.first { FileManager.default.isExecutableFile(atPath: $0) } ?? paths[0]
  }

  package struct Result: Sendable {
    /// The exit status, or 128 and the signal that ended it.
    package var status: Int32
    package var output: String
    package var error: String

    package init(status: Int32, output: String, error: String) {
      (self.status, self.output, self.error) = (status, output, error)
    }
  }

  private let directory: ScratchDirectory
  private let process: pid_t
  private let isCollected = Lock(false)

  // A test that ended early must not leave it behind. Its number is nobody else's before it is collected. And it has to be collected:
  // exit tests wait for any child at all, and would be given this one again and again.
  deinit {
    guard !isCollected.withLock({ $0 }) else { return }
    kill(process, SIGKILL)
    var status: Int32 = 0
    while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
  }

  /// Starts a program.
  ///
  /// - Parameters:
  ///   - arguments: Without the program's name.
  ///   - program: Its path.
  ///   - readsOutput: Whether its standard output leads anywhere; else to a pipe that nobody reads.
  package init(_ arguments: [String], program: String, readsOutput: Bool = true) throws {
    directory = ScratchDirectory()
    var ends: [Int32] = []
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    let created = O_WRONLY | O_CREAT
    if readsOutput {
      unsafe posix_spawn_file_actions_addopen(
        &actions, 1, "\(directory.path)/output", created, 0o600)
    } else {
      ends = [-1, -1]
      precondition(unsafe pipe(&ends) == 0, "no pipe")
      unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
      for end in ends { unsafe posix_spawn_file_actions_addclose(&actions, end) }
    }
    unsafe posix_spawn_file_actions_addopen(&actions, 2, "\(directory.path)/error", created, 0o600)
    var words = unsafe ([program] + arguments).map { unsafe strdup($0) } + [nil]
    defer { unsafe words.forEach { unsafe free($0) } }
    var process: pid_t = 0
    let result = unsafe posix_spawn(&process, program, &actions, nil, &words, environ)
    for end in ends { close(end) }
    guard result == 0 else { throw POSIXError(POSIXErrorCode(rawValue: result) ?? .ENOENT) }
    self.process = process
  }

  package func send(_ signal: Int32) { kill(process, signal) }

  /// Its number.
  package var processIdentifier: Int32 { process }

  /// What it has written to its standard output by now.
  package var outputSoFar: String { directory.read("output") ?? "" }
  /// What it has written to its standard error by now.
  package var errorSoFar: String { directory.read("error") ?? "" }

  /// Whether the process is gone, or waits to be collected.
  package var hasEnded: Bool {
    var info = unsafe siginfo_t()
    let flags = WEXITED | WNOHANG | WNOWAIT
    #if canImport(Glibc)
      let result = unsafe waitid(P_PID, id_t(process), &info, Int32(flags))
      guard result == 0 else { return false }
      return unsafe info.si_signo == SIGCHLD
    #else
      let result = unsafe waitid(P_PID, id_t(process), &info, flags)
      guard result == 0 else { return false }
      return unsafe info.si_signo == SIGCHLD
    #endif
  }

  /// Waits for the end, on a thread of its own.
  package func wait() async -> Result {
    let process = process
    let status = await withCheckedContinuation { continuation in
      Thread.detachNewThread {
        var status: Int32 = 0
        while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
        continuation.resume(returning: status)
      }
    }
    isCollected.withLock { $0 = true }
    return Result(
      status: status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f,
      output: String(decoding: directory.readBytes("output") ?? [], as: UTF8.self),
      error: String(decoding: directory.readBytes("error") ?? [], as: UTF8.self))
  }

  /// The last line of the output, which must be an object.
  package static func json(_ output: String) throws -> [String: Any] {
    let last = output.split(separator: "\n").last.map(String.init) ?? ""
    let value = try JSONSerialization.jsonObject(with: Data(last.utf8))
    guard let object = value as? [String: Any] else { throw CocoaError(.propertyListReadCorrupt) }
    return object
  }
}
