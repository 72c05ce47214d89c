import BackoffLock
import ReliabilityIO
import ReliabilityTestSupport
import Testing

@testable import AtomicStore

/// Random transactions by several stores, kills and foreign writers, against a dictionary.
@Suite(.offThePool) struct FileTransactionModelTests {
  static let logs = ["l1", "l2", "sub/l3"]
  static let documents = ["d1", "sub/d2"]
  static let mixed = ["m1", "m2"]

  @Test(arguments: 1...12)
  func randomTransactionsComeToWhatTheModelSays(seed: UInt64) throws {
    let scratch = ScratchDirectory(inMemory: true)
    try RealFileSystem().makeDirectory(scratch.file("sub"), in: nil, mode: 0o755)
    var random = SeededGenerator(seed: seed)
    var turns = Turns()
    var model: [String: [UInt8]] = [:]
    var options = TransactionStoreCore.Options.small
    options.checkpointSize = Int.random(in: 0...4000, using: &random)
    options.sideThreshold = 200

    func open() throws -> TransactionStoreCore {
      try TransactionStoreCore.open(
        scratch.path, token: turns.next(), options: options, fileSystem: .real)
    }
    var first = try open()
    var second = try open()
    for step in 0..<120 {
      switch Int.random(in: 0..<20, using: &random) {
      case 0: first = try open()
      case 1: second = try open()
      case 2:
        try first.refresh(turns.next())
        try first.settle()
        try first.checkpoint(turns.next())
      case 3, 4:
        let path = Self.logs.randomElement(using: &random)!
        guard var content = model[path] else { continue }
        let line = bytes(Bool.random(using: &random) ? "foreign\n" : "half")
        let file = try OpenFile(scratch.file(path), [.write, .append], fileSystem: .real)
        try file.writeAll(line.span, at: Int64(content.count))
        content += line
        model[path] = content
      default:
        let (change, after) = try Self.change(model, &random)
        let outcome =
          Bool.random(using: &random)
          ? try first.commit(change, token: turns.next())
          : try second.commit(change, token: turns.next())
        #expect(outcome.isApplied, "seed \(seed), step \(step)")
        model = after
      }
      for path in Self.logs + Self.documents + Self.mixed {
        let found = scratch.readBytes(path)
        if found != model[path] {
          Issue.record("seed \(seed), step \(step): \(path) differs from the model")
          return
        }
      }
    }
    _ = try open()
    #expect(scratch.names.allSatisfy { !$0.hasSuffix(".rtmp") && !JournalName.isSide($0) })
  }

  /// A transaction of up to four changes, and the files after it.
  private static func change(
    _ model: [String: [UInt8]], _ random: inout SeededGenerator
  ) throws -> (FileTransaction, [String: [UInt8]]) {
    var made = FileTransaction()
    var after = model
    let paths = (logs + documents + mixed).shuffled(using: &random)
    for path in paths.prefix(Int.random(in: 0...4, using: &random)) {
      let isLog = logs.contains(path) || mixed.contains(path) && Bool.random(using: &random)
      if Int.random(in: 0..<8, using: &random) == 0 {
        try made.remove(path)
        after[path] = nil
      } else if isLog {
        for _ in 0..<Int.random(in: 1...3, using: &random) {
          let line = String(
            repeating: "x", count: Int.random(in: 0...60, using: &random))
          try made.append(path, line)
          let old = after[path] ?? []
          after[path] = old + (old.last ?? 10 == 10 ? [] : [10]) + bytes(line + "\n")
        }
      } else {
        let content = (0..<Int.random(in: 0...400, using: &random)).map { _ in
          UInt8.random(in: 0...255, using: &random)
        }
        try made.replace(path, with: content)
        after[path] = content
      }
    }
    return (made, after)
  }
}
