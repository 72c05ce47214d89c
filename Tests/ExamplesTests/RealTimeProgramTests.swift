import Foundation
import ReliabilityExampleSupport
import Testing

/// The built command as a person meets it: exit statuses, the two output streams, signals.
@Suite(.timeLimit(.minutes(2)), .enabled(if: Command.exists)) struct RealTimeProgramTests {
  @Test(arguments: [
    (["--workers", "0"], "--workers must be a whole number from 1 to 64"),
    (["--bogus"], "unknown option"), (["nonsense"], "is not a URL"),
    (["http://127.0.0.1/"], "has no file name"),
    (["http://127.0.0.1/..%2Fx"], "would leave the output directory"),
    (["http://127.0.0.1/a", "http://127.0.0.1/b/a"], "have the same file name"),
    (["--from", "/nonexistent/list"], "--from can't read"),
    (["--from", "/dev/null"], "there is no URL in"),
    (["--checksum", "http://127.0.0.1/a=1"], "64 hexadecimal digits"),
  ])
  func badInputGetsOneLineAndStatusTwo(arguments: [String], message: String) throws {
    let result = try Command.run(arguments)
    #expect(result.status == 2)
    #expect(result.output.isEmpty)
    #expect(result.error.hasPrefix("downloader: ") && result.error.contains(message))
    #expect(result.error.split(separator: "\n").count == 1)
  }

  @Test func helpGoesToStandardOutput() throws {
    let result = try Command.run(["--help"])
    #expect(result.status == 0)
    #expect(result.output.hasPrefix("Usage: downloader"))
    #expect(result.error.isEmpty)
  }

  @Test func anOutputDirectoryThatIsAFileEndsWithStatusOne() throws {
    let directory = try TemporaryDirectory()
    let file = "\(directory.path)/file"
    try Data().write(to: URL(fileURLWithPath: file))
    for path in [file, "\(file)/below"] {
      let result = try Command.run(["http://127.0.0.1:1/a", "--output", path, "--json"])
      #expect(result.status == 1)
      #expect(result.error.split(separator: "\n").count == 1)
      #expect(try Command.json(result.output)["failed"] as? Int == 1)
    }
    #expect(directory.names == ["file"])
  }

  @Test func theDemoWithOneAttemptFailsAndSaysSoInJSON() throws {
    let result = try Command.run([
      "demo", "--attempts", "1", "--json", "--timeout", "2", "--workers", "16",
    ])
    #expect(result.status == 1)
    let json = try Command.json(result.output)
    #expect(result.output.split(separator: "\n").count == 1)
    #expect((json["files"] as? Int ?? 0) >= 60)
    #expect((json["failed"] as? Int ?? 0) >= 21)
    #expect(json["retries"] as? Int == 0)
    #expect(json["orphaned_temp_files"] as? Int == 0)
    let failures = try #require(json["failures"] as? [[String: Any]])
    #expect(failures.count == json["failed"] as? Int)
    for failure in failures {
      for member in ["title", "detail", "category"] {
        #expect((failure[member] as? String)?.isEmpty == false, "\(member)")
      }
    }
    let faults = try #require(json["faults"] as? [String: Int])
    #expect(faults.count == 7 && faults.values.allSatisfy { $0 >= 3 })
    for name in ["succeeded", "timeouts", "bytes", "seconds", "files_per_minute"] {
      #expect(json[name] is NSNumber, "\(name)")
    }
    #expect(result.error.contains("files failed"))
  }

  @Test(arguments: [SIGINT, SIGTERM])
  func anInterruptionCleansUpAndReports(signal: Int32) throws {
    let server = try HTTPServer { _ in
      HTTPReply(
        status: 200, body: .bytes([UInt8](repeating: 1, count: 100_000)),
        fault: .stall(after: 50_000, for: .seconds(60)))
    }
    let directory = try TemporaryDirectory()
    let command = try Command(
      ["http://127.0.0.1:\(server.port)/a", "http://127.0.0.1:\(server.port)/b", "--json"]
        + ["--output", directory.path])
    while directory.names.count < 2 { usleep(10_000) }
    command.send(signal)
    let result = command.wait()
    #expect(result.status == 130)
    #expect(try Command.json(result.output)["unfinished"] as? Int == 2)
    #expect(result.error.contains("Stopped."))
    #expect(directory.names == [])
  }

  @Test func aReaderThatLeavesDoesNotEndTheDownloads() throws {
    let server = try HTTPServer { request in .text(200, request.path) }
    let directory = try TemporaryDirectory()
    let urls = (0..<20).map { "http://127.0.0.1:\(server.port)/\($0)" }
    let command = try Command(urls + ["--output", directory.path])
    command.closeOutput()
    #expect(command.wait().status == 0)
    #expect(directory.names.count == 20)
  }

  @Test(.enabled(if: SmallDisk.isPossible))
  func aFullDiskFailsTheFilesThatDoNotFitAndLeavesNothing() throws {
    let server = try HTTPServer { request in
      HTTPReply(
        status: 200,
        body: HTTPBody(count: request.path == "/big" ? 4 << 20 : 1000) { _, _ in })
    }
    let disk = try SmallDisk()
    let base = "http://127.0.0.1:\(server.port)"
    let result = try Command.run(["\(base)/big", "\(base)/small", "--quiet", "--output", disk.path])
    #expect(result.status == 1)
    #expect(result.error.contains("the disk is full"))
    #expect(result.error.split(separator: "\n").count == 1)
    #expect(try FileManager.default.contentsOfDirectory(atPath: disk.path) == ["small"])
  }
}

