internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// `downloader doctor DIR`: what a directory can promise, and which temporary files lie in it.
struct DoctorCommand {
  var path = ""
  var sweeps: Bool
  var isJSON: Bool
  var showsHelp: Bool

  static let grammar = CommandLineGrammar(
    usage: ["downloader doctor DIR [--sweep] [--json]"],
    summary: """
      Tries out what saves, locks and logs need of a directory, and lists the temporary files in it: those of writers that live,
      and what killed ones have left.
      """,
    options: [
      .flag("sweep", "remove what killed writers have left"),
      .flag("json", "print JSON"),
    ],
    epilogue: """
      Leaves with 0 when files can be saved whole there, 1 when they can't or the directory can't be examined, 2 for a wrong
      option. It may be asked while others work in the directory.
      """)

  /// - Throws: `UsageError`.
  init(_ arguments: [String]) throws(UsageError) {
    let line = try Self.grammar.parse(arguments)
    showsHelp = line.flag("help")
    sweeps = line.flag("sweep")
    isJSON = line.flag("json")
    if showsHelp { return }
    guard let directory = line.operands.first, line.operands.count == 1 else {
      throw UsageError("doctor needs one directory")
    }
    path = directory
  }

  /// A temporary file, as the JSON shows it.
  private struct File: Encodable {
    var path: String
    var bytes: Int64
    var ageSeconds: Double
    var process: Int32
    /// `removed`, or why it stays.
    var state: String

    init(_ file: SweepReport.File, _ state: String) {
      path = file.path
      bytes = file.size
      ageSeconds = ((file.age / .milliseconds(1)).rounded()) / 1000
      process = file.process
      self.state = state
    }
  }

  /// Examines the directory.
  ///
  /// - Returns: What is printed, and whether files can be saved whole there.
  /// - Throws: `StoreError` when it can't be examined.
  func run() async throws -> (text: String, isGood: Bool) {
    let storage = try await StorageDoctor.examine(path)
    // A person asks: what is proven to be nobody's need not wait for anybody to look at it.
    let sweep = try await OrphanSweeper.sweep(
      path, options: OrphanSweeper.Options(action: sweeps ? .remove : .report, minimumAge: .zero))
    let files =
      sweep.removed.map { File($0, "removed") }
      + sweep.kept.map { File($0.file, $0.reason == .reportOnly ? "orphaned" : $0.reason.rawValue) }
    let isGood = [.holds, .limited].contains(storage.guarantee(.atomicSave).verdict)
    if isJSON {
      let encoder = ServeRoutes.encoder
      let list = String(decoding: try encoder.encode(files), as: UTF8.self)
      let storage = String(decoding: storage.json, as: UTF8.self)
      return (#"{"storage":\#(storage),"temporary_files":\#(list)}"# + "\n", isGood)
    }
    var lines = ["\(storage)", ""]
    lines += files.map { file in
      "\(ByteText.short(Int(file.bytes)).padding(to: 10))\(file.state.padding(to: 16))"
        + "\(Int(file.ageSeconds)) s old  process \(file.process)  \(file.path)"
    }
    lines += sweep.failures.map { "failed: \($0)" }
    if files.isEmpty { lines.append("no temporary files") }
    return (lines.joined(separator: "\n") + "\n", isGood)
  }
}
