import Dispatch
import Foundation
import Reliability
import ReliabilityExampleSupport
import ReliabilityTestSupport
import ReliabilityTesting
import Synchronization
import Testing

@testable import ReliabilityDownloader

/// Limits that follow a transfer's progress: real sockets and processes, whose time the tests decide.
@Suite(.realTime, .serialized, .timeLimit(.minutes(10))) struct RealTimeAdaptiveTests {
  let directory = ScratchDirectory()
  let clock = ManualClock()

  init() { ErrorClassifier.installFoundationRules() }

  private func transfer(
    _ port: UInt16, _ limits: TransferLimits,
    progress: @escaping @Sendable (Int, Int?) -> Void = { _, _ in }
  ) throws -> any FileTransfer {
    var method = BuiltInTransfer(limits: limits)
    method.clock = clock
    return method.transfer(
      of: try DownloadPlan.item("http://127.0.0.1:\(port)/file.bin"),
      to: directory.file("file.bin"), progress: progress)
  }

  private func stalling(after count: Int, of total: Int = 300_000) throws -> HTTPServer {
    try HTTPServer { _ in
      HTTPReply(
        status: 200, headers: [HTTPField("ETag", "\"1\"")],
        body: .bytes([UInt8](repeating: 7, count: total)),
        fault: .stall(after: count, for: .seconds(600)))
    }
  }

  /// The error of an attempt that is ended by moving the time on.
  private func timeout(
    of transfer: any FileTransfer, after duration: Duration, once isReady: @escaping () -> Bool
  ) async throws -> TimeoutError {
    let attempt = Task { try await transfer.attempt() }
    try await until(isReady)
    clock.advance(by: duration)
    let error = await failure { try await attempt.value }
    return try #require(error?.underlying(as: TimeoutError.self), "\(String(describing: error))")
  }

  @Test func whatStopsArrivingIsEndedAndTheReportSaysWhatItWasAllowed() async throws {
    let server = try stalling(after: 200_000)
    let received = Atomic64()
    let transfer = try transfer(server.port, TransferLimits()) { bytes, _ in received.set(bytes) }
    let error = try await timeout(of: transfer, after: .seconds(30)) { received.value == 200_000 }
    await server.stop()
    #expect(error.kind == .stall && error.limit == .seconds(30))
    let decision = try #require(error.decision)
    #expect(decision.passed == .stall && decision.reason == .stalled)
    #expect(decision.completed == 200_000 && decision.total == 300_000)
    #expect(decision.maximum == .seconds(3600))
    let text = ErrorReport(error).errorMessage
    #expect(text.contains("stall limit passed") && text.contains("at most 60.0 min"), "\(text)")
    #expect(transfer.failures.first?.error.contains("stall limit passed") == true)
    #expect(transfer.outcome.timeouts == 1)
  }

  @Test func aServerThatNeverAnswersIsAMatterOfTheNetwork() async throws {
    let asked = Atomic64()
    let release = DispatchSemaphore(value: 0)
    let server = try HTTPServer { _ in
      asked.set(1)
      release.wait()
      return .text(200, "late")
    }
    let transfer = try transfer(server.port, TransferLimits())
    let error = try await timeout(of: transfer, after: .seconds(60)) { asked.value == 1 }
    release.signal()
    await server.stop()
    #expect(error.kind == .network && error.decision?.reason == .noFirstProgress)
  }

  /// A transfer of a known length at an even pace; the time passes as the bytes arrive.
  private func evenTransfer(
    lasting seconds: Int, _ limits: TransferLimits
  ) async throws -> (any FileTransfer, (any Error)?) {
    let total = 8_000_000
    let server = try HTTPServer { _ in
      HTTPReply(status: 200, body: .bytes([UInt8](repeating: 7, count: total)))
    }
    let start = clock.now
    let transfer = try transfer(server.port, limits) { [clock] received, _ in
      clock.advance(to: start + .seconds(seconds) * (Double(received) / Double(total)))
    }
    let error = await failure { try await transfer.attempt() }
    await server.stop()
    return (transfer, error)
  }

  @Test func progressAllowsMoreThanTheBase() async throws {
    var limits = TransferLimits(timeout: .seconds(1000))
    (limits.base, limits.stall) = (.seconds(20), .seconds(30))
    let (transfer, error) = try await evenTransfer(lasting: 100, limits)
    #expect(error == nil)
    #expect(transfer.outcome.bytes == 8_000_000)
  }

  @Test func nothingAllowsMoreThanTheTimeout() async throws {
    var limits = TransferLimits(timeout: .seconds(50))
    (limits.base, limits.stall) = (.seconds(20), .seconds(30))
    let (_, error) = try await evenTransfer(lasting: 100, limits)
    let timeout = try #require(error?.underlying(as: TimeoutError.self))
    #expect(timeout.kind == .total && timeout.decision?.passed == .total)
    #expect(timeout.decision?.limit == .seconds(50))
  }

  @Test func aLearnedLimitEndsOneAttemptAndNotTheNext() async throws {
    let server = try stalling(after: 200_000)
    var limits = TransferLimits()
    limits.stall = .seconds(100_000)
    limits.learned.record(.seconds(1), for: "127.0.0.1:\(server.port) bin")
    let received = Atomic64()
    let transfer = try transfer(server.port, limits) { bytes, _ in received.set(bytes) }
    let first = try await timeout(of: transfer, after: .seconds(300)) { received.value == 200_000 }
    #expect(first.kind == .total && first.decision?.base == .seconds(300))
    received.set(0)
    let second = try await timeout(of: transfer, after: .seconds(1800)) { received.value > 0 }
    #expect(second.kind == .total && second.decision?.base == .seconds(1800))
    await server.stop()
  }

  @Test func whatAFirstAttemptTookIsLearned() async throws {
    let server = try HTTPServer { _ in .text(200, "all") }
    let limits = TransferLimits()
    try await transfer(server.port, limits).attempt()
    await server.stop()
    #expect(limits.learned.limit(for: "127.0.0.1:\(server.port) bin") != nil)
  }

  // MARK: Tools

  private func tool(_ script: String, _ limits: TransferLimits) throws -> ToolTransfer {
    try directory.write(script, to: "tool.sh")
    let command = try ToolCommand("sh \(directory.path)/tool.sh {url} {output}")
    var builtIn = BuiltInTransfer(limits: limits)
    builtIn.clock = clock
    var tool = ToolTransfer(
      ToolSettings(command: command, qualities: [], fallsBack: false, percent: 100),
      builtIn: builtIn)
    tool.grace = .zero
    return tool
  }

  private var toolLimits: TransferLimits {
    var limits = TransferLimits(timeout: .seconds(60), toolStall: .seconds(10))
    limits.base = .seconds(10)
    return limits
  }

  @Test func aToolThatSaysItGetsOnIsAllowedMoreThanTheBase() async throws {
    let seen = Log<Int>()
    let go = directory.file("go")
    let tool = try tool(
      """
      echo begun > "$2"; echo 1%
      while [ ! -e '\(go)1' ]; do sleep 0.02; done; echo 50%
      while [ ! -e '\(go)2' ]; do sleep 0.02; done; echo 100%
      """, toolLimits)
    let transfer = tool.transfer(
      of: try DownloadPlan.item("http://127.0.0.1:9/film"), to: directory.file("film")
    ) { received, _ in seen.append(received) }
    let attempt = Task { try await transfer.attempt() }
    try await until { seen.count == 1 }
    clock.advance(by: .seconds(8))
    try directory.write("", to: "go1")
    try await until { seen.count == 2 }
    // Half in eight seconds: another eight, times one and a half.
    clock.advance(by: .seconds(9))
    try directory.write("", to: "go2")
    try await attempt.value
    #expect(transfer.outcome.timeouts == 0)
  }

  @Test func aToolThatSaysNothingOfItsProgressHasTheBase() async throws {
    let transfer = try tool("echo begun > \"$2\"; echo working; sleep 600", toolLimits).transfer(
      of: try DownloadPlan.item("http://127.0.0.1:9/film"), to: directory.file("film")
    ) { _, _ in }
    let attempt = Task {
      try await withErrorContext("download") { try await transfer.attempt() }
    }
    let scratch = { [directory] in directory.names.contains { $0.contains("tool-rtmp") } }
    try await until(scratch)
    // Alarms are set as the tool is watched; the last is the one for the whole.
    while transfer.failures.isEmpty {
      clock.advance(by: .seconds(1))
      try await ContinuousClock().wait(for: .milliseconds(5))
    }
    let error = try #require(await failure { try await attempt.value })
    let process = try #require(error.underlying(as: ProcessError.self))
    #expect(process.code == .timedOut)
    let report = ErrorReport(error)
    #expect(
      report.timeline.contains { entry in
        entry.event == .breadcrumb && entry.detail?.contains("allowed (base)") == true
      })
    #expect(transfer.outcome.timeouts == 1)
  }
}