/// The built command, running.
final class Command {
  /// Beside the test bundle, where SwiftPM puts it.
  static let path = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
    .deletingLastPathComponent().appendingPathComponent("downloader").path

  static var exists: Bool { FileManager.default.isExecutableFile(atPath: path) }

  struct Result {
    var status: Int32
    var output: String
    var error: String
  }

  private let process = Process()
  private let directory: TemporaryDirectory
  private let outputPipe = Pipe()

  init(_ arguments: [String]) throws {
    directory = try TemporaryDirectory()
    process.executableURL = URL(fileURLWithPath: Self.path)
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: directory.path)
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = outputPipe
    let error = "\(directory.path)/error"
    _ = FileManager.default.createFile(atPath: error, contents: nil)
    process.standardError = FileHandle(forWritingAtPath: error)
    try process.run()
  }

  static func run(_ arguments: [String]) throws -> Result { try Command(arguments).wait() }

  func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

  func closeOutput() { try? outputPipe.fileHandleForReading.close() }

  func wait() -> Result {
    let output = try? outputPipe.fileHandleForReading.readToEnd()
    process.waitUntilExit()
    return Result(
      status: process.terminationStatus, output: String(decoding: output ?? Data(), as: UTF8.self),
      error: String(decoding: directory.bytes("error") ?? [], as: UTF8.self))
  }

  /// The last line of the output, which must be an object.
  static func json(_ output: String) throws -> [String: Any] {
    let last = output.split(separator: "\n").last.map(String.init) ?? ""
    let value = try JSONSerialization.jsonObject(with: Data(last.utf8))
    return try #require(value as? [String: Any])
  }
}

/// A file system of one megabyte.
///
/// Making one takes root.
private final class SmallDisk {
  static var isPossible: Bool {
    #if os(Linux)
      guard geteuid() == 0, let disk = try? SmallDisk() else { return false }
      return disk.isMounted
    #else
      return false
    #endif
  }

  private let directory: TemporaryDirectory
  private let isMounted: Bool
  var path: String { directory.path }

  init() throws {
    directory = try TemporaryDirectory()
    isMounted = Self.run("mount", "-t", "tmpfs", "-o", "size=1m", "none", directory.path)
  }

  deinit { if isMounted { _ = Self.run("umount", directory.path) } }

  private static func run(_ command: String...) -> Bool {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }
}
