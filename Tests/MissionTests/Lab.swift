import Foundation
import Reliability
import Testing

/// The program that does what a test of this suite asks for, alone in a process of its own.
enum Lab {
  /// Beside the test bundle, where SwiftPM puts it.
  private static let path = URL(fileURLWithPath: CommandLine.arguments[0])
    .resolvingSymlinksInPath().deletingLastPathComponent()
    .appendingPathComponent("ReliabilityMissionLab").path

  /// Whether the long form is wanted: minutes for what takes seconds.
  static let isLong = ProcessInfo.processInfo.environment["RELIABILITY_LONG_TESTS"] != nil

  /// Runs a command, shows what it says, and expects no violation.
  ///
  /// - Returns: What it printed.
  @discardableResult
  static func run(
    _ command: String, _ options: KeyValuePairs<String, Int> = [:],
    location: SourceLocation = #_sourceLocation
  ) async throws -> String {
    var configuration = ProcessConfiguration()
    configuration.capturedBytes = 1 << 20
    configuration.acceptedExitCodes = [0, 1]
    let words = options.flatMap { ["--\($0.key)", "\($0.value)"] }
    let report = try await runProcess(path, [command] + words, configuration: configuration)
    let output = String(decoding: report.output, as: UTF8.self)
    let lines = output.split(separator: "\n")
    print(lines.map { "mission: \($0)" }.joined(separator: "\n"))
    #expect(lines.last == "PASS", "\(output)", sourceLocation: location)
    return output
  }
}
