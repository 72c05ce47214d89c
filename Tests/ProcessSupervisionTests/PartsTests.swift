import CReliability
import ErrorContext
import ReliabilityIO
import Testing

@testable import ProcessSupervision

@Suite struct OutputTailTests {
  private func tail(_ chunks: [[UInt8]], characters: Int) -> OutputTail {
    var tail = OutputTail(characters: characters)
    for chunk in chunks { unsafe chunk.withUnsafeBytes { unsafe tail.append($0) } }
    return tail
  }

  @Test func shortOutputIsKeptWhole() {
    #expect(tail([Array("héllo".utf8)], characters: 10).text == "héllo")
    #expect(tail([], characters: 10).text == "")
    #expect(tail([Array("x".utf8)], characters: 0).text == "")
  }

  @Test(arguments: 0..<100 as Range<UInt64>)
  func tailIsTheEndOfTheWholeHoweverItWasCut(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let alphabet = Array("aé€😀\n")
    let whole = String(
      (0..<Int.random(in: 0...400, using: &random)).map { _ in
        alphabet.randomElement(using: &random)!
      })
    let characters = Int.random(in: 1...50, using: &random)
    var rest = Array(whole.utf8)[...]
    var chunks: [[UInt8]] = []
    while !rest.isEmpty {
      let count = Int.random(in: 1...min(300, rest.count), using: &random)
      chunks.append(Array(rest.prefix(count)))
      rest = rest.dropFirst(count)
    }
    let tail = tail(chunks, characters: characters)
    #expect(tail.text == String(whole.suffix(characters)), "seed \(seed)")
    #expect(tail.total == Int64(whole.utf8.count))
  }

  @Test func bytesThatAreNoTextAreReplaced() {
    #expect(tail([[0xFF, 0x41]], characters: 5).text == "\u{FFFD}A")
  }
}

@Suite struct LineCutterTests {
  private func lines(_ chunks: [[UInt8]], longestLine: Int = 100) -> [ProcessLine] {
    var cutter = LineCutter(longestLine: longestLine)
    for chunk in chunks { cutter.add(.init(source: .output, bytes: chunk)) }
    cutter.finish()
    var lines: [ProcessLine] = []
    while let line = cutter.popFirst() { lines.append(line) }
    return lines
  }

  @Test func everyKindOfLineEndIsOne() {
    #expect(
      lines([Array("a\nb\r\nc\rd\n\r\n".utf8)]).map(\.text) == ["a", "b", "c", "d", ""])
  }

  @Test func longLinesAreCutBetweenCharacters() {
    let found = lines([Array(String(repeating: "€", count: 20).utf8)], longestLine: 16)
    #expect(found.map(\.text).joined() == String(repeating: "€", count: 20))
    #expect(found.dropLast().allSatisfy { $0.isCut })
    #expect(found.last?.isCut == false)
  }

  @Test(arguments: 0..<100 as Range<UInt64>)
  func linesAreTheSameHoweverTheyWereRead(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let alphabet = Array("ab\n\r".utf8)
    let whole = (0..<200).map { _ in alphabet.randomElement(using: &random)! }
    var rest = whole[...]
    var chunks: [[UInt8]] = []
    while !rest.isEmpty {
      let count = Int.random(in: 1...min(9, rest.count), using: &random)
      chunks.append(Array(rest.prefix(count)))
      rest = rest.dropFirst(count)
    }
    #expect(lines(chunks) == lines([whole]), "seed \(seed)")
  }
}

@Suite struct ProcessTableTests {
  private func parse(_ text: String) -> creliability_process? {
    var process = creliability_process()
    let bytes = Array(text.utf8).map { CChar(bitPattern: $0) }
    let failure = unsafe bytes.withUnsafeBufferPointer {
      unsafe creliability_process_parse($0.baseAddress!, $0.count, &process)
    }
    return failure == 0 ? process : nil
  }

  private static let rest =
    "S 12 34 56 0 -1 4194560 100 0 3 0 10 20 30 40 20 0 1 0 987654 1000000 250 184467440 1 1\n"

  @Test(arguments: ["sh", "a b", ") S 1 1 (", "((", "))) 7 8", "x\ny"])
  func nameMayHoldAnything(name: String) throws {
    let process = try #require(parse("4711 (\(name)) \(Self.rest)"))
    #expect(process.pid == 4711)
    #expect(process.parent == 12)
    #expect(process.group == 34)
    #expect(process.session == 56)
    #expect(process.start == 987_654)
    #expect(process.cpu_nanoseconds == 100 * 10_000_000)
    #expect(process.resident_bytes % 250 == 0 && process.resident_bytes > 0)
    #expect(process.is_zombie == 0)
  }

  @Test(arguments: ["", "1", "1 (x", "1 (x) S", "1 (x) S 1 2 x", "no"])
  func whatIsNoProcessIsRefused(text: String) {
    #expect(parse(text) == nil)
  }

  @Test func signalsNeverGoToEverybody() {
    for group in [Int32.min, -1, 0, 1] {
      #expect(creliability_signal_group(group, 0) != 0)
      #expect(creliability_signal_process(group, 0, 0) != 0)
    }
  }
}

