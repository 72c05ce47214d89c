import Foundation
import Reliability
import ReliabilityExampleSupport
import Testing

@testable import ReliabilityDownloader

@Suite struct TransferLimitsTests {
  private func settings(
    _ arguments: String..., environment: [String: String] = [:]
  ) throws -> Settings {
    var reader = try SettingsReader(
      try Options.grammar.parse(arguments), environment: environment)
    return try Settings(&reader, mode: .plain)
  }

  @Test func untoldTheyAreThoseOfTheMissionWithThePatienceOfAClient() throws {
    let limits = try settings().limits.adaptive(for: "film.mp4")
    #expect(limits.base == .seconds(1800) && limits.maximum == .seconds(3600))
    #expect(limits.network == .seconds(60) && limits.stall == .seconds(30))
    #expect(limits.isAdaptive && limits.margin == 1.5)
    #expect(try settings().limits.toolStall == .seconds(300))
  }

  @Test func aTimeoutThatIsToldIsTheWholeTruth() throws {
    for limits in [
      try settings("--timeout=7200").limits,
      try settings(environment: ["DOWNLOAD_TIMEOUT": "7200"]).limits,
    ] {
      #expect(limits.timeout == .seconds(7200) && limits.base == .seconds(7200))
    }
    let both = try settings("--timeout=7200", "--base-timeout=60").limits
    #expect(both.timeout == .seconds(7200) && both.base == .seconds(60))
  }

  @Test func aStallThatIsToldHoldsForTheFirstByteAndForToolsToo() throws {
    let limits = try settings("--stall=7").limits
    #expect(limits.stall == .seconds(7) && limits.network == nil)
    #expect(limits.toolStall == .seconds(7))
    #expect(limits.adaptive(for: "x").network == nil)
    #expect(try settings("--stall=7", "--tool-stall=70").limits.toolStall == .seconds(70))
  }

  @Test(arguments: [
    (["--timeout=10", "--base-timeout=11"], "--base-timeout"),
    (["--base-timeout=0"], "--base-timeout"), (["--tool-stall=nan"], "--tool-stall"),
    (["--tool-stall=-1"], "--tool-stall"), (["--base-timeout=1e400"], "--base-timeout"),
  ])
  func aWrongLimitIsNamed(arguments: [String], name: String) throws {
    let error = #expect(throws: UsageError.self) { try Options(["http://h/a"] + arguments) }
    #expect(error?.description.contains(name) == true)
  }

  @Test func aKindOfFileWithALimitOfItsOwnHasItForEverything() {
    var limits = TransferLimits()
    limits.timeouts = ["srt": .seconds(60)]
    let subtitle = limits.adaptive(for: "a.SRT")
    #expect(subtitle.base == .seconds(60) && subtitle.maximum == .seconds(60))
    #expect(throws: Never.self) { try subtitle.validate() }
    #expect(limits.adaptive(for: "a.mp4").maximum == .seconds(3600))
  }

