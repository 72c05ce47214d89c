internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// What a run came to: the JSON of `--json`, and the figures of the report for people.
struct RunSummary: Encodable {
  var files = 0
  var succeeded = 0
  var failed = 0
  /// Neither: Ctrl-C came first.
  var unfinished: Int { files - succeeded - failed }
  var verified = 0
  var retries = 0
  var timeouts = 0
  var resumptions = 0
  var bytes = 0
  var seconds = 0.0
  var orphanedTemporaryFiles = 0
  /// What a power cut may take of the files.
  var durability = Durability.none
  /// Of the succeeded ones, those that the manifest said were there already.
  var skipped = 0
  /// With a tool: files by what brought them, a quality or the built-in client.
  var served: [String: Int] = [:]
  var failures: [ErrorReport] = []
  /// In the demo: how often the server misbehaved in each way.
  var faults: [String: Int]?

  var filesPerMinute: Double { seconds > 0 ? Double(succeeded) * 60 / seconds : 0 }

  var isGood: Bool { succeeded == files && orphanedTemporaryFiles == 0 }

  private enum CodingKeys: String, CodingKey {
    case files, succeeded, failed, unfinished, verified, retries, timeouts, resumptions, bytes
    case seconds, filesPerMinute = "files_per_minute"
    case orphanedTemporaryFiles = "orphaned_temp_files"
    case failures, faults, skipped, durability, served
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(files, forKey: .files)
    try container.encode(succeeded, forKey: .succeeded)
    try container.encode(failed, forKey: .failed)
    try container.encode(unfinished, forKey: .unfinished)
    try container.encode(verified, forKey: .verified)
    try container.encode(retries, forKey: .retries)
    try container.encode(timeouts, forKey: .timeouts)
    try container.encode(resumptions, forKey: .resumptions)
    try container.encode(bytes, forKey: .bytes)
    try container.encode((seconds * 1000).rounded() / 1000, forKey: .seconds)
    try container.encode((filesPerMinute * 10).rounded() / 10, forKey: .filesPerMinute)
    try container.encode(orphanedTemporaryFiles, forKey: .orphanedTemporaryFiles)
    try container.encode(skipped, forKey: .skipped)
    try container.encode("\(durability)", forKey: .durability)
    if !served.isEmpty { try container.encode(served, forKey: .served) }
    try container.encode(failures, forKey: .failures)
    try container.encodeIfPresent(faults, forKey: .faults)
  }
}

extension RunSummary {
  /// One line of JSON.
  func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }

  /// The report for people, several lines.
  func report(on terminal: Terminal, faults: [(title: String, count: Int)]?) -> String {
    var rows: [(String, String)] = [
      (
        "files",
        "\(succeeded) of \(files)" + (failed > 0 ? ", \(failed) failed" : "")
          + (unfinished > 0 ? ", \(unfinished) not finished" : "")
      ),
      ("bytes", "\(ByteText.short(bytes)) in \(Self.decimal(seconds)) s"),
      ("verified", "\(succeeded) by length, \(verified) of them by SHA-256"),
      ("retries", "\(retries), \(resumptions) of them resumed in mid-file"),
      ("timeouts", "\(timeouts)"),
      ("durability", durabilityText),
    ]
    if !served.isEmpty {
      let parts = served.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
      rows.append(("served by", parts.joined(separator: ", ")))
    }
    if skipped > 0 { rows.append(("there already", "\(skipped)")) }
    // The mission's figures are about many files; for one large one they would say nothing.
    let (wantedRate, wantedOrphans) =
      faults == nil ? ("", "") : (" (wanted: more than 20)", " (wanted: 0)")
    if let faults {
      rows.append(("faults met", faults.map { "\($0.title) \($0.count)" }.joined(separator: ", ")))
    }
    rows.append(("rate", "\(Self.decimal(filesPerMinute)) files a minute\(wantedRate)"))
    rows.append(("orphaned temporary files", "\(orphanedTemporaryFiles)\(wantedOrphans)"))
    let width = (rows.map(\.0.count).max() ?? 0) + 2
    let lines = rows.map { name, value in
      terminal.styled(name + String(repeating: " ", count: width - name.count), .dim) + value
    }
    return "\n" + lines.joined(separator: "\n") + "\n\n" + verdict(on: terminal) + "\n"
  }

  private var durabilityText: String {
    switch durability {
    case .full: "full: every file survives a power cut"
    case .ordered: "ordered: after a power cut each file is whole, the newest may be missing"
    case .none: "none: a power cut may take what is new (--durability full or ordered)"
    }
  }

  private func verdict(on terminal: Terminal) -> String {
    if isGood { return terminal.styled("All well: every byte arrived and is in place.", .green) }
    if unfinished > 0 {
      return terminal.styled(
        "Stopped. What was complete is in place, nothing else is left.", .yellow)
    }
    return terminal.styled("\(failed) of \(files) files failed; see above.", .red)
  }

  private static func decimal(_ value: Double) -> String {
    let tenths = Int((min(max(value, 0), 1e12) * 10).rounded())
    return value >= 100 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
  }
}
