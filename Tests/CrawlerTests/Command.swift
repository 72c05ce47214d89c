import Foundation
import ReliabilityTestSupport
import Testing

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
final class Command {
  /// The built program: beside the test bundle, where SwiftPM puts it under its product's or its target's name.
  static let path =
    ["crawler", "ReliabilityCrawler"].map { built($0) }
    .first { FileManager.default.isExecutableFile(atPath: $0) } ?? built("crawler")

  private static func built(_ name: String) -> String {
    URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
      .deletingLastPathComponent().appendingPathComponent(name).path
  }

  static var exists: Bool { FileManager.default.isExecutableFile(atPath: path) }

  struct Result: Sendable {
    /// The exit status, or 128 and the signal that ended it.
    var status: Int32
    var output: String
    var error: String
  }

  private let directory: ScratchDirectory
  private let process: pid_t

  /// Starts a program.
  ///
  /// - Parameters:
  ///   - arguments: Without the program's name.
  ///   - program: Its path.
  ///   - readsOutput: Whether its standard output leads anywhere; else to a pipe that nobody reads.
  init(_ arguments: [String], program: String = path, readsOutput: Bool = true) throws {
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
      try #require(unsafe pipe(&ends) == 0)
      unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
      for end in ends { unsafe posix_spawn_file_actions_addclose(&actions, end) }
    }
    unsafe posix_spawn_file_actions_addopen(&actions, 2, "\(directory.path)/error", created, 0o600)
    var words = unsafe ([program] + arguments).map { unsafe strdup($0) } + [nil]
    defer { unsafe words.forEach { unsafe free($0) } }
    var process: pid_t = 0
    let result = unsafe posix_spawn(&process, program, &actions, nil, &words, environ)
    for end in ends { close(end) }
    try #require(result == 0)
    self.process = process
  }

  static func run(_ arguments: [String]) async throws -> Result {
    await (try Command(arguments)).wait()
  }

  /// What it has written so far.
  var output: String { String(decoding: directory.readBytes("output") ?? [], as: UTF8.self) }
  var errorOutput: String { String(decoding: directory.readBytes("error") ?? [], as: UTF8.self) }

  func send(_ signal: Int32) { kill(process, signal) }

  /// Waits for the end, on a thread of its own.
  func wait() async -> Result {
    let process = process
    let status = await withCheckedContinuation { continuation in
      Thread.detachNewThread {
        var status: Int32 = 0
        while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
        continuation.resume(returning: status)
      }
    }
    return Result(
      status: status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f,
      output: String(decoding: directory.readBytes("output") ?? [], as: UTF8.self),
      error: String(decoding: directory.readBytes("error") ?? [], as: UTF8.self))
  }

  /// The last line of the output, which must be an object.
  static func json(_ output: String) throws -> [String: Any] {
    let last = output.split(separator: "\n").last.map(String.init) ?? ""
    let value = try JSONSerialization.jsonObject(with: Data(last.utf8))
    return try #require(value as? [String: Any])
  }
}