@Suite struct MemoryTrendTests {
  private static let second: Int64 = 1_000_000_000

  @Test func steadyGrowthGivesTheTimeToTheLimit() {
    var trend = MemoryTrend()
    for step in 1...10 { trend.record(Int64(step) * 100, at: Int64(step) * Self.second) }
    #expect(trend.seconds(to: 2000) == 10)
    #expect(trend.latestRate == 100)
    #expect(trend.seconds(to: 500) == 0)
  }

  @Test func oneJumpIsNoTrend() {
    var trend = MemoryTrend()
    for step in 1...10 {
      trend.record(step < 6 ? 100 : 1000, at: Int64(step) * Self.second)
    }
    #expect(trend.seconds(to: 2000) == nil)
  }

  @Test func fewSamplesOrTheSameInstantAreNoTrend() {
    var trend = MemoryTrend()
    for _ in 1...20 { trend.record(100, at: Self.second) }
    #expect(trend.seconds(to: 2000) == nil)
    #expect(trend.latestRate == 0)
  }
}

@Suite struct SamplingScheduleTests {
  private static let second: Int64 = 1_000_000_000

  @Test func samplesFollowFasterNearTheLimitAndNeverCostMuch() {
    var rules = SupervisionRules()
    rules.memory = 8 << 30
    var schedule = SamplingSchedule(rules: rules, start: 0)
    #expect(schedule.next == 5 * Self.second)
    let taken = schedule.take(at: 5 * Self.second)
    let takenAgain = schedule.take(at: 6 * Self.second)
    #expect(taken && !takenAgain)
    _ = schedule.record(memory: (8 << 30) - (256 << 20), cpuPercent: 1, cost: 0, at: 0)
    #expect(schedule.next == Self.second)
    _ = schedule.record(memory: 8 << 30, cpuPercent: 1, cost: 0, at: 0)
    #expect(schedule.next == rules.fastestSampling)
    _ = schedule.record(memory: 8 << 30, cpuPercent: 1, cost: Self.second / 100, at: 0)
    #expect(schedule.next == Self.second)
    _ = schedule.record(memory: 0, cpuPercent: 1, cost: .max, at: 0)
    #expect(schedule.next == .max)
  }

  @Test func alertsAreRaisedOnceAndTakenBackOnce() {
    var rules = SupervisionRules()
    rules.memory = 1000
    var schedule = SamplingSchedule(rules: rules, start: 0)
    var now: Int64 = 0
    func alerts(_ memory: Int64, _ cpu: Double) -> [String] {
      now += Self.second
      return schedule.record(memory: memory, cpuPercent: cpu, cost: 0, at: now)
        .filter { $0.kind != .memoryTrend }
        .map { "\($0.kind.rawValue) \($0.isRaised)" }
    }
    #expect(alerts(800, 99) == [])
    #expect(alerts(801, 99) == ["memory true", "cpu true"])
    #expect(alerts(790, 89) == [])
    #expect(alerts(900, 91) == [])
    #expect(alerts(700, 80) == ["memory false", "cpu false"])
    #expect(alerts(700, 95) == [])
    #expect(alerts(700, 10) == [])
  }
}

@Suite struct ConfigurationTests {
  @Test func badValuesAreNamed() {
    func field(_ change: (inout ProcessConfiguration) -> Void) -> String? {
      var configuration = ProcessConfiguration()
      change(&configuration)
      do throws(ConfigurationError) {
        try configuration.validate()
        return nil
      } catch {
        return error.field
      }
    }
    #expect(field { _ in } == nil)
    #expect(field { $0.limits.total = .zero } == "limits.total")
    #expect(field { $0.limits.stall = .seconds(-1) } == "limits.stall")
    #expect(field { $0.limits.startup = .zero } == "limits.startup")
    #expect(field { $0.limits.memory = .sampled(bytes: 0) } == "limits.memory")
    #expect(field { $0.limits.output = 0 } == "limits.output")
    #expect(field { $0.failsOnEmptyFile = true } == "watchedFile")
    #expect(field { $0.acceptedExitCodes = [] } == "acceptedExitCodes")
    #expect(field { $0.samplingInterval = .zero } == "samplingInterval")
    #expect(field { $0.fastestSampling = .zero } == "fastestSampling")
    #expect(field { $0.grace = .seconds(-1) } == "grace")
    #expect(field { $0.drainTime = .seconds(-1) } == "drainTime")
    #expect(field { $0.tailCharacters = -1 } == "tailCharacters")
    #expect(field { $0.capturedBytes = -1 } == "capturedBytes")
    #expect(field { $0.lineBufferBytes = 0 } == "lineBufferBytes")
    #expect(field { $0.longestLine = 0 } == "longestLine")
    #expect(field { $0.alerts.memory = .nan } == "alerts.memory")
    #expect(field { $0.alerts.cpuPercent = 0 } == "alerts.cpuPercent")
    #expect(field { $0.alerts.time = -1 } == "alerts.time")
    #expect(field { $0.retryDelay = .seconds(-1) } == "retryDelay")
  }

