import AtomicStore
import ReliabilityIO
import ReliabilityTestSupport
import Testing

/// Fails every call of a document's operations in turn.
@Suite(.offThePool) struct DocumentFaultTests {
  static let numbers: [ErrorNumber] = [.noSpace, .inputOutput, .quotaExceeded, .permissionDenied]

  private static func prepared() async throws -> ScratchDirectory {
    let scratch = ScratchDirectory(inMemory: true)
    for n in 1...3 { try await scratch.document(backups: 2).save(Settings(count: n)) }
    return scratch
  }

  @Test(arguments: numbers, [nil, 7])
  func aFailureAtAnyCallOfAnUpdateLeavesTheOldOrTheNewValueAndNothingElse(
    number: ErrorNumber, writeLimit: Int?
  ) async throws {
    var n = 1
    while true {
      let scratch = try await Self.prepared()
      let disk = FaultyFileSystem(.once(n, number), writeLimit: writeLimit)
      let document = scratch.document(backups: 2, on: disk)
      let context: Comment = "call \(n), \(number)"
      var leftover: String?
      do {
        #expect(try await document.update { $0.count = 9 }.count == 9, context)
        #expect(try await scratch.document(backups: 2).load().value?.count == 9, context)
      } catch {
        let cause = (error as? StoreError)?.cause ?? (error as? LockError)?.cause
        #expect(cause?.number == number && cause?.call.isEmpty == false, "\(context): \(error)")
        #expect(cause?.path.isEmpty == false, context)
        leftover = (error as? StoreError)?.leftover
        let loaded = try await scratch.document(backups: 2).load()
        #expect(loaded.value?.count == 3 && loaded.source == .target, context)
      }
      let others = scratch.documents.filter { !$0.hasPrefix("settings.json") }
      #expect(others.map(scratch.file) == (leftover.map { [$0] } ?? []), context)
      #expect(!scratch.documents.contains { $0.contains("corrupt") }, context)
      if disk.faultsMet == 0 { break }
      n += 1
    }
    #expect(n > 30)
  }

  @Test func anInterruptionOfAnyCallOfAnUpdateChangesNothing() async throws {
    var n = 1
    while true {
      let scratch = try await Self.prepared()
      let disk = FaultyFileSystem(.once(n, .interrupted))
      #expect(try await scratch.document(on: disk).update { $0.count = 9 }.count == 9, "call \(n)")
      #expect(try await scratch.document().load().value?.count == 9, "call \(n)")
      if disk.faultsMet == 0 { break }
      n += 1
    }
  }

  @Test(arguments: numbers)
  func aFailureAtAnyCallOfARecoveryLosesNothing(number: ErrorNumber) async throws {
    var n = 1
    while true {
      let scratch = try await Self.prepared()
      let file = try OpenFile(
        scratch.file("settings.json"), [.read, .write], fileSystem: .real)
      try file.truncate(to: 5)
      let disk = FaultyFileSystem(.once(n, number))
      let context: Comment = "call \(n), \(number)"
      do {
        let loaded = try await scratch.document(backups: 2, on: disk).load()
        #expect(loaded.value?.count == 2 || loaded.value?.count == 1, context)
      } catch {
        #expect(error is StoreError || error is DocumentError || error is LockError, context)
      }
      // The next load, on a sound disk, finds the newest good content.
      let loaded = try await scratch.document(backups: 2).load()
      #expect(loaded.value?.count == 2 || loaded.value?.count == 1, context)
      let kept = scratch.documents.filter { $0.hasPrefix("settings.json") }
      let contents = kept.compactMap { scratch.readBytes($0)?.count }
      #expect(contents.contains(5), "the damaged content is kept, \(context)")
      if disk.faultsMet == 0 { break }
      n += 1
    }
    #expect(n > 20)
  }
}
