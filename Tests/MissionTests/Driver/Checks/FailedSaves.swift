import Reliability
import ReliabilityTesting

/// Every system call of every kind of save fails in turn: no temporary file is left that the error does not name, and the
/// next save is as if nothing had happened.
enum FailedSaves {
  struct Note: Codable, Sendable { var text: String }

  /// A way to save something on a disk.
  private struct Save {
    var name: String
    /// How much longer it takes than the others where the code is not optimized.
    var weight = 1
    var body: @Sendable (FileSystem, _ text: String) async throws -> Void
  }

  private static let saves = [
    Save(name: "file") { disk, text in
      try await AtomicFile.replace("out/file", with: Array(text.utf8), fileSystem: disk)
    },
    Save(name: "document") { disk, text in
      try await AtomicDocument<Note>("out/document", fileSystem: disk)
        .update(default: Note(text: "")) { $0.text = text }
    },
    Save(name: "transaction", weight: 4) { disk, text in
      let store = try await TransactionStore("out", fileSystem: disk)
      try await store.commit { transaction in
        try transaction.append("lines", text)
        try transaction.replace("last", with: Array(text.utf8))
      }
    },
    Save(name: "log") { disk, text in
      let log = try await AppendLog("out/log", fileSystem: disk)
      try await log.append(Array(#"{"text":"\#(text)"}"#.utf8))
    },
  ]

  static func run(_ arguments: Arguments, _ findings: Findings) async throws {
    let stride = max(1, arguments.int("stride", default: 1))
    for save in saves {
      // A sample is of other calls with every seed.
      let step = stride == 1 ? 1 : stride * save.weight
      var call = 1 + Int(arguments.seed % UInt64(step))
      var failed = 0
      while try await fails(save, at: call, findings) {
        call += step
        failed += 1
      }
      findings.note("\(save.name): \(failed) of about \(call - 1) calls failed, each once")
      findings.expect(call > 10, "\(save.name) makes only \(call - 1) calls")
    }
  }

  /// - Returns: Whether there was such a call.
  private static func fails(_ save: Save, at call: Int, _ findings: Findings) async throws -> Bool {
    let disk = SimulatedDisk(seed: UInt64(call))
    try disk.makeDirectory("out")
    try await save.body(disk.fileSystem, "before")
    disk.fail(nil, at: call, with: call.isMultiple(of: 2) ? .noSpace : .inputOutput)
    var leftover: String?
    do {
      try await save.body(disk.fileSystem, "meanwhile")
    } catch {
      leftover = (error as? StoreError)?.leftover
    }
    let met = disk.faultsMet > 0
    disk.clearFaults()
    let left = temporaries(on: disk)
    let named = leftover.map { path in left.allSatisfy { path.hasSuffix($0) } } ?? left.isEmpty
    findings.expect(
      named,
      "\(save.name), call \(call): \(left) left, and the error names \(leftover ?? "nothing")")
    try await save.body(disk.fileSystem, "after")
    // What the kernel refused to remove goes with the next sweep.
    var options = OrphanSweeper.Options()
    options.minimumAge = .zero
    _ = try await OrphanSweeper.sweep("out", options: options, fileSystem: disk.fileSystem)
    let stayed = temporaries(on: disk)
    findings.expect(stayed.isEmpty, "\(save.name), call \(call): \(stayed) stayed")
    return met
  }

  private static func temporaries(on disk: SimulatedDisk) -> [String] {
    disk.names(in: "out").filter { $0.hasSuffix(".rtmp") }
  }
}
