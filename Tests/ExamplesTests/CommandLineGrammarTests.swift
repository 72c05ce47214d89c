import ReliabilityExampleSupport
import Testing

@Suite struct CommandLineGrammarTests {
  private let grammar = CommandLineGrammar(
    usage: ["greet [NAME …]"], summary: "Greets.",
    options: [
      .value("times", "N", "how often"), .value("wait", "S", "how long"),
      .value("to", "WHERE", "where"), .flag("loud", "in capitals"),
    ])

  @Test func bothSpellingsOfAValueMeanTheSame() throws {
    for arguments in [["--times", "3"], ["--times=3"]] {
      #expect(try grammar.parse(arguments).integer("times", in: 1...9) == 3)
    }
  }

  @Test func optionsAndOperandsMayBeMixedUntilTheDoubleDash() throws {
    let line = try grammar.parse(["Ada", "--loud", "-", "--", "--times", "Bob"])
    #expect(line.operands == ["Ada", "-", "--times", "Bob"])
    #expect(line.flag("loud"))
    #expect(try line.integer("times", in: 1...9) == nil)
  }

  @Test func theLastOfSeveralValuesCountsAndAllAreKept() throws {
    let line = try grammar.parse(["--to=a", "--to", "b=c"])
    #expect(try line.text("to") == "b=c")
    #expect(line.all("to") == ["a", "b=c"])
  }

  @Test(arguments: [
    (["--loudly"], "unknown option \"--loudly\"; --help lists what there is"),
    (["--lou"], "unknown option \"--lou\"; did you mean --loud?"),
    (["-x"], "unknown option \"-x\"; --help lists what there is"),
    (["--times"], "--times needs a value: --times N"),
    (["--times", "--loud"], "--times needs a value: --times N"),
    (["--loud=yes"], "--loud takes no value"),
    (["--\u{1b}[31m"], "unknown option \"--\\u{1b}[31m\"; --help lists what there is"),
  ])
  func aWrongOptionGetsOneLineThatNamesIt(arguments: [String], message: String) {
    #expect(throws: UsageError(message)) { try grammar.parse(arguments) }
  }

  @Test(arguments: ["0", "10", "", "three", "1.5", "99999999999999999999", "-1", "0x3"])
  func aNumberOutsideItsRangeNamesTheOptionAndWhatIsAllowed(value: String) throws {
    let line = try grammar.parse(["--times=\(value)"])
    #expect(
      throws: UsageError("--times must be a whole number from 1 to 9, not \"\(value)\"")
    ) { try line.integer("times", in: 1...9) }
  }

  @Test(arguments: ["-1", "nan", "inf", "1e99", "soon", ""])
  func secondsOutsideTheirRangeAreRefused(value: String) throws {
    let line = try grammar.parse(["--wait=\(value)"])
    #expect(throws: UsageError.self) { try line.seconds("wait", in: 0...60) }
  }

  @Test func secondsMayHaveAFraction() throws {
    #expect(
      try grammar.parse(["--wait", "0.25"]).seconds("wait", in: 0...60) == .milliseconds(250))
  }

  @Test(arguments: ["", "a\u{0}b"])
  func anEmptyTextIsRefused(value: String) throws {
    let line = try grammar.parse(["--to=\(value)"])
    #expect(throws: UsageError("--to must not be empty")) { try line.text("to") }
  }

  @Test func helpListsEveryOptionAndBothItsSpellingsWork() throws {
    for name in ["--times N", "--wait S", "--loud", "--help"] {
      #expect(grammar.help.contains("  \(name)  "), "\(name)")
    }
    #expect(try grammar.parse(["-h"]).flag("help"))
    #expect(try grammar.parse(["--help"]).flag("help"))
  }

  @Test func quotedTextIsOneSafeShortLine() {
    #expect("a\nb\u{7f}\u{202e}".quotedForDisplay == "\"a\\u{a}b\\u{7f}\\u{202e}\"")
    #expect(String(repeating: "x", count: 500).quotedForDisplay.count == 123)
  }

  @Test(arguments: [
    (0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (1024, "1.0 KB"), (99_949, "100 KB"),
    (1_500_000, "1.5 MB"), (999_499, "999 KB"), (999_500, "1.0 MB"), (-5, "0 B"),
    (Int.max, "9223 PB"),
  ])
  func bytesForPeople(bytes: Int, text: String) {
    #expect(ByteText.short(bytes) == text)
  }
}
