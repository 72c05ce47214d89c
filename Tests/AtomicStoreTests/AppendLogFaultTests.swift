import ReliabilityIO
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import AtomicStore

/// Fails every call in turn and looks at what is in the log afterwards.
@Suite(.offThePool) struct AppendLogFaultTests {
  static let numbers: [ErrorNumber] = [.inputOutput, .noSpace, .quotaExceeded, .fileTooLarge]

  /// What appends were told.
  struct Told {
    var done: [String] = []
    var uncertain: [String] = []
    var refused: [String] = []
  }

  /// Opens, heals, appends and compacts over a disk that fails.
  ///
  /// - Returns: Whether the failure was met.
  private func run(
    _ fault: FaultyFileSystem.Fault, writeLimit: Int? = nil, mustSucceed: Bool = false
  ) async throws -> Bool {
    let scratch = ScratchDirectory(inMemory: true)
    var content = LogHeader(generation: 1, content: nil).line
    LogLine.append(bytes(record(0)), to: &content)
    content += bytes("bad\n")
    try scratch.write(content + bytes("torn"), to: "log")
    let disk = FaultyFileSystem(fault, writeLimit: writeLimit)
    let context: Comment = "\(fault)"
    var told = Told(done: [record(0)])
    do {
      // A lock that is kept belongs to the process: the log that looks afterwards would share it and its failures.
      var options = AppendLog.Options()
      options.idleHold = .zero
      let log = try await AppendLog(
        scratch.file("log"), options: options, fileSystem: disk.fileSystem)
      var position: AppendLog.Position?
      for n in 1...6 {
        let text = record(n, size: 700)
        do {
          let receipt = try await log.append(text)
          #expect(receipt.isDurable, context)
          told.done.append(text)
          if n == 3 { position = receipt.end }
        } catch let error as StoreError {
          #expect(!error.path.isEmpty && error.userMessage != nil && error.cause != nil, context)
          if error.code == .appendUncertain {
            told.uncertain.append(text)
          } else {
            told.refused.append(text)
          }
        }
        if n == 5, let position {
          let compaction = try? await log.compact(
            upTo: position, replacingWith: [bytes(record(100))])
          if compaction != nil {
            told.done =
              [record(100)] + told.done.filter { ["4", "5"].contains($0.dropFirst(5).prefix(1)) }
            told.uncertain.removeAll { !["4", "5"].contains($0.dropFirst(5).prefix(1)) }
          }
        }
      }
      try? await log.close()
    } catch {
      #expect(!mustSucceed, "\(context): \(error)")
      #expect(error is StoreError || error is LockError, "\(context): \(error)")
    }
    #expect(!mustSucceed || told.refused.isEmpty && told.uncertain.isEmpty, context)
    #expect(disk.openDescriptors <= 3, "\(context): only a lock may be kept")
    // A new process, over a disk that works.
    let log: AppendLog
    do {
      log = try await AppendLog(scratch.file("log"))
    } catch is LockError {
      // In this process the lock over the failing disk may still have been kept idle; with this it has ended.
      log = try await AppendLog(scratch.file("log"))
    }
    try await log.append(record(7))
    let texts = try await log.texts()
    #expect(Set(texts).isSuperset(of: told.done), context)
    #expect(texts.filter { told.done.contains($0) } == told.done, context)
    #expect(Set(texts).isDisjoint(with: told.refused), context)
    #expect(Set(texts).count == texts.count, context)
    #expect(!scratch.names.contains { $0.hasSuffix(".rtmp") } || disk.faultsMet > 0, context)
    return disk.faultsMet > 0
  }

  @Test(arguments: numbers)
  func aFailureOfAnyCallLosesNothingThatWasAcknowledged(number: ErrorNumber) async throws {
    var n = 1
    while try await run(.once(n, number)) { n += 1 }
    #expect(n > 40)
  }

