import Foundation
import Reliability

/// Measures what the mission set figures for, one after the other, while nothing else goes on in this process.
enum Thresholds {
  static func run(_ arguments: Arguments, _ findings: Findings) async throws {
    let scratch = Scratch(arguments)
    // First, as they may still be going on, in a process of their own.
    if let path = arguments["downloads"] { try await downloads(path, findings) }
    try await LockMeasure.run(scratch, arguments.int("lock-milliseconds", default: 2000), findings)
    try await QueueMeasure.run(scratch, findings)
    try await RecoveryMeasure.run(scratch, findings)
    try await HealthMeasure.run(findings)
  }

  /// What `downloader demo --json` said: sixty files from a server that misbehaves in seven ways.
  private static func downloads(_ path: String, _ findings: Findings) async throws {
    // It is there when they are done.
    _ = await Process.settles { FileManager.default.fileExists(atPath: path) }
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let last = text.split(separator: "\n").last ?? ""
    let json = try JSONSerialization.jsonObject(with: Data(last.utf8)) as? [String: Any] ?? [:]
    func number(_ name: String) -> Double { (json[name] as? NSNumber)?.doubleValue ?? .nan }
    findings.add(.count("downloads", .above, 20, "a minute", number("files_per_minute")))
    findings.add(
      .count(
        "downloads that succeed under the fault mix", .atLeast, 95, "%",
        100 * number("succeeded") / number("files")))
    findings.add(
      .count(
        "temporary files orphaned by downloads", .atMost, 0, "", number("orphaned_temp_files")))
    findings.expect(number("retries") > 0, "the server did not misbehave")
  }
}