  @Test func hugeValuesDoNotTrap() {
    var configuration = ProcessConfiguration()
    let huge = Duration.seconds(Int64.max)
    configuration.limits = ProcessLimits(
      total: huge, stall: huge, startup: huge, memory: .sampled(bytes: .max), output: .max)
    configuration.samplingInterval = huge
    configuration.grace = huge
    configuration.drainTime = huge
    let rules = SupervisionRules(configuration, deadline: .max)
    var machine = SupervisionStateMachine(rules: rules, start: .max - 5)
    _ = machine.output(.max, at: .max - 4)
    _ = machine.output(.max, at: .max - 3)
    _ = machine.sampled(memory: .max, cpuPercent: .infinity, cost: .max, at: .max - 2)
    _ = machine.stop(.requested, at: .max - 1)
    _ = machine.alarm(at: .max)
  }
}

@Suite struct FailureJudgeTests {
  private func report(
    _ exit: ProcessExit, error: String = "", output: String = "", peak: Int64 = 0,
    stop: ProcessStopReason? = nil
  ) -> ProcessReport {
    let launcher = ProcessLauncher(
      command: "/usr/bin/tool", arguments: [], configuration: ProcessConfiguration(),
      clock: .init(ContinuousClock()))
    var report = ProcessReport(notStarted: launcher, stop)
    report.exit = exit
    report.errorTail = error
    report.outputTail = output
    report.peakMemoryBytes = peak
    report.memoryLimitBytes = 1000
    return report
  }

  @Test func textsSayWhatKindOfFailureItIs() {
    let expected: [(String, ProcessFailure, Bool)] = [
      ("ERROR: Could not resolve host", .networkError, true),
      ("curl: (7) Connection REFUSED", .networkError, true),
      ("write: No space left on device", .fileSystemError, false),
      ("MemoryError", .memoryExhaustion, false),
      ("terminate called after throwing 'std::bad_alloc'", .memoryExhaustion, false),
      ("something else", .unknown, true),
    ]
    for (text, failure, isRetryable) in expected {
      let verdict = FailureJudge().verdict(on: report(.code(1), error: text))
      #expect(verdict?.failure == failure, "\(text)")
      #expect(verdict?.retryability.isRetryable == isRetryable, "\(text)")
    }
  }

  @Test func rulesOfTheUserComeFirstAndLimitsBeforeThem() {
    var judge = FailureJudge()
    judge.rules = [
      .text("refused", is: .fileSystemError, retryability: .notRetryable),
      .exitCode(28, of: "tool", is: .processTimeout),
      .exitCode(28, of: "other", is: .networkError),
      .text("", is: .memoryExhaustion),
    ]
    #expect(
      judge.verdict(on: report(.code(1), error: "connection refused"))?.failure
        == .fileSystemError)
    #expect(judge.verdict(on: report(.code(28)))?.failure == .processTimeout)
    #expect(
      judge.verdict(on: report(.signal(15), error: "refused", stop: .memoryLimit))?.failure
        == .memoryExhaustion)
  }

  @Test func killNearTheMemoryLimitMeansMemory() {
    let judge = FailureJudge()
    #expect(judge.verdict(on: report(.signal(9), peak: 800))?.failure == .memoryExhaustion)
    #expect(judge.verdict(on: report(.code(137), peak: 999))?.failure == .memoryExhaustion)
    #expect(judge.verdict(on: report(.signal(9), peak: 799))?.failure == .unknown)
    #expect(judge.verdict(on: report(.signal(11), peak: 999))?.failure == .unknown)
    #expect(judge.verdict(on: report(.signal(25)))?.failure == .fileSystemError)
  }

  @Test func whatNobodyWantedAnyLongerHasNotFailed() {
    for reason in [ProcessStopReason.cancelled, .bodyEnded, .requested] {
      #expect(FailureJudge().verdict(on: report(.signal(9), stop: reason)) == nil)
    }
    #expect(FailureJudge().verdict(on: report(.code(0))) == nil)
    #expect(FailureJudge().verdict(on: report(.unknown))?.code == .exitUnknown)
    #expect(FailureJudge().verdict(on: report(.code(127)))?.retryability == .notRetryable)
  }

  @Test func everyErrorSaysSomethingToAPerson() {
    let codes: [ProcessError.Code] = [
      .launchFailed, .timedOut, .memoryLimit, .outputLimit, .exitCode, .signal, .emptyFile,
      .exitUnknown,
    ]
    let failures: [ProcessFailure] = [
      .processTimeout, .memoryExhaustion, .networkError, .fileSystemError, .unknown,
    ]
    for code in codes {
      for failure in failures {
        let error = ProcessError(
          .init(code: code, failure: failure, retryability: .notRetryable), report(.code(1)),
          bodyError: nil)
        #expect(!(error.userMessage ?? "").isEmpty)
        #expect(!error.suggestedActions.isEmpty)
        #expect(!error.description.isEmpty)
        let shown = ErrorReport(error)
        #expect(!shown.title.isEmpty && !shown.detail.isEmpty)
        #expect(shown.category == failure.category)
        #expect(shown.process?.exitCode == 1)
      }
    }
  }
}
