import Foundation
import Reliability
import ReliabilityExampleSupport
import ReliabilityTestSupport
import Testing

@testable import ReliabilityCrawler

@Suite(.realTime, .serialized, .timeLimit(.minutes(10)), .enabled(if: Command.exists))
struct RealTimeCrawlerProgramTests {
  @Test func helpAndWrongInputHaveTheirStatus() async throws {
    let help = try await Command.run(["--help"])
    #expect(help.status == 0 && help.output.contains("--max-pages"))
    let scratch = ScratchDirectory()
    for wrong in [
      ["ftp://example.org/"], ["--voice", "loud", "http://h/"], ["--workers", "0", "http://h/"],
      ["demo", "http://h/"], ["--nonsense"], ["http://h/", "--language", "xx"],
    ] {
      let result = try await Command.run(wrong + ["--output", scratch.path])
      #expect(result.status == 2, "\(wrong): \(result.error)")
      #expect(result.error.hasPrefix("crawler: ") && result.output.isEmpty)
    }
    // What is refused leaves nothing behind.
    #expect(scratch.names == [])
  }

  @Test func aSeedThatCannotBeReachedIsAFailure() async throws {
    let scratch = ScratchDirectory()
    let result = try await Command.run([
      "http://127.0.0.1:9/", "--attempts", "1", "--json", "--output", scratch.path,
    ])
    #expect(result.status == 1)
    let json = try Command.json(result.output)
    #expect(json["seeds_failed"] as? Int == 1)
    #expect(json["orphaned_urls"] as? Int == 0)
  }

  @Test func aDetectorWithoutDataIsReportedWithItsConsequence() async throws {
    let site = try RealTimeCrawlTests.smallSite()
    let scratch = ScratchDirectory()
    let arguments = [site.url, "--output", scratch.path, "--language-data", "/nowhere", "--json"]
    let result = try await Command.run(arguments)
    #expect(result.status == 0)
    #expect(result.error.contains("Consequence"))
    #expect(try Command.json(result.output)["committed"] as? Int == 3)
    let refused = try await Command.run(arguments + ["--language", "en"])
    #expect(refused.status == 1 && refused.error.contains("language detector can't start"))
    await site.stop()
  }

  @Test func theDemoFindsWhatItPromises() async throws {
    let scratch = ScratchDirectory()
    let result = try await Command.run(["demo", "--json", "--output", scratch.path])
    #expect(result.status == 0, "\(result.error)")
    let json = try Command.json(result.output)
    #expect(json["orphaned_urls"] as? Int == 0)
    #expect((json["committed"] as? Int ?? 0) >= 8)
    #expect((json["dead_letters"] as? Int ?? 0) >= 8)
    let rejected = try #require(json["rejected"] as? [String: Int])
    #expect((rejected["voice"] ?? 0) > 0 && (rejected["language"] ?? 0) > 0)
    #expect(!((json["breaker_transitions"] as? [String: Int]) ?? [:]).isEmpty)
    #expect(result.error.contains("average wait"))
  }

  /// Killed again and again, at any moment: the outputs always agree, and in the end nothing is missing or there twice.
  @Test func aKilledCrawlerGoesOn() async throws {
    let site = try Site { request in
      if request.path.hasSuffix(".wav") { return Site.sound() }
      let number = request.path == "/" ? 0 : Int(request.path.dropFirst()) ?? -1
      guard (0..<60).contains(number) else { return nil }
      return Site.page(
        "<a href=/\(2 * number + 1)>a</a><a href=/\(2 * number + 2)>b</a><audio src=/\(number).wav>"
      )
    }
    let scratch = ScratchDirectory()
    let arguments = [
      site.url, "--output", scratch.path, "--workers", "3", "--depth", "20", "--json",
    ]
    var chance = SeededGenerator(seed: 9)
    var kills = 0
    for _ in 0..<6 {
      let committed = (try? await Outputs.read(scratch.path))?.urls.count ?? 0
      if committed >= 55 { break }
      let command = try Command(arguments)
      let goal = committed + Int.random(in: 1...8, using: &chance)
      let clock = ContinuousClock()
      let end = clock.now + .seconds(60)
      while ((try? await Outputs.read(scratch.path))?.urls.count ?? 0) < goal, clock.now < end {
        try await clock.sleep(for: .milliseconds(5))
      }
      command.send(SIGKILL)
      let status = await command.wait().status
      if status == 128 + SIGKILL { kills += 1 }
      // Whoever opens the outputs next finds them in agreement.
      let ledger = try await Ledger(scratch.path)
      let outputs = try await Outputs.read(scratch.path)
      #expect(outputs.orphans == [] && outputs.duplicates == 0)
      try await ledger.close()
    }
    let result = try await Command.run(arguments)
    #expect(result.status == 0, "\(result.error)")
    let outputs = try await Outputs.read(scratch.path)
    #expect(outputs.urls.count == 60)
    #expect(outputs.orphans == [] && outputs.duplicates == 0)
    #expect(kills > 0)
    print("crawler: killed \(kills) times")
    await site.stop()
  }