  @Test(arguments: numbers)
  func aFailureOfAnyCallAndAllAfterItLosesNothingThatWasAcknowledged(
    number: ErrorNumber
  ) async throws {
    var n = 1
    while try await run(.persistent(n, number)) { n += 1 }
  }

  @Test func anInterruptionOfAnyCallChangesNothing() async throws {
    var n = 1
    while try await run(.once(n, .interrupted), mustSucceed: true) { n += 1 }
    #expect(n > 40)
  }

  @Test(arguments: [1, 100])
  func shortWritesChangeNothing(limit: Int) async throws {
    _ = try await run(.none, writeLimit: limit, mustSucceed: true)
    var n = 200
    while try await run(.once(n, .noSpace), writeLimit: limit) { n += 97 }
  }

  @Test func aFullDiskLeavesTheLogAsItWasAndSaysSo() async throws {
    let scratch = ScratchDirectory()
    try await AppendLog(scratch.file("log")).append(record(1))
    let before = scratch.readBytes("log")
    let disk = FaultyFileSystem(.every("write", .noSpace), writeLimit: nil)
    // The lock's own counter may need a write; what the log writes is what counts.
    guard let log = try? await AppendLog(scratch.file("log"), fileSystem: disk.fileSystem) else {
      return
    }
    let error = await #expect(throws: StoreError.self) { try await log.append(record(2)) }
    #expect(error?.code == .outOfSpace)
    #expect(error?.cause?.call == "write")
    #expect(scratch.readBytes("log") == before)
  }

  @Test func aFailedSyncIsNeverRepeatedAndTheLogGoesOnInANewFile() async throws {
    let scratch = ScratchDirectory()
    let seen = Tally()
    try await AppendLog(scratch.file("log")).append(record(1))
    let inode = try scratch.status("log").inode
    let disk = FaultyFileSystem(.nth("fsync", 1, .inputOutput), before: { _ in _ = seen.next() })
    let log = try await AppendLog(scratch.file("log"), fileSystem: disk.fileSystem)
    let receipt = try await log.append(record(2))
    #expect(receipt.isDurable)
    #expect(try scratch.status("log").inode != inode)
    #expect(log.health.counts.rewrites == 1)
    // The failed one, the new file's and the directory's.
    #expect(disk.calls.count(where: { $0 == "fsync" }) == 3)
    #expect(try await log.texts() == [record(1), record(2)])
    #expect(try await log.texts(from: receipt.start) == [record(2)])
  }

  @Test func aSyncThatCannotBeMadeGoodIsUncertainAndRepairedLater() async throws {
    let disk = SimulatedDisk(seed: 1)
    try disk.write("data/other", "x")
    let log = try await AppendLog("data/log", fileSystem: disk.fileSystem)
    try await log.append(record(1))
    disk.fail(.fdatasync, at: 1, with: .inputOutput)
    disk.fail(.fsync, at: 1, with: .noSpace)
    let error = await #expect(throws: StoreError.self) { try await log.append(record(2)) }
    #expect(error?.code == .appendUncertain)
    #expect(error?.retryability == .notRetryable)
    #expect(error?.description.contains("may have been written") == true)
    try await log.append(record(3))
    #expect(try await log.texts() == [record(1), record(2), record(3)])
    #expect(log.health.counts.rewrites == 1)
  }

  @Test func theCallsOfAnAppendAreAWriteAndASync() async throws {
    let scratch = ScratchDirectory()
    let disk = FaultyFileSystem()
    let log = try await AppendLog(scratch.file("log"), fileSystem: disk.fileSystem)
    try await log.append(record(1))
    let before = disk.calls.count
    try await log.append(record(2))
    let calls = disk.calls[before...].filter {
      !["flock", "fcntl", "read", "create", "close", "fstat", "fstatat"].contains($0)
    }
    // The lock's own write of its counter aside.
    #expect(calls.suffix(2) == ["write", "fsync"])
    try await log.append(record(3), durability: .none)
    #expect(disk.calls.last { ["write", "fsync"].contains($0) } == "write")
  }
}
