import AtomicStore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// `AtomicFile` under every crash of the simulated disk: the old content or the new one, never less than what was
/// acknowledged, and readable only by those who could read the old one.
@Suite(.offThePool) struct AtomicFileCrashTests {
  /// The content of each save, different in every sector.
  private struct Saves {
    let contents: [[UInt8]]

    init(_ count: Int, size: Int) {
      contents = (0...count).map { n in
        let head = bytes("{\"n\":\(n)}")
        return head + [UInt8](repeating: UInt8(n + 1), count: size - head.count)
      }
    }

    var count: Int { contents.count - 1 }

    /// Thousands of comparisons, not byte by byte as an unoptimized `==` does it.
    private func isSame(_ left: [UInt8], _ right: [UInt8]) -> Bool {
      guard left.count == right.count, left.last == right.last else { return false }
      return unsafe memcmp(left, right, left.count) == 0
    }

    /// The file holds one of the saves, whole, and none older than the last one that was acknowledged.
    func check(_ disk: SimulatedDisk, _ acknowledged: [String], mayBeMissing: Bool = false) throws {
      let last = acknowledged.last.flatMap(Int.init)
      guard let found = disk.read("data/a.json") else {
        if mayBeMissing && last == nil { return }
        throw Violated("the file is gone")
      }
      guard let n = contents.firstIndex(where: { isSame($0, found) }) else {
        throw Violated("\(found.count) bytes that nobody wrote")
      }
      if n < last ?? 0 { throw Violated("save \(last ?? 0) was acknowledged, the file holds \(n)") }
      for name in disk.names(in: "data") where name != "a.json" && !name.hasSuffix(".rtmp") {
        throw Violated("there is a file \(name)")
      }
    }
  }

  @Test func everyCrashOfSavesLeavesTheLastAcknowledgedOneOrALaterOne() throws {
    let saves = Saves(22, size: 30_000)
    let report = try SimulatedDisk.explore(
      prepare: { disk in
        try disk.write("data/a.json", saves.contents[0])
        let file = try OpenFile("data/a.json", [.write], fileSystem: disk.fileSystem)
        try file.setMode(0o600)
        try file.setAttribute("user.tag", bytes("kept"))
      },
      run: { disk in
        for n in 1...saves.count {
          let outcome = try AtomicFile.replace(
            "data/a.json", with: saves.contents[n], fileSystem: disk.fileSystem)
          if outcome.status == .durable { disk.acknowledge("\(n)") }
        }
      },
      check: { disk, acknowledged in
        try saves.check(disk, acknowledged)
        let file = try OpenFile("data/a.json", [.read], fileSystem: disk.fileSystem)
        let mode = try file.status().mode
        if mode != 0o600 { throw Violated("the mode is \(mode)") }
        guard try file.attribute("user.tag") == bytes("kept") else {
          throw Violated("the attribute is lost")
        }
      })
    print("AtomicFile.replace: \(report)")
    #expect(report.isExhaustive)
    #expect(report.distinctStates >= 10_000)
  }

  @Test func everyCrashOfAFileWrittenInPiecesLeavesTheOldOneOrTheWholeNewOne() throws {
    let saves = Saves(8, size: 2700)
    let report = try SimulatedDisk.explore(
      prepare: { disk in try disk.write("data/a.json", saves.contents[0]) },
      run: { disk in
        for n in 1...saves.count {
          let file = try AtomicFile(replacing: "data/a.json", fileSystem: disk.fileSystem)
          for start in stride(from: 0, to: 2700, by: 900) {
            try file.append(Array(saves.contents[n][start..<(start + 900)]))
          }
          if try file.publish().status == .durable { disk.acknowledge("\(n)") }
        }
      },
      check: { disk, acknowledged in try saves.check(disk, acknowledged) })
    print("AtomicFile in pieces: \(report)")
    #expect(report.isExhaustive)
    #expect(report.distinctStates >= 10_000)
  }

  @Test func everyCrashOfAFileThatWasCutAndBegunAgainLeavesTheOldOneOrTheWholeNewOne() throws {
    let saves = Saves(2, size: 1200)
    let report = try SimulatedDisk.explore(
      prepare: { disk in try disk.write("data/a.json", saves.contents[0]) },
      run: { disk in
        for n in 1...saves.count {
          let file = try AtomicFile(replacing: "data/a.json", fileSystem: disk.fileSystem)
          try file.append([UInt8](repeating: UInt8(ascii: "-"), count: 900))
          try file.truncate(to: 0)
          try file.append(saves.contents[n])
          if try file.publish().status == .durable { disk.acknowledge("\(n)") }
        }
      },
      check: { disk, acknowledged in try saves.check(disk, acknowledged) })
    #expect(report.isExhaustive)
  }

