import ReliabilityIO

/// A short piece of work on one directory, done the same way each time, and how to judge what a crash left of it.
protocol Workload: Sendable {
  init()

  /// Does the steps; says in the evidence what is about to happen and what has.
  func run(in place: Place, _ evidence: Evidence) async throws

  /// Opens what is there, which repairs it, and compares it with what the evidence promises.
  ///
  /// - Returns: What is wrong.
  func check(_ place: Place, _ history: History, after fault: Fault) async throws -> [String]

  /// Whether a file may be there in the end.
  func expects(_ name: String) -> Bool
}

/// Where a workload works.
struct Place: Sendable {
  let directory: String
  let fileSystem: FileSystem

  func file(_ name: String) -> String { directory + "/" + name }
}

/// What has happened to a workload.
enum Fault: String, Sendable {
  /// A call failed: the program went on and cleaned up by itself.
  case failedCall = "failed-call"
  /// The process ended at some instant: what its calls did is there, and so are its temporary files.
  case killed
  /// What was not durable may be gone.
  case powerCut = "power-cut"
}

/// The workloads by name.
enum Workloads {
  static let all: [(name: String, type: any Workload.Type)] = [
    ("save", SaveWorkload.self),
    ("document", DocumentWorkload.self),
    ("log", LogWorkload.self),
    ("transaction", TransactionWorkload.self),
    ("bulk-save", BulkSaveWorkload.self),
    ("bulk-log", BulkLogWorkload.self),
  ]

  static func named(_ name: String) -> any Workload {
    guard let found = all.first(where: { $0.name == name }) else {
      System.fail("no such workload: \(name)")
    }
    return found.type.init()
  }
}

/// Contents that can be told apart whole.
enum Content {
  /// A number of bytes that only this step writes.
  static func bytes(_ step: Int, count: Int) -> [UInt8] {
    let line = "step \(step) of the crash lab\n"
    let lines = String(repeating: line, count: count / line.utf8.count + 1)
    return Array(lines.utf8.prefix(count))
  }
}
