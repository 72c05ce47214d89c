import Foundation
import Reliability
import ReliabilityExampleSupport
import ReliabilityTestSupport
import Testing

@testable import ReliabilityDownloader

@Suite struct ToolCommandTests {
  private let values = ToolCommand.Values(
    url: "http://a/{output} '\"$(x)", output: "/d/.1", quality: "480p", threads: 3)

  @Test func valuesNeverBecomeMoreThanOneArgumentNorAreTheyLookedAtAgain() throws {
    let command = try ToolCommand("tool -f '{quality} x' -N{threads} \"-o\" {output} -- {url}")
    #expect(command.program == "tool")
    #expect(
      command.arguments(values)
        == ["-f", "480p x", "-N3", "-o", "/d/.1", "--", "http://a/{output} '\"$(x)"])
    #expect(command.takesQuality)
  }

  @Test func quotesAndBackslashesKeepBlanksTogether() throws {
    let command = try ToolCommand(#"/bin/my\ tool '' "a b" 'c\d' {brace {url}{output}"#)
    #expect(command.program == "/bin/my tool")
    #expect(
      command.arguments(values) == ["", "a b", #"c\d"#, "{brace", values.url + values.output])
    #expect(!command.takesQuality)
  }

  @Test(arguments: [
    "", "   ", "{url} {output}", "tool {url}", "tool {output}", "tool 'x {url} {output}",
    "tool {url} {output} \\",
  ])
  func aCommandThatCanNotWorkIsRefused(text: String) {
    #expect(throws: UsageError.self) { try ToolCommand(text) }
  }

  @Test(arguments: [
    ("40 %", 40), ("[download]  99.5% of 3MB", 99.5), ("a 10% b 20%", 20), ("100%", 100),
  ])
  func percentageIsTheLastOneOfTheLine(line: String, part: Double) {
    #expect(ToolDownload.percentage(in: line) == part)
  }

  @Test(arguments: ["", "%", "x%", "101%", "1e5%", "-%", "..%"])
  func whatIsNoPercentageIsNone(line: String) {
    let part = ToolDownload.percentage(in: line)
    #expect(part == nil || (0...100).contains(part ?? -1))
  }

  private func settings(_ arguments: String..., environment: [String: String] = [:]) throws
    -> ToolSettings?
  {
    try Options(["http://h/f"] + arguments, environment: environment).tool
  }

  @Test func theToolIsOffUntilItIsNamedAndCanBeSwitchedOffAtOnce() throws {
    let tool = "--tool=t {url} {output} {quality}"
    #expect(try settings() == nil)
    #expect(try settings(tool)?.qualities == MediaQuality.allCases)
    #expect(try settings(tool, "--qualities=360p,worst")?.qualities == [.p360, .worst])
    #expect(try settings("--tool=t {url} {output}")?.qualities.isEmpty == true)
    #expect(try settings("--tool=off") == nil)
    #expect(try settings(tool, "--enhanced-percent=0") == nil)
    #expect(try settings(tool, environment: ["DOWNLOADER_ENHANCED": "0"]) == nil)
    for wrong in ["--qualities=900p", "--qualities=", "--qualities=360p,360p"] {
      #expect(throws: UsageError.self) { try settings(tool, wrong) }
    }
    #expect(throws: UsageError.self) { try settings(tool, "--enhanced-percent=101") }
    #expect(throws: UsageError.self) {
      try settings("--tool=t", environment: ["DOWNLOADER_ENHANCED": "0"])
    }
  }

  @Test func theShareOfTheToolIsStableByAddress() throws {
    let urls = (0..<2000).map { "http://host/\($0).bin" }
    let some = try #require(try settings("--tool=t {url} {output}", "--enhanced-percent=30"))
    let more = try #require(try settings("--tool=t {url} {output}", "--enhanced-percent=60"))
    let taken = urls.filter { some.takes($0) }
    #expect((500...700).contains(taken.count))
    // Who was in stays in when the share grows.
    #expect(taken.allSatisfy { more.takes($0) })
  }

  @Test func whatADeadDownloadersToolLeftIsSweptAndALivingOnesIsKept() async throws {
    let directory = ScratchDirectory()
    let file = try await AtomicFile(replacing: "\(directory.path)/film")
    let alive = ToolScratch(for: file.temporaryPath)
    let dead = ToolScratch(for: "\(directory.path)/.film.1.2.rtmp")
    for path in [alive.path, alive.path + ".part", dead.path, dead.path + ".f137.part"] {
      try Data("x".utf8).write(to: URL(fileURLWithPath: path))
    }
    ToolScratch.sweep(directory.path)
    let names = directory.names
    #expect(names.filter { $0.hasPrefix(alive.name) }.count == 2)
    #expect(!names.contains { $0.hasPrefix(dead.name) })
    #expect(alive.size == 1)
    alive.remove()
    #expect(!directory.names.contains { $0.hasPrefix(alive.name) })
    try await file.discard()
  }
}
