import Foundation
import Reliability

/// Twenty tasks and twenty processes write one manifest at once: no entry is lost, no reader sees half a file, no
/// temporary file stays.
enum Writers {
  /// What all of them change.
  struct Manifest: Codable, Sendable {
    var entries: [String: Int] = [:]
  }

  static func run(_ arguments: Arguments, _ findings: Findings) async throws {
    let scratch = Scratch(arguments)
    let path = scratch.file("manifest.json")
    let writers = arguments.int("writers", default: 20)
    let count = arguments.int("count", default: 5)
    let reads = try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<writers {
        group.addTask { try await write(count, to: path, label: "task \(index)") }
        group.addTask {
          try await Process.run([
            "write", "--path", path, "--count", "\(count)", "--label", "process \(index)",
          ])
        }
      }
      async let reads = read(scratch, findings)
      try await group.waitForAll()
      try await AtomicFile.replace(scratch.file("done"), with: [])
      return await reads
    }
    let loaded = try await AtomicDocument<Manifest>(path).load()
    let entries = loaded.value?.entries ?? [:]
    var lost: [String] = []
    for index in 0..<writers {
      for kind in ["task", "process"] {
        for number in 0..<count where entries["\(kind) \(index) \(number)"] != number {
          lost.append("\(kind) \(index) \(number)")
        }
      }
    }
    findings.expect(lost.isEmpty, "lost entries: \(lost.prefix(5)) of \(lost.count)")
    findings.expect(entries.count == 2 * writers * count, "\(entries.count) entries")
    findings.expect(scratch.temporaries.isEmpty, "temporary files: \(scratch.temporaries)")
    findings.expect(reads > 0, "nobody read meanwhile")
    findings.note("\(entries.count) entries by \(2 * writers) writers, \(reads) reads meanwhile")
  }

  /// One of the writers that are processes.
  static func write(_ arguments: Arguments) async throws {
    try await write(
      arguments.int("count", default: 1), to: arguments["path"] ?? "",
      label: arguments["label"] ?? "")
  }

  private static func write(_ count: Int, to path: String, label: String) async throws {
    let manifest = AtomicDocument<Manifest>(path)
    for number in 0..<count {
      try await manifest.update(default: Manifest(), timeout: .seconds(600)) {
        $0.entries["\(label) \(number)"] = number
      }
    }
  }

  /// Reads as another program would, without a lock, until the writers are done.
  private static func read(_ scratch: Scratch, _ findings: Findings) async -> Int {
    var reads = 0
    var most = 0
    repeat {
      guard let bytes = scratch.read("manifest.json") else { continue }
      if let manifest = try? JSONDecoder().decode(Manifest.self, from: Data(bytes)) {
        reads += 1
        findings.expect(
          manifest.entries.count >= most, "\(manifest.entries.count) entries after \(most)")
        most = max(most, manifest.entries.count)
      } else {
        findings.violation("torn JSON of \(bytes.count) bytes")
      }
      try? await ContinuousClock().wait(for: .milliseconds(1))
    } while !scratch.names.contains("done")
    return reads
  }
}
