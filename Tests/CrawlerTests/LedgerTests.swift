import Reliability
import ReliabilityIO
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import BackoffLock
@testable import ReliabilityCrawler

@Suite(.offThePool) struct LedgerTests {
  static func find(_ number: Int) -> Find {
    let url = "http://example.org/\(number).wav"
    let metadata = FindMetadata(
      url: url, page: "http://example.org/", title: "Find \"\(number)\"", voice: "child",
      bytes: number,
      sha256: "ab", contentType: "audio/wav", foundAt: "now")
    return Find(url: url, metadata: metadata)
  }

  struct Violated: Error, CustomStringConvertible { let description: String }

  /// The outputs agree after a restart, and hold what was acknowledged.
  static func check(_ disk: SimulatedDisk, _ acknowledged: [String]) async throws {
    try startAnew(disk)
    try await checkOutputs(disk, acknowledged)
  }

  /// Lets the locks see that the machine was started again: a simulated disk is, its machine is not.
  private static func startAnew(_ disk: SimulatedDisk) throws {
    for name in [".transactions.lock", ".crawl.lock"] {
      guard var bytes = disk.read("out/\(name)") else { continue }
      for offset in LockRecord.epochOffsets + [LockRecord.turnOffset] {
        let place = Int(offset)..<Int(offset) + LockRecord.size
        guard place.upperBound <= bytes.count, var record = try? LockRecord(Array(bytes[place])),
          record.epoch > 0
        else { continue }
        record.bootIdentifier = [UInt8](repeating: 0xee, count: 16)
        bytes.replaceSubrange(place, with: record.encoded)
      }
      try disk.write("out/\(name)", bytes)
    }
  }

  private static func checkOutputs(_ disk: SimulatedDisk, _ acknowledged: [String]) async throws {
    _ = try await Ledger("out", fileSystem: disk.fileSystem)
    let outputs = try await Outputs.read("out", fileSystem: disk.fileSystem)
    guard outputs.orphans.isEmpty, outputs.duplicates == 0 else {
      throw Violated(description: "orphans \(outputs.orphans), duplicates \(outputs.duplicates)")
    }
    for note in acknowledged where !outputs.urls.contains(note) {
      throw Violated(description: "\(note) is lost; there are \(outputs.urls)")
    }
  }

  static func disk() throws -> SimulatedDisk {
    let disk = SimulatedDisk(seed: 1)
    try disk.makeDirectory("out")
    return disk
  }

  @Test func aFindIsInEveryOutputAndOnlyOnce() async throws {
    let scratch = ScratchDirectory()
    let ledger = try await Ledger(scratch.path)
    #expect(try await ledger.commit(Self.find(1)))
    #expect(try await ledger.commit(Self.find(2)))
    #expect(try await !ledger.commit(Self.find(1)))
    let outputs = try await Outputs.read(scratch.path)
    #expect(outputs.urls == ["http://example.org/1.wav", "http://example.org/2.wav"])
    #expect(outputs.orphans == [] && outputs.duplicates == 0)
    let again = try await Ledger(scratch.path)
    #expect(again.contains("http://example.org/1.wav"))
    #expect(try await !again.commit(Self.find(2)))
    #expect(try await again.commit(Self.find(3)))
    #expect(try await !ledger.commit(Self.find(3)))
  }

  @Test func crawlersThatShareADirectoryCommitEachFindOnce() async throws {
    let scratch = ScratchDirectory(inMemory: true)
    var ledgers: [Ledger] = []
    for _ in 0..<3 { ledgers.append(try await Ledger(scratch.path)) }
    let new = try await withThrowingTaskGroup(of: Bool.self) { group in
      for ledger in ledgers {
        for number in 0..<40 { group.addTask { try await ledger.commit(Self.find(number)) } }
      }
      return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
    #expect(new == 40)
    let outputs = try await Outputs.read(scratch.path)
    #expect(outputs.urls.count == 40)
    #expect(outputs.orphans == [] && outputs.duplicates == 0)
  }

  /// Each call of a commit fails, once and for good; then the crawler is started again.
  @Test(arguments: [ErrorNumber.inputOutput, .noSpace])
  func aCallThatFailsLeavesNoOrphans(error: ErrorNumber) async throws {
    var met = 0
    for persistently in [false, true] {
      // Each error in other places, to be done in little time.
      let first = error == .inputOutput ? 1 : 3
      for call in stride(from: first, through: 60, by: persistently ? 20 : 4) {
        let disk = try Self.disk()
        let ledger = try await Ledger("out", fileSystem: disk.fileSystem)
        #expect(try await ledger.commit(Self.find(1)))
        var acknowledged = [Self.find(1).url]
        let before = disk.faultsMet
        disk.fail(nil, at: call, with: error, persistently: persistently)
        let find = Self.find(2)
        if (try? await ledger.commit(find)) != nil { acknowledged.append(find.url) }
        #expect(ledger.contains(find.url) == acknowledged.contains(find.url))
        met += disk.faultsMet - before
        disk.clearFaults()
        try await Self.check(disk.restarted(after: .powerCut), acknowledged)
        // The same crawler goes on, too.
        #expect((try? await ledger.commit(Self.find(4))) != nil, "call \(call)")
        let outputs = try await Outputs.read("out", fileSystem: disk.fileSystem)
        #expect(outputs.orphans == [] && outputs.urls.contains(Self.find(4).url))
      }
    }
    print("ledger: \(met) calls failed")
    #expect(met >= 10)
  }

  /// Power cuts at every call of commits, in the states each may leave.
  @Test func everyCrashLeavesOutputsThatAgree() async throws {
    var options = ExplorationOptions()
    options.samples = 2
    options.exhaustiveStates = 2
    options.secondCrashStates = 1
    let report = try await SimulatedDisk.explore(
      options: options, prepare: { try $0.makeDirectory("out") },
      run: { disk in
        let ledger = try await Ledger("out", fileSystem: disk.fileSystem)
        for number in 1...2 {
          _ = try await ledger.commit(Self.find(number))
          disk.acknowledge(Self.find(number).url)
        }
      },
      check: Self.check)
    print("ledger: \(report)")
    #expect(report.distinctStates > 20)
  }

  @Test func aManifestOfSomethingElseIsNotTouched() async throws {
    let scratch = ScratchDirectory()
    try scratch.write(#"{"mine":true}"#, to: "manifest.json")
    await #expect(throws: LedgerError.self) { try await Ledger(scratch.path) }
    #expect(scratch.read("manifest.json") == #"{"mine":true}"#)
  }

  @Test func membersOfOthersInTheManifestAreKept() async throws {
    let scratch = ScratchDirectory()
    let store = try await TransactionStore(scratch.path)
    try await store.commit { transaction in
      try transaction.manifest(
        "manifest.json",
        content: Array(#"{"format":"crawl","version":1,"finds":{},"note":"mine"}"#.utf8))
    }
    let ledger = try await Ledger(scratch.path)
    #expect(try await ledger.commit(Self.find(1)))
    #expect(scratch.read("manifest.json")?.contains(#""note":"mine""#) == true)
  }
}