  @Test(arguments: [1e-3, 0.5, 1, 300, 1800, 31_536_000])
  func everyLimitThatSettingsAllowIsValid(seconds: Double) {
    var limits = TransferLimits(timeout: .seconds(seconds))
    for share in [0.0, 1e-9, 0.25, 1] {
      #expect(throws: Never.self) {
        try limits.tool(for: "x", total: limits.timeout * share).validate()
      }
    }
    #expect(throws: Never.self) { try limits.adaptive(for: "x").validate() }
    limits.base = .milliseconds(1)
    #expect(throws: Never.self) { try limits.adaptive(for: "x").validate() }
  }

  @Test func aBusyMachineGivesMoreTimeToEveryAttempt() throws {
    let limits = try settings().limits
    let pressure = try #require(limits.adaptive(for: "film.mp4").pressure)
    #expect((0...1).contains(pressure()))
    #expect(limits.tool(for: "film.mp4", total: .seconds(60)).pressure != nil)
    // The connection's own limit comes after the longest stall.
    #expect(limits.silence > limits.stall * 2)
  }

  @Test(arguments: [
    ("some avg10=12.50 avg60=1.00 avg300=0.00 total=5\nfull avg10=99.00 avg60=0.00\n", 0.125),
    ("some avg10=0.00 avg60=50.00", 0), ("some avg10=250.00", 1), ("full avg10=12.50", nil),
    ("some avg10=-1", nil), ("some avg10=much", nil), ("some avg10=nan", nil), ("some", nil),
    ("", nil),
  ])
  func theKernelsWordsAboutPressure(text: String, share: Double?) {
    #expect(MachinePressure.share(in: text) == share)
  }

  @Test func aRungOfTheLadderHasItsShareOfTheBaseToo() {
    let limits = TransferLimits()
    let rung = limits.tool(for: "x", total: .seconds(1800))
    #expect(rung.maximum == .seconds(1800) && rung.base == .seconds(900))
    #expect(rung.stall == .seconds(300))
    #expect(limits.tool(for: "x", total: .seconds(3600)).base == .seconds(1800))
  }

  @Test(arguments: [
    ("http://h/a.mp4", "h:80 mp4"), ("http://h/A.MP4", "h:80 mp4"), ("https://h/a", "h:443"),
    ("http://h/a.0001", "h:80"), ("http://h/a.verylong", "h:80"), ("http://h/.a.", "h:80"),
  ])
  func filesOfAServerAreOfOneKindByTheirExtension(url: String, kind: String) throws {
    #expect(TransferLimits().kind(of: try DownloadPlan.item(url)) == kind)
  }

  @Test func whatWasLearnedTakesThePlaceOfTheBaseAndIsNeverShort() {
    let limits = TransferLimits()
    limits.learned.record(.seconds(1), for: "h:80 mp4")
    let monitor = ProgressMonitor(limits.adaptive(for: "a.mp4"), kind: "h:80 mp4")
    #expect(monitor.decision.reason == .learned && monitor.decision.limit == .seconds(300))
    let untrusting = limits.adaptive(for: "a.mp4", learns: false)
    #expect(ProgressMonitor(untrusting, kind: "h:80 mp4").decision.limit == .seconds(1800))
  }

  @Test func theLimitsAreAmongTheSettingsThatConfigShows() throws {
    let table = ConfigText.table(try settings("--stall=7").entries)
    for name in ["DOWNLOAD_TIMEOUT", "--base-timeout", "--stall", "--tool-stall"] {
      #expect(table.contains(name), "\(name)")
    }
  }

  @Test(
    arguments: [
      ("[download]  42.5% of 10MiB", 42.5), ("100%", 100.0), ("0 %", 0.0), ("1% 2%", 2.0),
      ("1e400%", nil), ("9" + String(repeating: "9", count: 400) + "%", nil), ("-5%", 5.0),
      ("%", nil), ("nan%", nil), ("1..5%", nil), ("½%", nil), ("٣%", nil), ("101%", nil),
      ("0." + String(repeating: "0", count: 400) + "1%", 0.0), ("12", nil),
    ] as [(String, Double?)])
  func aPercentageIsWhatStandsBeforeTheLastSign(line: String, expected: Double?) {
    let found = ToolDownload.percentage(in: line)
    // "400" of "1e400" is not a percentage either.
    #expect(found == expected, "\(line.prefix(40))")
    if let found { #expect((0...100).contains(found)) }
  }

  @Test(
    arguments: [
      ("bytes 100-199/200", 100, 200), ("bytes 100-199/*", 100, nil), ("bytes */200", nil, 200),
      ("bytes 0-9/99999999999999999999999", 0, nil),
    ] as [(String, Int?, Int?)])
  func aContentRangeIsDigitsAlone(value: String, first: Int?, total: Int?) throws {
    let range = try #require(ContentRange(value))
    #expect(range.first == first && range.total == total)
  }

  @Test(arguments: [
    "bytes -1-5/10", "bytes +1-5/10", "bytes 5-1/10", "bytes 1-99999999999999999999/5",
    "bytes 99999999999999999999-99999999999999999999/5", "octets 0-1/2", "bytes 0-1", "bytes /",
  ])
  func aContentRangeThatIsNoneIsNone(value: String) { #expect(ContentRange(value) == nil) }

  @Test func aTotalWithASignIsNoTotal() {
    #expect(ContentRange("bytes 1-5/-9223372036854775808")?.total == nil)
    #expect(ContentRange.number("-5") == nil && ContentRange.number("+5") == nil)
    #expect(ContentRange.number("") == nil && ContentRange.number("5") == 5)
    #expect(ContentRange.number("9223372036854775808") == nil)
  }
}