  @Test func severalCrawlersShareADirectory() async throws {
    let site = try RealTimeCrawlTests.smallSite()
    let scratch = ScratchDirectory()
    let arguments = [site.url, "--output", scratch.path, "--json"]
    let commands = try (0..<3).map { _ in try Command(arguments) }
    for command in commands {
      let result = await command.wait()
      #expect(result.status == 0, "\(result.error)")
    }
    let outputs = try await Outputs.read(scratch.path)
    #expect(outputs.urls.count == 3 && outputs.orphans == [] && outputs.duplicates == 0)
    await site.stop()
  }

  @Test func ctrlCStopsAndTheNextRunGoesOn() async throws {
    let site = try Site { request in
      if request.path == "/" { return Site.page("<a href=/slow>x</a><audio src=a.wav>") }
      if request.path == "/a.wav" { return Site.sound() }
      guard request.path == "/slow" else { return nil }
      var reply = Site.page(String(repeating: "x", count: 1_000))
      reply.fault = .drip(piece: 1, pause: .milliseconds(100))
      return reply
    }
    let scratch = ScratchDirectory()
    let command = try Command([site.url, "--output", scratch.path, "--json"])
    let end = ContinuousClock.now + .seconds(60)
    while !site.requests.contains("/slow") || scratch.read("urls.txt") == nil,
      ContinuousClock.now < end
    {
      try await ContinuousClock().sleep(for: .milliseconds(10))
    }
    command.send(SIGINT)
    let result = await command.wait()
    #expect(result.status == 130, "\(result.error)")
    #expect(try Command.json(result.output)["complete"] as? Bool == false)
    await site.stop()
  }

  /// As a new user would try it: a folder, served by what comes with Python.
  @Test func aFolderServedByPythonIsCrawled() async throws {
    let scratch = ScratchDirectory()
    let files = "\(scratch.path)/site"
    try FileManager.default.createDirectory(
      atPath: "\(files)/sounds", withIntermediateDirectories: true)
    try Data("<title>Mine</title><p>Hello there</p><a href=sounds/>sounds</a>".utf8)
      .write(to: URL(fileURLWithPath: "\(files)/index.html"))
    try Data(Site.childSound).write(to: URL(fileURLWithPath: "\(files)/sounds/my voice.wav"))
    var maker = SoundMaker()
    maker.seconds = 0.6
    try Data(maker.file(.voice(120), seed: 2))
      .write(to: URL(fileURLWithPath: "\(files)/sounds/other.wav"))
    let server = try Command(
      ["python3", "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", files],
      program: "/usr/bin/env")
    let end = ContinuousClock.now + .seconds(60)
    var port: String?
    while port == nil, ContinuousClock.now < end {
      port = server.outputSoFar.firstMatch(of: /port (\d+)/).map { String($0.output.1) }
      if server.errorSoFar.contains("No such file") { return }
      try await ContinuousClock().sleep(for: .milliseconds(20))
    }
    let address = "http://127.0.0.1:\(try #require(port))/"
    let output = "\(scratch.path)/out"
    let result = try await Command.run([address, "--output", output, "--voice", "child", "--json"])
    // Threads of the pool hand their blocked signals down, so nothing gentler would reach it.
    server.send(SIGKILL)
    _ = await server.wait()
    #expect(result.status == 0, "\(result.error)")
    let outputs = try await Outputs.read(output)
    #expect(outputs.urls == ["\(address)sounds/my%20voice.wav"])
    #expect(outputs.orphans == [])
  }
}
