import Foundation
import Reliability
import ReliabilityExampleSupport
import ReliabilityTestSupport
import Testing

@testable import ReliabilityDownloader

/// Downloads by tools that do what tools do: real processes, so real time.
@Suite(.realTime, .serialized, .timeLimit(.minutes(10))) struct RealTimeToolTests {
  let directory = ScratchDirectory()

  init() { ErrorClassifier.installFoundationRules() }

  /// A tool made of shell commands: `$1` the address, `$2` the output, `$3` the quality, `$4` the threads.
  private func tool(
    _ script: String, qualities: [MediaQuality] = [.p720, .p480], fallsBack: Bool = false,
    stall: Duration = .seconds(60)
  ) throws -> ToolTransfer {
    let path = "\(directory.path)/tool.sh"
    try Data(script.utf8).write(to: URL(fileURLWithPath: path))
    let command = try ToolCommand("sh \(path) {url} {output} {quality} {threads}")
    var tool = ToolTransfer(
      ToolSettings(command: command, qualities: qualities, fallsBack: fallsBack, percent: 100),
      builtIn: BuiltInTransfer(limits: TransferLimits(toolStall: stall), alwaysDigests: true))
    tool.grace = .milliseconds(200)
    return tool
  }

  private func transfer(
    by tool: ToolTransfer, from url: String = "http://127.0.0.1:9/film", checksum: String? = nil
  ) throws -> any FileTransfer {
    var item = try DownloadPlan.item(url)
    item.checksum = checksum
    return tool.transfer(of: item, to: "\(directory.path)/film") { _, _ in }
  }

  /// The processes of a session; the dead that nobody has collected yet don't count.
  private static func living(inSession session: Int32) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { name in
      guard Int32(name) != nil,
        let bytes = FileManager.default.contents(atPath: "/proc/\(name)/stat")
      else { return false }
      // The name of the program, in parentheses, may contain anything; state, parent, group and session follow.
      let fields = String(decoding: bytes, as: UTF8.self).split(separator: ")").last?
        .split(separator: " ")
      guard let fields, fields.count > 3 else { return false }
      return Int32(fields[3]) == session && fields[0] != "Z" && fields[0] != "X"
    }
  }

  /// What is in the directory beside the tool.
  private var names: [String] { directory.names.filter { $0 != "tool.sh" } }

  @Test func aToolThatSucceedsServesAtTheHighestQuality() async throws {
    let transfer = try transfer(
      by: tool("echo 10%; printf \"$3 $4 $1\" > \"$2\"; echo ' 100%'", qualities: [.worst]))
    try await transfer.attempt()
    #expect(!names.contains("film"))
    try await transfer.publish()
    let text = try #require(directory.read("film"))
    #expect(text.hasPrefix("worst ") && text.hasSuffix(" http://127.0.0.1:9/film"))
    #expect(transfer.outcome.served == "worst" && transfer.outcome.passed.isEmpty)
    #expect(transfer.outcome.bytes == text.utf8.count)
    #expect(names == ["film"])
  }

  @Test func runningOutOfMemoryStepsDownAndSaysWhy() async throws {
    let transfer = try transfer(
      by: tool(
        """
        if [ "$3" = 720p ]; then echo half > "$2.part"; echo 'MemoryError: out of memory' >&2; exit 1; fi
        printf "$3" > "$2"
        """))
    try await transfer.attempt()
    try await transfer.publish()
    #expect(directory.read("film") == "480p")
    #expect(transfer.outcome.served == "480p")
    #expect(transfer.outcome.passed.count == 1)
    #expect(transfer.outcome.passed[0].hasPrefix("720p"))
    #expect(names == ["film"])
  }

  @Test func aToolThatReachesAHundredPercentHangsAndIgnoresTermIsEndedWithAFullReport() async throws
  {
    let transfer = try transfer(
      by: tool(
        """
        trap '' TERM
        echo "warning: slow disk" >&2
        printf half > "$2"; echo ' 100%'
        echo $$ > "\(directory.path)/pid"
        while :; do sleep 0.05; done
        """, qualities: [.p480], stall: .milliseconds(500)))
    let error = await #expect(throws: (any Error).self) { try await transfer.attempt() }
    let report = ErrorReport(
      try #require(error),
      download: ErrorReport.DownloadDetails(
        title: "film", url: "http://127.0.0.1:9/film", attempts: transfer.failures,
        temporaryPath: transfer.temporaryPath, recoveryTaken: "removed the temporary file"))
    #expect(report.category == .timeout)
    #expect(!report.title.isEmpty && !report.detail.isEmpty && !report.suggestedActions.isEmpty)
    let details = try #require(report.process)
    #expect(details.outputTail?.contains("100%") == true)
    #expect(details.errorTail?.contains("slow disk") == true)
    #expect(transfer.failures.map(\.method) == ["tool at 480p"])
    #expect(transfer.outcome.timeouts == 1)
    // The whole group is gone, and so is what the tool had written.
    let pid = try #require(directory.read("pid").flatMap { Int32($0.dropLast()) })
    #expect(try Self.living(inSession: pid) == [])
    #expect(!names.contains { $0.contains("tool-rtmp") })
  }

  @Test(arguments: [
    ("exit 0", "with nothing written"), (": > \"$2\"", "with an empty file"),
    ("printf x > \"$2\"; kill -SEGV $$", "by a signal"),
    ("printf x > \"$2\"; exit 3", "with an error"),
  ])
  func aToolThatFailsLeavesNothing(script: String, how: String) async throws {
    let transfer = try transfer(by: tool(script, qualities: []))
    await #expect(throws: ProcessError.self, "\(how)") { try await transfer.attempt() }
    #expect(transfer.failures.count == 1)
    #expect(!names.contains { $0 == "film" || $0.contains("tool-rtmp") })
  }

  @Test func aWrongChecksumIsFoundInWhatTheToolBrought() async throws {
    let transfer = try transfer(
      by: tool("printf other > \"$2\""), checksum: String(repeating: "0", count: 64))
    await #expect(throws: DownloadError.self) { try await transfer.attempt() }
    #expect(!names.contains { $0.contains("tool-rtmp") })
  }

  @Test func theBuiltInClientTakesOverWhenItIsAskedTo() async throws {
    let server = try HTTPServer { _ in HTTPReply(status: 200, body: .bytes(Array("real".utf8))) }
    let transfer = try transfer(
      by: tool("echo broken >&2; exit 1", fallsBack: true),
      from: "http://127.0.0.1:\(server.port)/film")
    try await transfer.attempt()
    try await transfer.publish()
    await server.stop()
    #expect(directory.read("film") == "real")
    #expect(transfer.outcome.served == "the built-in client")
    #expect(transfer.outcome.attempts == 2 && transfer.failures.count == 1)
    #expect(names == ["film"])
  }

  @Test func aCancellationEndsTheToolAndLeavesNothing() async throws {
    let transfer = try transfer(
      by: tool("printf x > \"$2\"; touch \"\(directory.path)/begun\"; sleep 600"))
    let task = Task { try await transfer.attempt() }
    try await until { directory.names.contains("begun") }
    task.cancel()
    let outcome = await task.result
    #expect(throws: CancellationError.self) { try outcome.get() }
    #expect(!names.contains { $0.contains("tool-rtmp") })
  }

  @Test(.enabled(if: Command.exists))
  func theProgramSaysWhichQualityServed() async throws {
    let script = "\(directory.path)/tool.sh"
    try Data(
      "[ \"$3\" = 360p ] || { echo 'Cannot allocate memory' >&2; exit 1; }; printf \"$3\" > \"$2\""
        .utf8
    )
    .write(to: URL(fileURLWithPath: script))
    let result = try await Command.run([
      "http://127.0.0.1:9/film", "--output", "\(directory.path)/out", "--json",
      "--tool", "sh \(script) {url} {output} {quality}",
    ])
    #expect(result.status == 0)
    let json = try Command.json(result.output)
    #expect(json["served"] as? [String: Int] == ["360p": 1])
    #expect(json["orphaned_temp_files"] as? Int == 0)
    let names = try FileManager.default.contentsOfDirectory(atPath: "\(directory.path)/out")
    #expect(names == ["film"])
  }
}
