import ReliabilityExampleSupport
import Testing

@testable import ReliabilityDownloader

@Suite struct OptionsTests {
  @Test func withoutArgumentsItIsTheDemo() throws {
    let options = try Options([])
    #expect(options.isDemo)
    #expect(options.attempts == 4)
    #expect(options.limits.timeout == .seconds(5))
  }

  @Test func theDemoTakesTheSameOptions() throws {
    let options = try Options(["demo", "--attempts", "1", "--json", "--workers=8"])
    #expect(options.isDemo && options.isJSON)
    #expect(options.attempts == 1)
    #expect(options.workers == 8)
  }

  @Test func addressesHaveTheDefaultsOfTheMission() throws {
    let options = try Options(["http://host/a"])
    #expect(!options.isDemo)
    #expect(options.attempts == 3)
    #expect(options.limits.timeout == .seconds(3600))
    #expect(options.backoff == .seconds(1))
  }

  @Test func aListAloneIsNotTheDemo() throws {
    #expect(try !Options(["--from", "list.txt"]).isDemo)
  }

  @Test func aChecksumIsSplitAtTheLastEqualsSign() throws {
    let digest = String(repeating: "AB", count: 32)
    let options = try Options(["http://host/a?b=c", "--checksum=http://host/a?b=c=\(digest)"])
    #expect(options.checksums.map(\.url) == ["http://host/a?b=c"])
    #expect(options.checksums.map(\.digest) == [digest.lowercased()])
  }

  @Test(arguments: [
    (["--workers", "0"], "--workers"), (["--workers=65"], "--workers"),
    (["--workers", "many"], "--workers"), (["--attempts=0"], "--attempts"),
    (["--attempts", "-1"], "--attempts"), (["--timeout=0"], "--timeout"),
    (["--timeout", "nan"], "--timeout"), (["--stall=-3"], "--stall"),
    (["--checksum", "abc"], "--checksum"), (["--checksum=http://host/a=12"], "--checksum"),
    (["--checksum=http://host/a=" + String(repeating: "x", count: 64)], "--checksum"),
    (["--output="], "--output"), (["--from="], "--from"), (["--bogus"], "--bogus"),
    (["demo", "http://host/a"], "demo"), (["demo", "--from=x"], "--from"),
  ])
  func aWrongValueGetsOneLineThatNamesTheOption(arguments: [String], name: String) throws {
    let error = #expect(throws: UsageError.self) { try Options(arguments) }
    let text = try #require(error?.description)
    #expect(text.contains(name) && !text.contains("\n"), "\(text)")
  }
}
