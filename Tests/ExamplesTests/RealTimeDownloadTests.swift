import Foundation
import Reliability
import ReliabilityTestSupport
import Synchronization
import Testing

@testable import ReliabilityDownloader
@testable import ReliabilityExampleSupport

/// Whole downloads against servers that misbehave: real sockets, so real time.
@Suite(.realTime, .timeLimit(.minutes(10))) struct RealTimeDownloadTests {
  init() { ErrorClassifier.installFoundationRules() }

  private func options(_ arguments: String...) throws -> Options {
    var options = try Options(["--timeout=60", "--stall=30"] + arguments)
    options.backoff = .milliseconds(10)
    return options
  }

  private func download(
    _ urls: [String], checksums: [(url: String, digest: String)] = [], to directory: String,
    _ options: Options
  ) async throws -> RunSummary {
    let plan = try DownloadPlan(urls: urls, checksums: checksums)
    let display = ProgressDisplay(terminal: Terminal(.error), total: urls.count, isQuiet: true)
    return await DownloadRun(
      plan: plan, directory: directory, options: options, display: display
    ).perform()
  }

  /// Downloads `/file` from a server that answers by a script: the first request the first entry, and so on; the last one repeats.
  ///
  /// What each request asked for comes back too.
  private func scripted(
    _ script: [@Sendable (HTTPRequest) -> HTTPReply], attempts: Int = 3, stall: Int = 30
  ) async throws -> (summary: RunSummary, bytes: [UInt8]?, ranges: [String?], names: [String]) {
    let ranges = Log<String?>()
    let server = try HTTPServer { request in
      let number = ranges.append(request.header("Range"))
      return script[min(number, script.count - 1)](request)
    }
    let directory = ScratchDirectory()
    let summary = try await download(
      ["http://127.0.0.1:\(server.port)/file"], to: directory.path,
      options("--attempts=\(attempts)", "--stall=\(stall)"))
    await server.stop()
    return (summary, directory.readBytes("file"), ranges.entries, directory.names)
  }

  /// A comparison whose failure doesn't print 300,000 numbers.
  private func same(_ left: [UInt8]?, _ right: [UInt8]) -> Bool { left == right }

  private static let old = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
  private static let new = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 / 11) }

  private static func file(
    _ bytes: [UInt8], tag: String = "\"v1\"", fault: HTTPFault? = nil
  ) -> @Sendable (HTTPRequest) -> HTTPReply {
    { request in
      var reply = HTTPReply.file(
        .bytes(bytes), type: "text/plain", entityTag: tag, for: request)
      reply.fault = fault
      return reply
    }
  }

  @Test func everyFaultIsOvercomeAndEveryByteVerified() async throws {
    let origin = try MediaOrigin(scale: .small, stall: .seconds(120), drip: .seconds(60))
    let directory = ScratchDirectory()
    let summary = try await download(
      origin.items.map(origin.url), checksums: await origin.checksums(), to: directory.path,
      options("--attempts=6", "--workers=6", "--timeout=20", "--stall=8"))
    #expect(summary.isGood)
    #expect(summary.failures.isEmpty)
    #expect(summary.verified == origin.items.count)
    #expect(summary.bytes == origin.items.map(\.file.byteCount).reduce(0, +))
    #expect(summary.retries >= 7 && summary.timeouts >= 2 && summary.resumptions >= 4)
    #expect(Set(origin.faultsMet.keys) == Set(MediaOrigin.FaultKind.allCases))
    #expect(directory.names == origin.items.map(\.file.name).sorted())
    for item in origin.items {
      var digest = SHA256()
      digest.update(try #require(directory.readBytes(item.file.name)))
      #expect(digest.hexadecimal == item.file.sha256(), "\(item.file.name)")
    }
    await origin.stop()
  }

  @Test func withOneAttemptTheFaultyFilesFailAndTheOthersDoNot() async throws {
    let origin = try MediaOrigin(scale: .small, stall: .seconds(120), drip: .seconds(60))
    let directory = ScratchDirectory()
    let summary = try await download(
      origin.items.map(origin.url), checksums: await origin.checksums(), to: directory.path,
      options("--attempts=1", "--timeout=20", "--stall=8"))
    let good = origin.items.filter(\.faults.isEmpty)
    #expect(!summary.isGood)
    #expect(summary.succeeded == good.count)
    #expect(summary.failed == origin.items.count - good.count)
    #expect(summary.failures.count == summary.failed)
    #expect(summary.retries == 0)
    #expect(directory.names == good.map(\.file.name).sorted())
    await origin.stop()
  }

  @Test(arguments: [
    HTTPFault.reset(after: 200_000), .shortBody(after: 200_000),
    .stall(after: 200_000, for: .seconds(60)),
  ])
  func whatBrokeOffIsResumed(fault: HTTPFault) async throws {
    let isStall = if case .stall = fault { true } else { false }
    let broken = Self.file(Self.old, fault: fault)
    let whole = Self.file(Self.old)
    // A busy machine may be silent for so long itself, before the first byte: then nothing can be resumed yet.
    let run =
      isStall
      ? try await scripted(
        [{ ($0.header("Range") == nil ? broken : whole)($0) }], attempts: 6, stall: 8)
      : try await scripted([broken, whole])
    #expect(run.summary.isGood)
    #expect(same(run.bytes, Self.old))
    #expect(isStall ? run.ranges.count >= 2 : run.ranges.count == 2)
    if case .reset = fault {
      // A reset overtakes bytes that were sent before it.
    } else {
      #expect(run.ranges.last == "bytes=200000-")
      #expect(run.summary.resumptions == 1)
    }
    #expect(run.names == ["file"])
  }

  @Test func whatIsResumedByAnotherWorkerIsCountedOnceAndShownWhereItRuns() async throws {
    let asked = Lock<Set<String>>([])
    let (broken, whole) = (
      Self.file(Self.old, fault: .shortBody(after: 200_000)), Self.file(Self.old)
    )
    let server = try HTTPServer { request in
      asked.withLock { $0.insert(request.path).inserted } ? broken(request) : whole(request)
    }
    let directory = ScratchDirectory()
    let display = ProgressDisplay(terminal: Terminal(.error), total: 8)
    let summary = await DownloadRun(
      plan: try DownloadPlan(urls: (0..<8).map { "http://127.0.0.1:\(server.port)/\($0)" }),
      directory: directory.path, options: try options("--workers=3"), display: display
    ).perform()
    await server.stop()
    #expect(summary.isGood && summary.resumptions == 8 && summary.retries == 8)
    #expect(display.bytes == 8 * Self.old.count)
  }

  @Test func aFileThatChangedMeanwhileIsTakenFromTheStart() async throws {
    let run = try await scripted([
      Self.file(Self.old, fault: .shortBody(after: 200_000)), Self.file(Self.new, tag: "\"v2\""),
    ])
    #expect(run.summary.isGood)
    #expect(run.summary.resumptions == 0)
    #expect(same(run.bytes, Self.new))
  }

  @Test func aServerWithoutRangesSendsTheWholeAgain() async throws {
    let whole: @Sendable (HTTPRequest) -> HTTPReply = { _ in
      HTTPReply(status: 200, headers: [HTTPField("ETag", "\"v1\"")], body: .bytes(Self.old))
    }
    let run = try await scripted([Self.file(Self.old, fault: .reset(after: 200_000)), whole])
    #expect(run.summary.isGood)
    #expect(same(run.bytes, Self.old))
    #expect(run.ranges.count == 2)
  }

  @Test(arguments: ["W/\"v1\"", ""])
  func withoutAStrongValidatorNothingIsResumed(tag: String) async throws {
    let run = try await scripted([
      Self.file(Self.old, tag: tag, fault: .shortBody(after: 200_000)),
      Self.file(Self.new, tag: tag),
    ])
    #expect(same(run.bytes, Self.new))
    #expect(run.ranges == [nil, nil])
  }

  @Test func anotherPartThanAskedForIsNotAppended() async throws {
    let wrong: @Sendable (HTTPRequest) -> HTTPReply = { _ in
      HTTPReply(
        status: 206, headers: [HTTPField("Content-Range", "bytes 100000-299999/300000")],
        body: .bytes(Array(Self.old[100_000...])))
    }
    let run = try await scripted([
      Self.file(Self.old, fault: .shortBody(after: 200_000)), wrong, Self.file(Self.old),
    ])
    #expect(run.summary.isGood)
    #expect(same(run.bytes, Self.old))
    #expect(run.ranges == [nil, "bytes=200000-", nil])
  }

  @Test func aFileThatBrokeOffAfterItsLastByteIsComplete() async throws {
    let tooLong: @Sendable (HTTPRequest) -> HTTPReply = { _ in
      HTTPReply(
        status: 200, headers: [HTTPField("ETag", "\"v1\"")], body: .bytes(Self.old + [0, 0]),
        fault: .shortBody(after: Self.old.count))
    }
    let run = try await scripted([tooLong, Self.file(Self.old)])
    #expect(run.summary.isGood)
    #expect(same(run.bytes, Self.old))
  }

  @Test func anEmptyFileIsAFile() async throws {
    let run = try await scripted([Self.file([])])
    #expect(run.summary.isGood)
    #expect(same(run.bytes, []))
  }

  @Test(arguments: [400, 401, 403, 404, 410, 501])
  func whatCannotHelpIsNotTriedAgain(status: Int) async throws {
    let run = try await scripted([{ _ in .text(status, "no") }])
    #expect(run.summary.failed == 1)
    #expect(run.ranges.count == 1)
    #expect(run.names == [])
    #expect(run.summary.failures.first?.errorMessage.contains("\(status)") == true)
  }

  @Test(arguments: [(301, true), (302, true), (303, true), (307, true), (308, true)])
  func redirectsAreFollowed(status: Int, isFollowed: Bool) async throws {
    let run = try await scripted([
      { _ in HTTPReply(status: status, headers: [HTTPField("Location", "/elsewhere")]) },
      Self.file(Self.old),
    ])
    #expect(run.summary.isGood)
    #expect(same(run.bytes, Self.old))
  }

  @Test(arguments: ["file:///etc/hostname", "ftp://127.0.0.1/file", "/file"])
  func redirectsOutOfHTTPOrInCirclesEnd(location: String) async throws {
    let run = try await scripted(
      [{ _ in HTTPReply(status: 302, headers: [HTTPField("Location", location)]) }], attempts: 1)
    #expect(run.summary.failed == 1)
    #expect(run.names == [])
    #expect(run.ranges.count <= 21)
  }

  @Test func theWrongContentIsNeverPublished() async throws {
    let server = try HTTPServer { request in .text(200, "content of \(request.path)") }
    let base = "http://127.0.0.1:\(server.port)"
    let directory = ScratchDirectory()
    let summary = try await download(
      ["\(base)/a", "\(base)/b"],
      checksums: [("\(base)/a", String(repeating: "0", count: 64))], to: directory.path,
      options("--attempts=3"))
    await server.stop()
    #expect(summary.failed == 1 && summary.succeeded == 1)
    #expect(summary.retries == 2, "\(summary.failures.map(\.attempts))")
    #expect(directory.names == ["b"])
  }

  @Test func aDirectoryInTheWayFailsThatFileOnly() async throws {
    let server = try HTTPServer { _ in .text(200, "x") }
    let base = "http://127.0.0.1:\(server.port)"
    let directory = ScratchDirectory()
    try FileManager.default.createDirectory(
      atPath: "\(directory.path)/a", withIntermediateDirectories: false)
    let summary = try await download(["\(base)/a", "\(base)/b"], to: directory.path, options())
    await server.stop()
    #expect(summary.failed == 1 && summary.succeeded == 1)
    #expect(directory.names == ["a", "b"])
  }

  @Test func anOldFileIsReplacedOnlyByAWholeNewOne() async throws {
    let directory = ScratchDirectory()
    try Data("old".utf8).write(to: URL(fileURLWithPath: "\(directory.path)/file"))
    let broken = HTTPFault.shortBody(after: 2)
    let server = try HTTPServer { request in
      HTTPReply(
        status: 200, body: .bytes(Array("newer".utf8)),
        fault: request.path == "/file" ? broken : nil)
    }
    let summary = try await download(
      ["http://127.0.0.1:\(server.port)/file"], to: directory.path, options("--attempts=2"))
    await server.stop()
    #expect(summary.failed == 1)
    #expect(directory.readBytes("file") == Array("old".utf8))
    #expect(directory.names == ["file"])
  }

  @Test func cancellingLeavesWhatIsCompleteAndNothingElse() async throws {
    let stalls = Log<Void>()
    let server = try HTTPServer { request in
      var reply = HTTPReply(status: 200, body: .bytes(Self.old))
      if request.path != "/0" {
        reply.fault = .stall(after: 1000, for: .seconds(60))
        _ = stalls.append(())
      }
      return reply
    }
    let directory = ScratchDirectory()
    var settings = try options("--workers=3")
    settings.limits.stall = .seconds(60)
    settings.limits.timeout = .seconds(60)
    let urls = (0..<9).map { "http://127.0.0.1:\(server.port)/\($0)" }
    let work = Task { [settings, path = directory.path] in
      try await download(urls, to: path, settings)
    }
    while stalls.entries.count < 3 || !directory.names.contains("0") {
      try await ContinuousClock().wait(for: .milliseconds(5))
    }
    #expect(directory.names.count > 1, "temporary files are in use")
    work.cancel()
    let summary = try await work.value
    await server.stop()
    #expect(summary.succeeded == 1 && summary.failed == 0 && summary.unfinished == 8)
    #expect(summary.orphanedTemporaryFiles == 0)
    #expect(directory.names == ["0"])
  }

  @Test func aSlowReaderHoldsTheServerBack() async throws {
    let sent = Atomic64()
    let server = try HTTPServer { _ in
      HTTPReply(status: 200, body: HTTPBody(count: 256 << 20) { position, _ in sent.set(position) })
    }
    let client = HTTPClient()
    let url = try #require(URL(string: "http://127.0.0.1:\(server.port)/"))
    try await client.withExchange(url) { exchange in
      _ = try await exchange.response()
      // Long enough for all of it to arrive if nothing held it back.
      try await ContinuousClock().wait(for: .seconds(1))
      #expect(sent.value < 64 << 20)
      var received = 0
      while let bytes = try await exchange.next() { received += bytes.count }
      #expect(received == 256 << 20)
    }
    await server.stop()
  }

  @Test func givingUpInTheMiddleFreesTheSessionForTheNextRequest() async throws {
    let server = try HTTPServer { request in
      HTTPReply(
        status: 200, body: HTTPBody(count: request.path == "/big" ? 256 << 20 : 5) { _, _ in })
    }
    let client = HTTPClient()
    let base = "http://127.0.0.1:\(server.port)"
    for _ in 0..<20 {
      try await client.withExchange(#require(URL(string: "\(base)/big"))) { exchange in
        _ = try await exchange.next()
      }
      try await client.withExchange(#require(URL(string: "\(base)/small"))) { exchange in
        var received = 0
        while let bytes = try await exchange.next() { received += bytes.count }
        #expect(received == 5)
      }
    }
    await server.stop()
  }
}

/// A list that several threads add to.
private final class Log<Entry: Sendable>: Sendable {
  private let state = Lock<[Entry]>([])
  var entries: [Entry] { state.withLock { $0 } }

  /// - Returns: How many entries there were before.
  func append(_ entry: Entry) -> Int {
    state.withLock { entries in
      entries.append(entry)
      return entries.count - 1
    }
  }
}

final class Atomic64: Sendable {
  private let state = Atomic<Int>(0)
  var value: Int { state.load(ordering: .relaxed) }
  func set(_ value: Int) { state.store(value, ordering: .relaxed) }
}
