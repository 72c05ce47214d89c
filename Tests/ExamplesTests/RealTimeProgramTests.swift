import Foundation
import Reliability
import ReliabilityExampleSupport
import ReliabilityTestSupport
import Testing

/// The built command as a person meets it: exit statuses, the two output streams, signals.
@Suite(.realTime, .timeLimit(.minutes(10)), .enabled(if: Command.exists))
struct RealTimeProgramTests {
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
  func badInputGetsOneLineAndStatusTwo(arguments: [String], message: String) async throws {
    let result = try await Command.run(arguments)
    #expect(result.status == 2)
    #expect(result.output.isEmpty)
    #expect(result.error.hasPrefix("downloader: ") && result.error.contains(message))
    #expect(result.error.split(separator: "\n").count == 1)
  }

  @Test func helpGoesToStandardOutput() async throws {
    let result = try await Command.run(["--help"])
    #expect(result.status == 0)
    #expect(result.output.hasPrefix("Usage: downloader"))
    #expect(result.error.isEmpty)
  }

  @Test func anOutputDirectoryThatIsAFileEndsWithStatusOne() async throws {
    let directory = ScratchDirectory()
    let file = "\(directory.path)/file"
    try Data().write(to: URL(fileURLWithPath: file))
    for path in [file, "\(file)/below"] {
      let result = try await Command.run(["http://127.0.0.1:1/a", "--output", path, "--json"])
      #expect(result.status == 1)
      #expect(result.error.split(separator: "\n").count == 1)
      #expect(try Command.json(result.output)["failed"] as? Int == 1)
    }
    #expect(directory.names == ["file"])
  }

  @Test func theDemoWithOneAttemptFailsAndSaysSoInJSON() async throws {
    let result = try await Command.run([
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
  func anInterruptionCleansUpAndReports(signal: Int32) async throws {
    let server = try HTTPServer { _ in
      HTTPReply(
        status: 200, body: .bytes([UInt8](repeating: 1, count: 100_000)),
        fault: .stall(after: 50_000, for: .seconds(60)))
    }
    let directory = ScratchDirectory()
    let command = try Command(
      ["http://127.0.0.1:\(server.port)/a", "http://127.0.0.1:\(server.port)/b", "--json"]
        + ["--output", directory.path])
    while directory.names.count < 2 {
      try await ContinuousClock().wait(for: .milliseconds(10))
    }
    command.send(signal)
    let result = await command.wait()
    #expect(result.status == 130)
    #expect(try Command.json(result.output)["unfinished"] as? Int == 2)
    #expect(result.error.contains("Stopped."))
    #expect(directory.names == [])
    await server.stop()
  }

  @Test(arguments: [
    HTTPFault.reset(after: 200_000), .shortBody(after: 200_000),
    .stall(after: 200_000, for: .seconds(60)),
  ])
  func throughAProxyURLSessionDoesTheSame(fault: HTTPFault) async throws {
    let content = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
    // What is waited for must be longer than a busy machine takes to answer.
    let stall = if case .stall = fault { "5" } else { "60" }
    let server = try HTTPServer { request in
      var reply = HTTPReply.file(
        .bytes(content), type: "text/plain", entityTag: "\"v1\"", for: request)
      if request.header("Range") == nil { reply.fault = fault }
      return reply
    }
    let directory = ScratchDirectory()
    let command = try Command(
      ["http_proxy=http://127.0.0.1:\(server.port)", Command.path, "http://host.invalid/file"]
        + ["--output", directory.path, "--stall", stall, "--json", "--quiet"],
      program: "/usr/bin/env")
    let result = await command.wait()
    #expect(result.status == 0, "\(result.error)")
    #expect(try Command.json(result.output)["retries"] as? Int == 1)
    #expect(directory.readBytes("file") == content)
    #expect(directory.names == ["file"])
    await server.stop()
  }

  @Test func aReaderThatLeavesDoesNotEndTheDownloads() async throws {
    let server = try HTTPServer { request in .text(200, request.path) }
    let directory = ScratchDirectory()
    let urls = (0..<20).map { "http://127.0.0.1:\(server.port)/\($0)" }
    let command = try Command(urls + ["--output", directory.path], readsOutput: false)
    #expect(await command.wait().status == 0)
    #expect(directory.names.count == 20)
    await server.stop()
  }

  #if os(Linux)
    @Test(.enabled(if: geteuid() == 0, "making a small disk takes root"))
    func aFullDiskFailsTheFilesThatDoNotFitAndLeavesNothing() async throws {
      let server = try HTTPServer { request in
        HTTPReply(
          status: 200,
          body: HTTPBody(count: request.path == "/big" ? 4 << 20 : 1000) { _, _ in })
      }
      let base = "http://127.0.0.1:\(server.port)"
      // Not in every container: there is nothing to test then.
      _ = try await SmallDisk.with { path in
        // One after the other: whatever is written while the big one fills the disk finds it full too.
        let result = try await Command.run(
          ["\(base)/big", "\(base)/small", "--workers", "1", "--quiet", "--output", path])
        #expect(result.status == 1)
        #expect(result.error.contains("the disk is full"))
        #expect(result.error.split(separator: "\n").count == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: path) == ["small"])
      }
      await server.stop()
    }
  #endif
}