  @Test func everyCrashOfACreationLeavesNothingOrAllOfIt() async throws {
    let saves = Saves(1, size: 1500)
    var options = AtomicFile.Options()
    options.createOnly = true
    let report = try await SimulatedDisk.explore(
      prepare: { disk in try disk.makeDirectory("data") },
      run: { [options] disk in
        let outcome = try await AtomicFile.replace(
          "data/a.json", with: saves.contents[1], options: options, fileSystem: disk.fileSystem)
        if outcome.status == .durable { disk.acknowledge("1") }
      },
      check: { disk, acknowledged in try saves.check(disk, acknowledged, mayBeMissing: true) })
    #expect(report.isExhaustive)
  }

  @Test func orderedSavesMayGoBackButAreNeverTorn() throws {
    let saves = Saves(3, size: 1500)
    let report = try SimulatedDisk.explore(
      prepare: { disk in try disk.write("data/a.json", saves.contents[0]) },
      run: { disk in
        for n in 1...saves.count {
          try AtomicFile.replace(
            "data/a.json", with: saves.contents[n],
            options: AtomicFile.Options(durability: .ordered), fileSystem: disk.fileSystem)
        }
      },
      check: { disk, acknowledged in try saves.check(disk, acknowledged) })
    #expect(report.violations == 0)
  }

  @Test func unsyncedSavesAreFoundTorn() throws {
    let saves = Saves(1, size: 1500)
    let found = try #require(throws: CrashViolation.self) {
      try SimulatedDisk.explore(
        prepare: { disk in try disk.write("data/a.json", saves.contents[0]) },
        run: { disk in
          try AtomicFile.replace(
            "data/a.json", with: saves.contents[1],
            options: AtomicFile.Options(durability: .none), fileSystem: disk.fileSystem)
        },
        check: { disk, acknowledged in try saves.check(disk, acknowledged) })
    }
    #expect(found.message.contains("that nobody wrote"))
  }

  @Test(arguments: [ErrorNumber.inputOutput, .noSpace, .quotaExceeded, .interrupted])
  func aCallThatFailsAndThenACrashLeaveAWholeFile(error: ErrorNumber) throws {
    let saves = Saves(2, size: 1200)
    // Saves that fail leave many names to be synced, but few of their combinations differ.
    var options = ExplorationOptions()
    options.samples = 200
    var failed = 0
    var states = 0
    for call in 1...200 {
      var faultsMet = 0
      let report = try SimulatedDisk.explore(
        options: options,
        prepare: { disk in try disk.write("data/a.json", saves.contents[0]) },
        run: { disk in
          disk.fail(nil, at: call, with: error)
          disk.limitTransfers(to: 700)
          for n in 1...saves.count {
            let outcome = try? AtomicFile.replace(
              "data/a.json", with: saves.contents[n], fileSystem: disk.fileSystem)
            if outcome?.status == .durable { disk.acknowledge("\(n)") }
          }
          faultsMet = disk.faultsMet
          #expect(disk.openDescriptors == 0)
          #expect(disk.names(in: "data").count <= 2)
        },
        check: { disk, acknowledged in try saves.check(disk, acknowledged) })
      states += report.distinctStates
      if faultsMet == 0 { break }
      failed += 1
    }
    print("AtomicFile.replace with \(error.name ?? ""): \(failed) failing calls, \(states) states")
    #expect(failed > 20)
    #expect(failed < 200)
  }

  @Test func aDiskThatIsFullOnlyAtTheSyncKeepsTheOldContent() throws {
    let saves = Saves(1, size: 3000)
    var options = ExplorationOptions()
    options.disk.capacity = 4000
    options.disk.allocatesLate = true
    try SimulatedDisk.explore(
      options: options,
      prepare: { disk in try disk.write("data/a.json", saves.contents[0]) },
      run: { disk in
        let error = #expect(throws: StoreError.self) {
          try AtomicFile.replace(
            "data/a.json", with: saves.contents[1], fileSystem: disk.fileSystem)
        }
        #expect(error?.code == .outOfSpace)
        #expect(disk.names(in: "data") == ["a.json"])
      },
      check: { disk, acknowledged in try saves.check(disk, acknowledged) })
  }
}
